// SPDX-License-Identifier: Apache-2.0
// The agent's half, part two: reading the answer to an offer of ours.

extension Negotiation {
    /// Applies `answer` to an `offer` made by `offerSending` or `offerReceiving`.
    ///
    /// Tolerated, because servers do it: RTP/SAVPF, no group line (then each m-line has its own transport), no setup (the peer is
    /// active), no mid (matched by position), fewer m-lines (the rest counts as rejected), candidates of two components
    /// (the second is dropped) or of TCP, no msid, several codecs (the first that was offered counts).
    /// - Returns: the offer's description with what was agreed on per m-line.
    /// - Throws: `.mismatch`, `.noMedia` when every m-line was refused, `.noCommonCodecs`, `.malformed`.
    public static func accept(answer: SessionDescription, for offer: Negotiated) throws(NegotiationError) -> Negotiated {
        guard answer.media.count <= offer.media.count else {
            throw .mismatch("The answer has \(answer.media.count) m-lines, the offer has \(offer.media.count)")
        }
        let order = try sections(of: answer, for: offer)
        var answer = answer
        for (index, position) in order.enumerated() {
            if let position, answer.media[position].mid == nil { answer.media[position].mid = offer.media[index].mid }
        }
        let bundles = bundles(of: answer)
        var transportOfBundle: [Int: Int] = [:]
        var transportCount = 0
        var results: [NegotiatedMedia] = []
        var sawCodecs = true
        for (index, offered) in offer.media.enumerated() {
            var result = offered
            result.codec = nil
            result.rtx = nil
            result.alternatives = []
            result.remoteSources = []
            result.transportIndex = 0
            guard let position = order[index] else { results.append(refuse(result)); continue }
            let section = answer.media[position]
            let theirs = section.direction.reversed
            result.direction = Direction(
                sends: offered.direction.sends && theirs.sends, receives: offered.direction.receives && theirs.receives)
            guard !section.rejected, result.direction != .inactive else { results.append(refuse(result)); continue }
            guard carriesSRTP(section.proto) else {
                throw .malformed("m-line \(position) of the answer has protocol \(section.proto.prefix(40)), which has no DTLS-SRTP")
            }
            guard agree(on: &result, section: section, offered: offer.description.media[index]) else {
                sawCodecs = false
                results.append(refuse(result))
                continue
            }
            let speaker = AnswerBuilder.speaker(for: position, bundle: bundles[position], in: answer)
            try setRemote(of: &result, from: speaker, isLite: answer.isICELite)
            // A peer without a=setup is active: old servers, and what Chromium assumes.
            result.localSetup = speaker.setup == .passive || speaker.setup == .actpass ? .active : .passive
            if let bundle = bundles[position], let known = transportOfBundle[bundle] {
                result.transportIndex = known
            } else {
                result.transportIndex = transportCount
                if let bundle = bundles[position] { transportOfBundle[bundle] = transportCount }
                transportCount += 1
            }
            results.append(result)
        }
        guard transportCount > 0 else { throw sawCodecs ? .noMedia : .noCommonCodecs }
        return Negotiated(
            description: offer.description, media: results, isBundled: transportCount == 1 && !answer.bundleGroups.isEmpty,
            transportCount: transportCount)
    }

    private static func refuse(_ media: NegotiatedMedia) -> NegotiatedMedia {
        var media = media
        media.direction = .inactive
        media.codec = nil
        media.extensions = [:]
        return media
    }

    /// For each offered m-line the position of its section in the answer: by mid where the answer has it, else by position.
    private static func sections(of answer: SessionDescription, for offer: Negotiated) throws(NegotiationError) -> [Int?] {
        var result: [Int?] = []
        for (index, offered) in offer.media.enumerated() {
            let byMid = offered.mid.flatMap { mid in answer.media.firstIndex { $0.mid == mid } }
            let hasForeignMid = answer.media.indices.contains(index) && answer.media[index].mid.map { mid in
                mid != offered.mid && offer.media.contains { $0.mid == mid }
            } ?? false
            let position = byMid ?? (answer.media.indices.contains(index) && !hasForeignMid ? index : nil)
            if let position, answer.media[position].kind != offered.kind {
                throw .mismatch(
                    "m-line \(position) of the answer is \(answer.media[position].kind.token.prefix(16)), \(offered.kind.token) was offered")
            }
            result.append(position)
        }
        return result
    }

    /// Settles codec, retransmission and extensions; false when the answer names no codec of the offer.
    private static func agree(on result: inout NegotiatedMedia, section: MediaDescription, offered: MediaDescription) -> Bool {
        var isAgreed = false
        for theirs in section.codecs where !theirs.isAuxiliary {
            // Normally the number of our offer comes back; a peer may also use one of its own (RFC 3264 §6.1).
            let same = offered.codec(payloadType: theirs.payloadType).flatMap { CodecMatching.sameEncoding($0, theirs) ? $0 : nil }
            guard let ours = same ?? CodecMatching.best(for: theirs, in: offered.codecs) else { continue }
            let maps = extensions(
                of: section, wanted: Set(offered.extensions.map(\.uri)), direction: result.direction, allowsTwoByte: true)
            result.extensions = Dictionary(maps.map { ($0.uri, $0.id) }, uniquingKeysWith: { first, _ in first })
            var codec = theirs
            codec.feedback = theirs.feedback.filter {
                ours.feedback.contains($0) && ($0 != "transport-cc" || result.extensions[ExtensionURI.transportWideCC] != nil)
            }
            // An answer may leave the parameters to the offer.
            if codec.parameters.isEmpty { codec.parameters = ours.parameters }
            result.alternatives.append(AgreedCodec(codec: codec, rtx: section.retransmission(of: codec.payloadType)?.payloadType))
            if isAgreed { continue }
            isAgreed = true
            result.codec = codec
            result.rtx = section.retransmission(of: codec.payloadType)?.payloadType
            if result.rtx == nil { result.localRTXSSRC = nil }
            if result.direction.receives { result.remoteSources = remoteSources(of: section) }
        }
        return isAgreed
    }
}
