// SPDX-License-Identifier: Apache-2.0
// Turns decisions about an offer's m-lines into an answer; used by `Negotiation.answerPublisher` and `.answerPlayer`.
import Primitives

/// Writes an answer section by section: same m-lines, same order, same mids, one transport per BUNDLE group.
struct AnswerBuilder {
    /// What becomes of one offered m-line.
    enum Decision {
        /// Port 0.
        case reject
        /// Nobody sends. Kept alive inside a BUNDLE group, rejected outside: no transport is run for nothing.
        case idle
        /// Media flows: our direction, the offered codec, and the track we send. `others`: what we may change to later.
        case take(Direction, Codec, trackIndex: Int?, others: [Codec] = [])
        /// There is nothing to send yet, but it may come: accepted where another section of its BUNDLE group carries media, so that no
        /// transport is run for nothing.
        case waiting([Codec])
    }

    let offer: SessionDescription
    let wantedExtensions: Set<String>
    /// The MediaStream of everything we send.
    let streamID: String

    func build(
        _ decisions: [Decision], transports: (Int) -> TransportParameters, random: inout RandomSource
    ) throws(NegotiationError) -> Negotiated {
        let bundles = Negotiation.bundles(of: offer)
        try checkMids()
        let decisions = settle(decisions, bundles)
        guard decisions.contains(where: { if case .take = $0 { true } else { false } }) else { throw .noMedia }

        var answer = SessionDescription()
        answer.extmapAllowMixed = offer.extmapAllowMixed
        var ours: [TransportParameters] = []
        var transportOfBundle: [Int: Int] = [:]
        var taken: Set<UInt32> = []
        for section in offer.media { taken.formUnion(section.sources.map(\.ssrc)) }
        var results: [NegotiatedMedia] = []

        for (index, section) in offer.media.enumerated() {
            if case .reject = decisions[index] {
                answer.media.append(Self.rejection(of: section))
                var rejected = NegotiatedMedia(mLineIndex: index, mid: section.mid, kind: section.kind, direction: .inactive)
                rejected.isWanted = !section.rejected && section.direction.receives
                results.append(rejected)
                continue
            }
            let known = bundles[index].flatMap { transportOfBundle[$0] }
            let transportIndex = known ?? ours.count
            if known == nil {
                ours.append(transports(transportIndex))
                if let bundle = bundles[index] { transportOfBundle[bundle] = transportIndex }
            }
            let transport = ours[transportIndex]
            let speaker = Self.speaker(for: index, bundle: bundles[index], in: offer)

            var result = NegotiatedMedia(
                mLineIndex: index, mid: section.mid, kind: section.kind, direction: .inactive,
                localSSRC: Negotiation.freshSSRC(&random, taken: &taken))
            result.transportIndex = transportIndex
            result.isWanted = section.direction.receives
            try Negotiation.setRemote(of: &result, from: speaker, isLite: offer.isICELite)
            result.localSetup = Self.role(offered: speaker.setup, wished: transport.setup)

            var described = self.section(answering: section, decisions[index], result: &result, random: &random, taken: &taken)
            Self.apply(transport, setup: result.localSetup, withCandidates: known == nil, to: &described)
            answer.media.append(described)
            results.append(result)
        }

        answer.isICELite = ours.contains { $0.isLite }
        answer.origin = Negotiation.origin(&random, address: ours.first.map { Self.place($0).address } ?? "0.0.0.0")
        for group in offer.bundleGroups {
            let kept = group.filter { mid in answer.media.contains { $0.mid == mid && !$0.rejected } }
            if !kept.isEmpty { answer.bundleGroups.append(kept) }
        }
        return Negotiated(
            description: answer, media: results, isBundled: ours.count == 1 && !answer.bundleGroups.isEmpty,
            transportCount: ours.count)
    }

    private func checkMids() throws(NegotiationError) {
        var seen: Set<String> = []
        for mid in offer.media.compactMap(\.mid) where !seen.insert(mid).inserted {
            throw .malformed("Two m-lines have the same mid \"\(mid.prefix(32))\"")
        }
    }

    /// Idle m-lines outside a BUNDLE group that carries media are rejected.
    private func settle(_ decisions: [Decision], _ bundles: [Int?]) -> [Decision] {
        var live: Set<Int> = []
        for (decision, bundle) in zip(decisions, bundles) {
            if case .take = decision, let bundle { live.insert(bundle) }
        }
        return zip(decisions, bundles).map { decision, bundle in
            let isInUse = bundle.map { live.contains($0) } ?? false
            switch decision {
            case .idle: return isInUse ? .idle : .reject
            case .waiting(let codecs):
                guard isInUse, let first = codecs.first else { return .reject }
                return .take(.sendonly, first, trackIndex: nil, others: Array(codecs.dropFirst()))
            case .reject, .take: return decision
            }
        }
    }

    private func section(
        answering section: MediaDescription, _ decision: Decision, result: inout NegotiatedMedia,
        random: inout RandomSource, taken: inout Set<UInt32>
    ) -> MediaDescription {
        var described = MediaDescription(
            kind: section.kind, proto: section.proto, formats: [], mid: section.mid, direction: .inactive)
        described.rtcpMux = true
        described.rtcpReducedSize = section.rtcpReducedSize
        described.extmapAllowMixed = section.extmapAllowMixed
        guard case .take(let direction, let offered, let trackIndex, let others) = decision else {
            // An inactive section must still name a format; nothing will be sent in it.
            let codec = section.codecs.first { !$0.isAuxiliary }
            described.codecs = codec.map { [$0] } ?? []
            for index in described.codecs.indices { described.codecs[index].feedback = [] }
            described.formats = codec.map { [String($0.payloadType)] } ?? Array(section.formats.prefix(1))
            return described
        }
        let maps = Negotiation.extensions(
            of: section, wanted: wantedExtensions, direction: direction,
            allowsTwoByte: offer.extmapAllowMixed || section.extmapAllowMixed)
        result.direction = direction
        result.trackIndex = trackIndex
        result.extensions = Dictionary(maps.map { ($0.uri, $0.id) }, uniquingKeysWith: { first, _ in first })
        var codec = offered
        if direction.receives {
            codec.dropLimits()
        }
        codec.feedback = Negotiation.feedback(of: offered, in: section, extensions: result.extensions)
        result.codec = codec
        var rtx = section.retransmission(of: codec.payloadType)
        rtx?.feedback = []
        result.rtx = rtx?.payloadType
        if direction.receives { result.remoteSources = Negotiation.remoteSources(of: section) }

        described.direction = direction
        described.extensions = maps
        described.codecs = [codec] + (rtx.map { [$0] } ?? [])
        if direction.sends || !others.isEmpty {
            result.alternatives = [AgreedCodec(codec: codec, rtx: rtx?.payloadType)]
            for other in others where !result.alternatives.contains(where: { $0.codec.payloadType == other.payloadType }) {
                var other = other, rtx = section.retransmission(of: other.payloadType)
                if direction.receives { other.dropLimits() }
                other.feedback = Negotiation.feedback(of: other, in: section, extensions: result.extensions)
                rtx?.feedback = []
                result.alternatives.append(AgreedCodec(codec: other, rtx: rtx?.payloadType))
                described.codecs += [other] + (rtx.map { [$0] } ?? [])
            }
        }
        described.formats = described.codecs.map { String($0.payloadType) }
        if direction.sends {
            if result.alternatives.contains(where: { $0.rtx != nil }) { result.localRTXSSRC = Negotiation.freshSSRC(&random, taken: &taken) }
            Negotiation.announce(&described, media: result, streamID: streamID)
        }
        return described
    }

    private static func rejection(of section: MediaDescription) -> MediaDescription {
        var described = MediaDescription(
            kind: section.kind, port: 0, proto: section.proto, mid: section.mid, direction: .inactive)
        described.connectionAddress = "0.0.0.0"
        described.rtcpMux = section.rtcpMux || section.kind == .audio || section.kind == .video
        // RFC 3264 §6 wants at least one format even here; one is enough.
        described.formats = section.formats.isEmpty ? ["0"] : Array(section.formats.prefix(1))
        described.codecs = section.codecs.filter { described.formats.contains(String($0.payloadType)) }.map {
            var codec = $0
            codec.feedback = []
            return codec
        }
        return described
    }

    /// The section whose ICE and DTLS attributes hold for m-line `index`: the first complete one of its BUNDLE group.
    static func speaker(for index: Int, bundle: Int?, in description: SessionDescription) -> MediaDescription {
        let own = description.media[index]
        guard let bundle else { return own }
        for mid in description.bundleGroups[bundle] {
            if let section = description.media.first(where: { $0.mid == mid }),
                section.iceUfrag != nil, section.icePwd != nil, !section.fingerprints.isEmpty
            {
                return section
            }
        }
        return own
    }

    /// RFC 8842 §5.3: the answerer chooses only when the offerer left it the choice.
    private static func role(offered: Setup?, wished: Setup) -> Setup {
        switch offered {
        case .active: .passive
        case .passive: .active
        default: wished == .active ? .active : .passive
        }
    }

    /// The address and port for the c= and m= lines.
    static func place(_ transport: TransportParameters) -> (address: String, port: Int) {
        guard let first = transport.candidates.first(where: { $0.component == 1 }) else { return ("0.0.0.0", 9) }
        return (first.address, Int(first.port))
    }

    static func apply(_ transport: TransportParameters, setup: Setup, withCandidates: Bool, to section: inout MediaDescription) {
        let place = place(transport)
        section.connectionAddress = place.address
        section.port = place.port
        section.iceUfrag = transport.iceUfrag
        section.icePwd = transport.icePwd
        section.fingerprints = [transport.fingerprint]
        section.setup = setup
        if withCandidates, !transport.candidates.isEmpty {
            section.candidates = transport.candidates
            section.endOfCandidates = true
        }
    }
}

extension Codec {
    /// Limits of the other side's decoder; an echo would limit what it may send to us.
    fileprivate mutating func dropLimits() {
        for key in ["max-fs", "max-fr"] { parameters[key] = nil }
    }
}
