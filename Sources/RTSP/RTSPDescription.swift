// SPDX-License-Identifier: Apache-2.0
// Descriptions of streams as the RTSP server writes them. How those of cameras are read: RTSPDescription+Tracks.
import RTP
import SDP

/// One track of a description.
public struct RTSPTrack: Equatable, Sendable {
    public var format: TrackFormat
    /// Absolute, or relative to the base.
    public var control: String
    /// Its section names no other payload type.
    public var isOnlyFormat: Bool

    public init(format: TrackFormat, control: String, isOnlyFormat: Bool = true) {
        self.format = format
        self.control = control
        self.isOnlyFormat = isOnlyFormat
    }
}

public enum RTSPDescription {
    /// The description of a live stream. Tracks are called `trackID=0`, `trackID=1`, …
    /// - Parameter omitted: indices of tracks that are not told of; the others keep their numbers.
    public static func text(name: String, tracks: [TrackFormat], payloadTypes: [UInt8], omitting omitted: Set<Int> = []) -> String {
        let title = String(name.map { $0.isNewline || $0 == "\0" ? " " : $0 }.prefix(200))
        var text = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=\(title.isEmpty ? "-" : title)\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=control:*\r\na=range:npt=now-\r\n"
        for (index, (track, payloadType)) in zip(tracks, payloadTypes).enumerated() where !omitted.contains(index) {
            // What is sent, not what the source once said: clients set their decoders up by it.
            let codec = track.described
            text += "m=\(track.kind.token) 0 RTP/AVP \(payloadType)\r\n"
            text += "a=rtpmap:\(payloadType) \(codec.name)/\(codec.clockRate)\(codec.channels > 1 ? "/\(codec.channels)" : "")\r\n"
            var parameters = codec.parameters
            parameters["level-asymmetry-allowed"] = nil
            if !parameters.isEmpty { text += "a=fmtp:\(payloadType) \(parameters.text)\r\n" }
            text += "a=control:trackID=\(index)\r\n"
        }
        return text
    }

    /// Payload types for a stream's tracks: the static ones where there are, else 96 and up.
    public static func payloadTypes(_ tracks: [TrackFormat]) -> [UInt8] {
        tracks.enumerated().map { index, track in
            switch CodecKind(encodingName: track.codec.name) {
            case .pcmu: 0
            case .pcma: 8
            case .g722: 9
            default: UInt8(96 + index % 32)
            }
        }
    }
}
