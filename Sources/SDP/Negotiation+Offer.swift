// SPDX-License-Identifier: Apache-2.0
// The agent's half, part one: offers as a browser would write them.
import Primitives

extension Negotiation {
    /// An offer to send `tracks`, e.g. to push a stream to another server. Each m-line names the codec of its track and nothing
    /// else, since what is forwarded can't be converted; an H.264 track of a baseline profile is offered under both its common names.
    /// - Parameter streamID: the MediaStream id of all tracks; any text.
    /// - Throws: `.noMedia` when `tracks` is empty.
    public static func offerSending(
        tracks: [TrackFormat], streamID: String, transports: (Int) -> TransportParameters, ssrcs: inout RandomSource,
        extensions: Set<String> = supportedExtensions
    ) throws(NegotiationError) -> Negotiated {
        guard !tracks.isEmpty else { throw .noMedia }
        let sections = tracks.map { (kind: $0.kind, codecs: flavours(for: $0.codec)) }
        return offer(
            sections, direction: .sendonly, streamID: token(streamID), transport: transports(0), random: &ssrcs,
            extensions: extensions)
    }

    /// An offer to receive one track of each of `kinds`, with every codec of `preferences` in that order.
    /// - Throws: `.noMedia` when `kinds` names neither audio nor video, or no known codec is left.
    public static func offerReceiving(
        preferences: CodecPreferences = CodecPreferences(), kinds: [SDPMediaKind] = [.audio, .video],
        transports: (Int) -> TransportParameters, ssrcs: inout RandomSource,
        extensions: Set<String> = supportedExtensions
    ) throws(NegotiationError) -> Negotiated {
        let sections = kinds.map { kind in
            (kind: kind, codecs: preferences.names(for: kind).flatMap { StandardFormats.flavours(of: $0) })
        }.filter { !$0.codecs.isEmpty }
        guard !sections.isEmpty else { throw .noMedia }
        return offer(
            sections, direction: .recvonly, streamID: "stream", transport: transports(0), random: &ssrcs,
            extensions: extensions)
    }

    /// How a source's codec is offered to somebody who shall receive it.
    private static func flavours(for source: Codec) -> [Codec] {
        let known = StandardFormats.flavours(of: source.name)
        let payloadType = CodecMatching.best(for: source, in: known)?.payloadType ?? max(96, source.payloadType)
        var exact = source
        exact.payloadType = payloadType
        exact.feedback = known.first?.feedback ?? StandardFormats.audioFeedback
        switch source.name.lowercased() {
        case "h264":
            let profile = source.parameters["profile-level-id"] ?? "42e01f"
            let mode = source.parameters["packetization-mode"] ?? "1"
            exact.parameters = StandardFormats.h264(payloadType, profile, mode: mode).parameters
            guard H264Profile(profile)?.isBaseline ?? true else { return [exact] }
            // Receivers know the same bits under one name or the other.
            let others = known.filter {
                let other = $0.parameters["profile-level-id"]
                return $0.parameters["packetization-mode"] == mode && (H264Profile(other)?.isBaseline ?? false)
                    && other?.lowercased() != profile.lowercased() && $0.payloadType != payloadType
            }
            return [exact] + others
        case "opus":
            exact.channels = 2
            exact.parameters = known.first?.parameters ?? [:]
            for key in ["stereo", "sprop-stereo"] {
                if let value = source.parameters[key] { exact.parameters[key] = value }
            }
        default:
            if source.parameters.isEmpty { exact.parameters = known.first?.parameters ?? [:] }
        }
        return [exact]
    }

    private static func offer(
        _ sections: [(kind: SDPMediaKind, codecs: [Codec])], direction: Direction, streamID: String,
        transport: TransportParameters, random: inout RandomSource, extensions: Set<String>
    ) -> Negotiated {
        var description = SessionDescription()
        description.origin = origin(&random, address: AnswerBuilder.place(transport).address)
        description.isICELite = transport.isLite
        description.extmapAllowMixed = true
        description.bundleGroups = [sections.indices.map { String($0) }]
        var results: [NegotiatedMedia] = []
        var taken: Set<UInt32> = []
        var payloadTypes = PayloadTypeAllocator()
        for (index, section) in sections.enumerated() {
            var described = MediaDescription(kind: section.kind, mid: String(index), direction: direction)
            described.rtcpMux = true
            described.rtcpReducedSize = true
            described.extensions = StandardFormats.extensions(for: section.kind).filter { extensions.contains($0.uri) }
            let hasTransportCC = described.extensions.contains { $0.uri == ExtensionURI.transportWideCC }
            for var codec in section.codecs {
                guard let payloadType = payloadTypes.take(codec.payloadType) else { break }
                codec.payloadType = payloadType
                if !hasTransportCC { codec.feedback.removeAll { $0 == "transport-cc" } }
                described.codecs.append(codec)
                if section.kind == .video, let own = payloadTypes.take(payloadType + 1) {
                    described.codecs.append(StandardFormats.rtx(of: payloadType, as: own))
                }
            }
            described.formats = described.codecs.map { String($0.payloadType) }

            var result = NegotiatedMedia(
                mLineIndex: index, mid: described.mid, kind: section.kind, direction: direction,
                localSSRC: freshSSRC(&random, taken: &taken))
            result.localSetup = .actpass
            result.extensions = Dictionary(described.extensions.map { ($0.uri, $0.id) }, uniquingKeysWith: { first, _ in first })
            if direction.sends {
                result.trackIndex = index
                result.codec = described.codecs.first
                result.rtx = described.codecs.first.flatMap { described.retransmission(of: $0.payloadType)?.payloadType }
                if result.rtx != nil { result.localRTXSSRC = freshSSRC(&random, taken: &taken) }
                announce(&described, media: result, streamID: streamID)
            }
            AnswerBuilder.apply(transport, setup: .actpass, withCandidates: true, to: &described)
            description.media.append(described)
            results.append(result)
        }
        return Negotiated(description: description, media: results, isBundled: true, transportCount: 1)
    }
}
