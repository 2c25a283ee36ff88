// SPDX-License-Identifier: Apache-2.0
// Which payload types of two descriptions mean the same bits on the wire. Used by every negotiation.

/// Codec compatibility: names, clock rates, and the parameters that change the bitstream.
enum CodecMatching {
    /// True when the two are the same encoding, parameters aside.
    static func sameEncoding(_ a: Codec, _ b: Codec) -> Bool {
        guard a.name.lowercased() == b.name.lowercased(), a.clockRate == b.clockRate else { return false }
        // RFC 7587 §7 wants opus/48000/2 whatever is sent; some peers forget the channels.
        return a.isNamed("opus") || a.channels == b.channels
    }

    /// How well a receiver that declares `sink` can decode what `source` describes; `nil` = not at all. Higher is better.
    /// A sink without fmtp line is taken at its name, as the last resort.
    static func score(source: Codec, sink: Codec) -> Int? {
        guard sameEncoding(source, sink), !sink.isAuxiliary else { return nil }
        switch source.name.lowercased() {
        case "h264": return h264Score(source: source, sink: sink)
        case "vp9": return equalScore(source, sink, key: "profile-id", fallback: "0")
        case "av1": return equalScore(source, sink, key: "profile", fallback: "0")
        case "h265": return equalScore(source, sink, key: "profile-id", fallback: "1")
        default: return 1
        }
    }

    /// The best payload type of `codecs` for `source`; the receiver's order decides between equals.
    static func best(for source: Codec, in codecs: [Codec]) -> Codec? {
        var best: (codec: Codec, score: Int)?
        for codec in codecs {
            if let score = score(source: source, sink: codec), score > best?.score ?? .min { best = (codec, score) }
        }
        return best?.codec
    }

    /// The payload type to take from a publisher that offers `name` in several flavours: the one most players can decode.
    static func preferred(_ name: String, in codecs: [Codec]) -> Codec? {
        var best: (codec: Codec, score: Int)?
        for codec in codecs where codec.isNamed(name) && !codec.isAuxiliary {
            let score: Int
            switch name.lowercased() {
            case "h264":
                let profile = H264Profile(codec.parameters["profile-level-id"])
                // Packetization mode first: without FU-A every slice has to fit a packet.
                score = (codec.parameters["packetization-mode"] == "1" ? 100 : 0) + (profile?.reach ?? 0)
            case "vp9": score = (codec.parameters["profile-id"] ?? "0") == "0" ? 1 : 0
            case "av1": score = (codec.parameters["profile"] ?? "0") == "0" ? 1 : 0
            default: score = 0
            }
            if score > best?.score ?? .min { best = (codec, score) }
        }
        return best?.codec
    }

    private static func equalScore(_ source: Codec, _ sink: Codec, key: String, fallback: String) -> Int? {
        if sink.parameters.isEmpty { return 1 }
        return (source.parameters[key] ?? fallback) == (sink.parameters[key] ?? fallback) ? 2 : nil
    }

    /// Levels are not compared: browsers declare 3.1 whatever they can do, and set level-asymmetry-allowed.
    private static func h264Score(source: Codec, sink: Codec) -> Int? {
        guard !sink.parameters.isEmpty else { return 1 }
        // A missing or unreadable profile says nothing about the sender; RFC 6184 §8.1 makes it Baseline for the receiver.
        let from = H264Profile(source.parameters["profile-level-id"]) ?? .constrainedBaseline
        let to = H264Profile(sink.parameters["profile-level-id"]) ?? .constrainedBaseline
        guard let fit = to.fit(for: from) else { return nil }
        // A source in mode 1 sends FU-A and STAP-A. Receivers that declare mode 0 only do decode these in practice
        // (there is one depacketiser), but only when nothing better is on offer.
        let sameMode = (source.parameters["packetization-mode"] ?? "0") == (sink.parameters["packetization-mode"] ?? "0")
        return fit * 10 + (sameMode ? 1000 : 10)
    }
}
