// SPDX-License-Identifier: Apache-2.0
// The payload types and header extension numbers of our own offers; the same that Chromium uses, so that traces look familiar.

/// Tables for `Negotiation+Offer`.
enum StandardFormats {
    static let audioFeedback = ["transport-cc"]
    static let videoFeedback = ["goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"]

    /// Every flavour of the codec `name` that a receiver of ours takes, best first. Empty for unknown names.
    static func flavours(of name: String) -> [Codec] {
        switch name.lowercased() {
        case "opus":
            [audio(111, "opus", 48000, channels: 2, ["minptime": "10", "useinbandfec": "1"])]
        case "g722": [audio(9, "G722", 8000)]
        case "pcmu": [audio(0, "PCMU", 8000)]
        case "pcma": [audio(8, "PCMA", 8000)]
        case "vp8": [video(96, "VP8")]
        case "vp9": [video(98, "VP9", ["profile-id": "0"])]
        case "av1": [video(45, "AV1", ["level-idx": "5", "profile": "0", "tier": "0"])]
        case "h265": [video(49, "H265", ["level-id": "93", "profile-id": "1", "tier-flag": "0", "tx-mode": "SRST"])]
        case "h264":
            [
                h264(108, "42e01f", mode: "1"), h264(102, "42001f", mode: "1"), h264(114, "42e01f", mode: "0"),
                h264(104, "42001f", mode: "0"), h264(116, "4d001f", mode: "1"), h264(39, "4d001f", mode: "0"),
                h264(37, "640c1f", mode: "1"), h264(118, "64001f", mode: "1"),
            ]
        default: []
        }
    }

    static func h264(_ payloadType: UInt8, _ profile: String, mode: String) -> Codec {
        video(
            payloadType, "H264",
            ["level-asymmetry-allowed": "1", "packetization-mode": mode, "profile-level-id": profile])
    }

    /// The retransmission format that goes with a video codec of these tables.
    static func rtx(of payloadType: UInt8, as own: UInt8) -> Codec {
        var codec = Codec(payloadType: own, name: "rtx", clockRate: 90000)
        codec.parameters["apt"] = String(payloadType)
        return codec
    }

    static func extensions(for kind: SDPMediaKind) -> [ExtensionMap] {
        var maps: [ExtensionMap] = []
        if kind == .audio { maps.append(ExtensionMap(id: 1, uri: ExtensionURI.audioLevel)) }
        maps.append(ExtensionMap(id: 2, uri: ExtensionURI.absoluteSendTime))
        if kind == .video { maps.append(ExtensionMap(id: 13, uri: ExtensionURI.videoOrientation)) }
        maps.append(ExtensionMap(id: 3, uri: ExtensionURI.transportWideCC))
        if kind == .video { maps.append(ExtensionMap(id: 5, uri: ExtensionURI.playoutDelay)) }
        maps.append(ExtensionMap(id: 4, uri: ExtensionURI.mid))
        return maps
    }

    private static func audio(
        _ payloadType: UInt8, _ name: String, _ clockRate: Int, channels: Int = 1, _ parameters: FormatParameters = [:]
    ) -> Codec {
        Codec(
            payloadType: payloadType, name: name, clockRate: clockRate, channels: channels,
            parameters: parameters, feedback: audioFeedback)
    }

    private static func video(_ payloadType: UInt8, _ name: String, _ parameters: FormatParameters = [:]) -> Codec {
        Codec(payloadType: payloadType, name: name, clockRate: 90000, parameters: parameters, feedback: videoFeedback)
    }
}

/// Hands out payload types that are unique in a whole BUNDLE group (RFC 9143 §9.1).
struct PayloadTypeAllocator {
    private var used: Set<UInt8> = []

    /// `wished` when it is free, else the next free dynamic one; `nil` when none is left.
    mutating func take(_ wished: UInt8) -> UInt8? {
        if wished < 128, used.insert(wished).inserted { return wished }
        // 96…127 first, then the unassigned 35…63; 64…95 look like RTCP when multiplexed (RFC 5761 §4).
        for candidate in Array(96...127) + Array(35...63) as [UInt8] where used.insert(candidate).inserted { return candidate }
        return nil
    }
}
