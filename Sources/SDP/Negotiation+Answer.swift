// SPDX-License-Identifier: Apache-2.0
// The server's half: answers to publishers and to players.
import Primitives

extension Negotiation {
    /// Answers somebody who wants to send. One m-line per kind is accepted, each with ONE codec (the first of
    /// `preferences` that the offer has) and its retransmissions; the rest is made inactive or rejected.
    /// - Parameters:
    ///   - namesAll: behind that codec the others of `preferences` that the offer has are named as well, and may be sent at any time:
    ///     publishers that have only one of them fail without (Pion), while browsers send the first.
    ///   - transports: gives our parameters of transport 0, 1, …; asked once per transport, in order.
    ///   - ssrcs: the generator of SSRCs and of the session id.
    ///   - extensions: header extensions to accept; leave `ExtensionURI.transportWideCC` out to get REMB only.
    /// - Throws: `.noCommonCodecs`, `.noMedia` when the offer sends nothing, `.malformed`.
    public static func answerPublisher(
        offer: SessionDescription, preferences: CodecPreferences = CodecPreferences(), namesAll: Bool = false,
        transports: (Int) -> TransportParameters, ssrcs: inout RandomSource,
        extensions: Set<String> = supportedExtensions
    ) throws(NegotiationError) -> Negotiated {
        var kinds: Set<SDPMediaKind> = []
        var decisions: [AnswerBuilder.Decision] = []
        for section in offer.media {
            guard isMedia(section) else { decisions.append(.reject); continue }
            guard section.direction.sends, !kinds.contains(section.kind) else { decisions.append(.idle); continue }
            let names = preferences.names(for: section.kind)
            let codec = names.lazy.compactMap { CodecMatching.preferred($0, in: section.codecs) }.first
            guard let codec else { throw .noCommonCodecs }
            kinds.insert(section.kind)
            let others = namesAll ? names.flatMap { name in alternatives(in: section).filter { $0.isNamed(name) } } : []
            decisions.append(.take(.recvonly, codec, trackIndex: nil, others: others))
        }
        let builder = AnswerBuilder(offer: offer, wantedExtensions: extensions, streamID: "stream")
        return try builder.build(decisions, transports: transports, random: &ssrcs)
    }

    /// Answers somebody who wants to receive `tracks`. Everything sent carries the same MediaStream id, because players
    /// show one MediaStream only. Each section names all codecs that both sides know, the track's first, so that the source may change.
    /// Audio that the stream lacks is accepted within a BUNDLE group, since it may still come and an audio track without packets
    /// disturbs nobody. Video that it lacks is made inactive (rejected outside a BUNDLE group): browsers play nothing of a stream, not even
    /// its audio, before the first frame of a video track.
    /// - Parameters:
    ///   - tracks: at most one per m-line of its kind is sent, in order. Of a track and its converted forms the first that the player
    ///     can take is sent.
    ///   - streamID: any text; reduced to what SDP allows.
    ///   - leavesOutAudio: audio in no form that the player can take is made inactive where it gets video.
    ///   - transports: gives our parameters of transport 0, 1, …; asked once per transport, in order.
    /// - Throws: `.noCommonCodecs` when a track that the player asks for has no compatible payload type in the offer,
    ///   `.noMedia` when it asks for nothing that the stream has, `.malformed`.
    public static func answerPlayer(
        offer: SessionDescription, tracks: [TrackFormat], streamID: String, leavesOutAudio: Bool = false,
        transports: (Int) -> TransportParameters, ssrcs: inout RandomSource,
        extensions: Set<String> = supportedExtensions
    ) throws(NegotiationError) -> Negotiated {
        var sent: Set<Int> = [], hasVideo = false, lacksAudio = false
        var decisions: [AnswerBuilder.Decision] = []
        for section in offer.media {
            guard isMedia(section) else { decisions.append(.reject); continue }
            let next = tracks.indices.first { tracks[$0].kind == section.kind && tracks[$0].converts == nil && !sent.contains($0) }
            guard section.direction.receives, let origin = next else {
                let isAwaited = section.direction.receives && section.kind == .audio && !tracks.contains { $0.kind == .audio }
                decisions.append(isAwaited ? .waiting(alternatives(in: section)) : .idle)
                continue
            }
            let forms = [origin] + tracks.indices.filter { tracks[$0].converts == origin }
            var found: (track: Int, codec: Codec)?
            for form in forms where found == nil && tracks[form].isRealTime {
                found = CodecMatching.best(for: tracks[form].codec, in: section.codecs).map { (form, $0) }
            }
            sent.insert(origin)
            guard let (track, codec) = found else {
                guard leavesOutAudio, section.kind == .audio else { throw .noCommonCodecs }
                lacksAudio = true
                decisions.append(.idle)
                continue
            }
            if section.kind == .video { hasVideo = true }
            decisions.append(.take(.sendonly, codec, trackIndex: track, others: alternatives(in: section)))
        }
        guard hasVideo || !lacksAudio else { throw .noCommonCodecs }
        let builder = AnswerBuilder(offer: offer, wantedExtensions: extensions, streamID: token(streamID))
        return try builder.build(decisions, transports: transports, random: &ssrcs)
    }

    /// What both sides know of an offered section, each codec (of H.264 each usual profile) once, in the order of our own offers.
    private static func alternatives(in section: MediaDescription) -> [Codec] {
        let names = section.kind == .audio ? ["opus", "PCMU", "PCMA", "G722"] : ["H264", "VP8", "VP9", "AV1", "H265"]
        var found: [Codec] = []
        for flavour in names.flatMap(StandardFormats.flavours) where flavour.parameters["packetization-mode"] != "0" {
            guard let codec = CodecMatching.best(for: flavour, in: section.codecs),
                !found.contains(where: { $0.payloadType == codec.payloadType })
            else { continue }
            found.append(codec)
        }
        return found
    }

    private static func isMedia(_ section: MediaDescription) -> Bool {
        (section.kind == .audio || section.kind == .video) && !section.rejected && carriesSRTP(section.proto)
    }

    /// Writes msid, ssrc and FID lines of what we send into `section`.
    static func announce(_ section: inout MediaDescription, media: NegotiatedMedia, streamID: String) {
        let msid = MediaStreamID(stream: streamID, track: "\(streamID)-\(section.kind.token)\(media.mLineIndex)")
        section.msid = msid
        section.sources = [MediaSource(ssrc: media.localSSRC, cname: streamID, msid: msid)]
        if let rtx = media.localRTXSSRC {
            section.sources.append(MediaSource(ssrc: rtx, cname: streamID, msid: msid))
            section.sourceGroups = [SourceGroup(semantics: "FID", ssrcs: [media.localSSRC, rtx])]
        }
    }
}

extension Negotiation {
    /// What of `tracks` somebody who offers `offer` can't take as it is, and the codecs of ours that he can, most wanted first: none when
    /// there are none. A track's own codec is among them where only its profile stands in the way.
    public static func conversionsNeeded(offer text: String, tracks: [TrackFormat]) -> [(track: Int, targets: [String])] {
        guard let offer = try? SessionDescription(parsing: text) else { return [] }
        var sent: Set<Int> = []
        var needed: [(track: Int, targets: [String])] = []
        for section in offer.media where isMedia(section) && section.direction.receives {
            guard let origin = tracks.indices.first(where: { tracks[$0].kind == section.kind && tracks[$0].converts == nil && !sent.contains($0) })
            else { continue }
            sent.insert(origin)
            let forms = [origin] + tracks.indices.filter { tracks[$0].converts == origin }
            if forms.contains(where: { tracks[$0].isRealTime && CodecMatching.best(for: tracks[$0].codec, in: section.codecs) != nil }) { continue }
            let wishes = section.kind == .audio ? ["opus", "PCMU", "PCMA"] : ["H264", "VP8"]
            needed.append((origin, wishes.filter { wish in
                StandardFormats.flavours(of: wish).contains { CodecMatching.best(for: $0, in: section.codecs) != nil }
            }))
        }
        return needed
    }
}
