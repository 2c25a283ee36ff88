// Descriptions of streams for RTSP: written by the server, read by who pulls. The SDP of cameras, not that of browsers.
import RTP
import SDP

/// One track of a description.
public struct RTSPTrack: Equatable, Sendable {
    public var format: TrackFormat
    /// Absolute, or relative to the base.
    public var control: String

    public init(format: TrackFormat, control: String) {
        self.format = format
        self.control = control
    }
}

public enum RTSPDescription {
    /// The description of a live stream. Tracks are called `trackID=0`, `trackID=1`, …
    public static func text(name: String, tracks: [TrackFormat], payloadTypes: [UInt8]) -> String {
        let title = String(name.map { $0.isNewline || $0 == "\0" ? " " : $0 }.prefix(200))
        var text = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=\(title.isEmpty ? "-" : title)\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=control:*\r\na=range:npt=now-\r\n"
        for (index, (track, payloadType)) in zip(tracks, payloadTypes).enumerated() {
            let codec = track.codec
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

    /// What can be fetched: at most one track of sound and one of pictures, of codecs that the server knows.
    /// - Returns: also the names of what is there but can't be used.
    public static func tracks(in text: String) throws(SDPError) -> (tracks: [RTSPTrack], refused: [String]) {
        let description = try SessionDescription(parsing: text)
        var tracks: [RTSPTrack] = [], refused: [String] = []
        for section in description.media where section.kind == .audio || section.kind == .video {
            guard !tracks.contains(where: { $0.format.kind == section.kind }) else { continue }
            guard let codec = section.codecs.first(where: { isUsable($0) }) else {
                refused.append(section.codecs.first?.name ?? "payload type \(section.formats.first ?? "?")")
                continue
            }
            let control = section.unknownAttributes.first { $0.name.lowercased() == "control" }?.value ?? ""
            var format = TrackFormat(kind: section.kind, codec: codec)
            format.codec.feedback = []
            format.codec.name = CodecKind(encodingName: codec.name).encodingName
            tracks.append(RTSPTrack(format: format, control: control))
        }
        return (tracks, refused)
    }

    private static func isUsable(_ codec: SDP.Codec) -> Bool {
        switch CodecKind(encodingName: codec.name) {
        case .h264, .h265, .vp8, .vp9, .av1, .opus, .pcmu, .pcma, .g722: true
        // LATM lies otherwise in its packets.
        case .aac:
            codec.name.lowercased() == "mpeg4-generic" && AACPayloadFormat { codec.parameters[$0] } != nil && codec.parameters["config"] != nil
        case .other: false
        }
    }

    /// The address of a track: its control attribute put to the base (RFC 2326 §C.1.1).
    public static func address(control: String, base: String) -> String {
        if control.lowercased().hasPrefix("rtsp://") || control.lowercased().hasPrefix("rtsps://") { return control }
        if control.isEmpty || control == "*" { return base }
        return base.hasSuffix("/") ? base + control : base + "/" + control
    }
}
