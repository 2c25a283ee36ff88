// What a stream's track is made of.

/// Enough about a track to answer a player or to write an offer.
public struct TrackFormat: Sendable, Equatable {
    /// `.audio` or `.video`
    public var kind: SDPMediaKind
    /// The codec with the payload type and parameters of the source.
    public var codec: Codec
    public init(kind: SDPMediaKind, codec: Codec) { self.kind = kind; self.codec = codec }
}
