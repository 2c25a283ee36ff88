// SPDX-License-Identifier: Apache-2.0
// What a stream's track is made of.

/// Enough about a track to answer a player or to write an offer.
public struct TrackFormat: Sendable, Equatable {
    /// `.audio` or `.video`
    public var kind: SDPMediaKind
    /// The codec with the payload type and parameters of the source.
    public var codec: Codec
    /// Index of the track of which this is a converted form; `nil` = as its source sends it.
    public var converts: Int?
    /// Pictures come in another order than they are shown in (B-frames): no receiver in real time can show them.
    public var isReordered = false
    /// Decoding begins at recovery points, not at IDR pictures: browsers can't begin there.
    public var beginsWithoutIDR = false
    /// Parameters as the newest bits of the stream have them: parameter sets (`sprop-…`) and H.264's `profile-level-id`. Empty = not known.
    public var sent: FormatParameters = [:]

    public init(kind: SDPMediaKind, codec: Codec, converts: Int? = nil) {
        self.kind = kind
        self.codec = codec
        self.converts = converts
    }

    /// The codec as a description of what is really sent: what RTSP's DESCRIBE and decoders go by.
    public var described: Codec {
        var codec = codec
        for entry in sent.entries { codec.parameters[entry.key] = entry.value }
        return codec
    }

    /// A WebRTC peer may be able to take it as it is.
    public var isRealTime: Bool { !isReordered && !beginsWithoutIDR && !["mpeg4-generic", "mp4a-latm"].contains(codec.name.lowercased()) }
}
