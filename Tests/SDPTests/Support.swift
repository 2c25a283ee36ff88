// SPDX-License-Identifier: Apache-2.0
// What several SDP tests need: our side's transport parameters, and shorthands.
import Primitives
import SDP

enum Support {
    static let fingerprint = Fingerprint(algorithm: "sha-256", bytes: (0..<32).map { UInt8($0) })

    /// Transport number `index` of a lite server on 203.0.113.7, ports 31000, 31001, …
    static func server(_ index: Int) -> TransportParameters {
        let port = UInt16(31000 + index)
        return TransportParameters(
            iceUfrag: "srv\(index)", icePwd: "0123456789012345678901\(index)", isLite: true, fingerprint: fingerprint,
            setup: .passive, candidates: [Candidate(address: "203.0.113.7", port: port)])
    }

    /// A full ICE agent without candidates, as a browser that does not wait for gathering.
    static func agent(_ index: Int) -> TransportParameters {
        TransportParameters(
            iceUfrag: "agent", icePwd: "agentagentagentagentagent", isLite: false, fingerprint: fingerprint,
            setup: .actpass, candidates: [])
    }

    static func parse(_ text: String) throws -> SessionDescription { try SessionDescription(parsing: Fixtures.crlf(text)) }

    static func publish(_ text: String, _ preferences: CodecPreferences = CodecPreferences()) throws -> Negotiated {
        var random = RandomSource.seeded(1)
        return try Negotiation.answerPublisher(
            offer: parse(text), preferences: preferences, transports: server, ssrcs: &random)
    }

    static func play(_ text: String, _ tracks: [TrackFormat], streamID: String = "room1", leavesOutAudio: Bool = false) throws -> Negotiated {
        var random = RandomSource.seeded(2)
        return try Negotiation.answerPlayer(
            offer: parse(text), tracks: tracks, streamID: streamID, leavesOutAudio: leavesOutAudio, transports: server, ssrcs: &random)
    }

    static let opus = TrackFormat(
        kind: .audio,
        codec: Codec(payloadType: 111, name: "opus", clockRate: 48000, channels: 2, parameters: ["minptime": "10", "useinbandfec": "1"]))
    static let aac = TrackFormat(kind: .audio, codec: Codec(payloadType: 97, name: "mpeg4-generic", clockRate: 48000, channels: 2))
    static let vp8 = TrackFormat(kind: .video, codec: Codec(payloadType: 96, name: "VP8", clockRate: 90000))
    static func h264(_ profile: String = "42e01f", mode: String = "1", payloadType: UInt8 = 108) -> TrackFormat {
        TrackFormat(
            kind: .video,
            codec: Codec(
                payloadType: payloadType, name: "H264", clockRate: 90000,
                parameters: ["level-asymmetry-allowed": "1", "packetization-mode": mode, "profile-level-id": profile]))
    }
    static func video(_ name: String, _ parameters: FormatParameters = [:]) -> TrackFormat {
        TrackFormat(kind: .video, codec: Codec(payloadType: 98, name: name, clockRate: 90000, parameters: parameters))
    }

    /// The text without lines that contain one of `needles`.
    static func without(_ text: String, _ needles: String...) -> String {
        text.split(separator: "\n").filter { line in !needles.contains { line.contains($0) } }.joined(separator: "\n")
    }

    /// What the WCS SDK's stripCodecs does to an offer: rtpmap lines by substring of the name, their formats,
    /// and fmtp/rtcp-fb lines by numeric prefix.
    static func strippingCodecs(_ text: String, _ names: [String]) -> String {
        var lines = text.split(separator: "\n").map(String.init)
        for name in names {
            let numbers = lines.filter { $0.hasPrefix("a=rtpmap:") && $0.lowercased().contains(name.lowercased()) }
                .map { String($0.dropFirst("a=rtpmap:".count).prefix { $0 != " " }) }
            for number in numbers {
                lines.removeAll { line in
                    line.hasPrefix("a=rtpmap:\(number) ") || line.hasPrefix("a=fmtp:\(number)") || line.hasPrefix("a=rtcp-fb:\(number)")
                }
                lines = lines.map { line in
                    guard line.hasPrefix("m=") else { return line }
                    let fields = line.split(separator: " ")
                    return (fields.prefix(3) + fields.dropFirst(3).filter { $0 != number }).joined(separator: " ")
                }
            }
        }
        return lines.joined(separator: "\n")
    }
}
