// SPDX-License-Identifier: Apache-2.0
// Answers of the server to publishers and players, judged by what the offerer would do with them.
import Primitives
import SDP
import Testing

@Suite struct NegotiationAnswerTests {
    /// The rules that every answer has to keep whatever was offered.
    private func expectWellFormed(_ result: Negotiated, for text: String) throws {
        let offer = try Support.parse(text)
        let answer = try SessionDescription(parsing: result.description.serialized())
        #expect(answer == result.description)
        #expect(answer.isICELite)
        #expect(answer.media.map(\.kind) == offer.media.map(\.kind))
        #expect(answer.media.map(\.mid) == offer.media.map(\.mid))
        #expect(result.media.map(\.mLineIndex) == Array(offer.media.indices))
        for (section, offered) in zip(answer.media, offer.media) {
            #expect(section.formats.allSatisfy { offered.formats.contains($0) })
            #expect(section.proto == offered.proto)
            guard !section.rejected else { continue }
            #expect(section.rtcpMux)
            #expect(section.setup == .passive || section.setup == .active)
            #expect(section.iceUfrag != nil && section.icePwd != nil && section.fingerprints == [Support.fingerprint])
            #expect(!section.formats.isEmpty)
        }
        let streams = Set(answer.media.filter { $0.direction.sends }.map { $0.msid?.stream })
        #expect(streams.count <= 1)
    }

    @Test("a Chromium publisher is asked for opus and constrained baseline H264 in packetization mode 1")
    func chromiumPublisher() throws {
        let result = try Support.publish(Fixtures.chromiumPublish)
        try expectWellFormed(result, for: Fixtures.chromiumPublish)
        #expect(result.isBundled && result.transportCount == 1)
        let audio = result.media[0], video = result.media[1]
        #expect(audio.direction == .recvonly && video.direction == .recvonly)
        #expect(audio.codec?.payloadType == 111)
        #expect(video.codec?.payloadType == 108 && video.rtx == 109)
        #expect(video.codec?.parameters["profile-level-id"] == "42e01f")
        #expect(video.nack && video.pli && video.fir && video.transportCC && video.remb)
        #expect(!audio.nack && audio.transportCC)
        #expect(video.remoteSources == [RemoteSource(ssrc: 4_199_982_373, rtx: 665_080_627)])
        #expect(audio.remoteSources == [RemoteSource(ssrc: 3_867_551_634)])
        #expect(video.remoteUfrag == "WaTa" && video.remoteSetup == .actpass && video.localSetup == .passive && !video.remoteIsLite)
        #expect(video.extensions == [
            ExtensionURI.absoluteSendTime: 2, ExtensionURI.videoOrientation: 13, ExtensionURI.transportWideCC: 3,
            ExtensionURI.playoutDelay: 5, ExtensionURI.mid: 4,
        ])
        let sections = result.description.media
        #expect(sections[1].formats == ["108", "109"])
        #expect(sections[0].candidates.count == 1 && sections[0].endOfCandidates && sections[1].candidates.isEmpty)
        #expect(sections.allSatisfy { $0.port == 31000 && $0.connectionAddress == "203.0.113.7" })
        #expect(sections.allSatisfy { $0.msid == nil && $0.sources.isEmpty })
        #expect(result.description.bundleGroups == [["0", "1"]])
    }

    @Test("a publisher that chooses is told all codecs that are taken, the most wanted first, each with its retransmissions")
    func choosingPublisher() throws {
        var random = RandomSource.seeded(1)
        let result = try Negotiation.answerPublisher(
            offer: Support.parse(Fixtures.chromiumPublish), preferences: CodecPreferences(video: ["VP8", "H264"], audio: ["opus"]), namesAll: true,
            transports: Support.server, ssrcs: &random)
        try expectWellFormed(result, for: Fixtures.chromiumPublish)
        let video = result.media[1], codecs = result.description.media[1].codecs
        #expect(video.codec?.name == "VP8" && codecs.first?.name == "VP8" && codecs.dropFirst().first?.name == "rtx")
        #expect(Set(codecs.filter { !$0.isAuxiliary }.map(\.name)) == ["VP8", "H264"])
        #expect(video.alternatives.allSatisfy { $0.rtx != nil } && video.alternatives.count >= 3)
        #expect(codecs.allSatisfy { $0.parameters["max-fs"] == nil } && video.localRTXSSRC == nil)
        #expect(result.media[0].alternatives.map(\.codec.name) == ["opus"])
    }

    @Test("a Firefox publisher without H264 is asked for VP8, not limited to its own decoder's size")
    func firefoxPublisher() throws {
        let result = try Support.publish(Fixtures.firefoxPublish)
        try expectWellFormed(result, for: Fixtures.firefoxPublish)
        #expect(result.media[0].codec?.payloadType == 109)
        #expect(result.media[0].codec?.parameters["stereo"] == "1")
        #expect(result.media[1].codec?.payloadType == 120 && result.media[1].rtx == 124)
        #expect(result.media[1].codec?.parameters["max-fs"] == nil)
        #expect(result.media[1].remoteFingerprints.count == 1)
        // Firefox only takes playout-delay, it does not send it.
        #expect(result.media[1].extensions[ExtensionURI.playoutDelay] == nil)
        #expect(result.media[1].extensions[ExtensionURI.transportWideCC] == 7)
    }

    @Test("an aiortc publisher keeps its own numbers, and its addresses are known")
    func aiortcPublisher() throws {
        let result = try Support.publish(Fixtures.aiortc)
        try expectWellFormed(result, for: Fixtures.aiortc)
        #expect(result.media[0].codec?.payloadType == 96)
        #expect(result.media[1].codec?.payloadType == 101 && result.media[1].rtx == 102)
        #expect(result.media[1].direction == .recvonly)
        #expect(!result.media[1].transportCC && result.media[1].remb)
        #expect(result.media[0].remoteCandidates.map(\.address) == ["192.0.2.44", "198.51.100.7"])
        #expect(result.media[0].remoteFingerprints.map(\.algorithm) == ["sha-256", "sha-384"])
    }

    @Test("the order of preferences decides which codec a publisher is asked for")
    func preferences() throws {
        let vp9 = try Support.publish(Fixtures.chromiumPublish, CodecPreferences(video: ["H265", "VP9", "VP8"], audio: ["PCMA", "opus"]))
        #expect(vp9.media[1].codec?.payloadType == 98 && vp9.media[1].rtx == 99)
        #expect(vp9.media[0].codec?.name == "PCMA" && vp9.media[0].codec?.payloadType == 8)
        #expect(throws: NegotiationError.noCommonCodecs) {
            try Support.publish(Fixtures.chromiumPublish, CodecPreferences(video: ["H265"], audio: ["opus"]))
        }
    }

    @Test("transport-cc feedback is not accepted without its header extension")
    func withoutTransportCC() throws {
        var random = RandomSource.seeded(3)
        let result = try Negotiation.answerPublisher(
            offer: Support.parse(Fixtures.chromiumPublish), transports: Support.server, ssrcs: &random,
            extensions: [ExtensionURI.mid])
        #expect(!result.media[1].transportCC && result.media[1].remb)
        #expect(!result.description.serialized().contains("transport-cc"))
        #expect(!result.description.serialized().contains("3gpp"))
    }

    @Test("a publisher whose codecs were stripped from the text by numeric prefix still has feedback")
    func strippedCodecs() throws {
        // Removing G722 (9) takes the fmtp and rtcp-fb lines of 90…99 along, VP8's among them.
        let text = Support.strippingCodecs(Fixtures.chromiumPublish, ["G722", "H264"])
        #expect(!text.contains("a=rtcp-fb:96") && !text.contains("apt=96"))
        let result = try Support.publish(text)
        try expectWellFormed(result, for: text)
        #expect(result.media[1].codec?.name == "VP8")
        #expect(result.media[1].rtx == nil)
        #expect(result.media[1].nack && result.media[1].pli)
    }

    @Test("retransmission formats of removed codecs are left alone")
    func danglingRetransmissions() throws {
        let text = Support.strippingCodecs(Fixtures.chromiumPublish, ["h264", "PCMU"])
        #expect(text.contains("apt=108"))
        let result = try Support.publish(text)
        try expectWellFormed(result, for: text)
        #expect(result.media[1].codec?.name == "VP8" && result.media[1].rtx == 97)
    }

    @Test("without a BUNDLE group every m-line gets a transport of its own")
    func unbundled() throws {
        let text = Support.without(Fixtures.chromiumPublish, "a=group")
        let result = try Support.publish(text)
        try expectWellFormed(result, for: text)
        #expect(!result.isBundled && result.transportCount == 2)
        #expect(result.media.map(\.transportIndex) == [0, 1])
        #expect(result.description.media.map(\.port) == [31000, 31001])
        #expect(result.description.media.map(\.iceUfrag) == ["srv0", "srv1"])
        #expect(result.description.media.allSatisfy { $0.candidates.count == 1 })
        #expect(result.description.bundleGroups.isEmpty)
    }

    @Test("a Chromium player gets both tracks in one MediaStream under its own payload types")
    func chromiumPlayer() throws {
        let result = try Support.play(Fixtures.chromiumPlay, [Support.opus, Support.h264(payloadType: 101)])
        try expectWellFormed(result, for: Fixtures.chromiumPlay)
        let audio = result.media[0], video = result.media[1]
        #expect(audio.direction == .sendonly && video.direction == .sendonly)
        #expect(video.codec?.payloadType == 108 && video.rtx == 109 && video.trackIndex == 1)
        #expect(video.localSSRC != audio.localSSRC && video.localRTXSSRC != nil && audio.localRTXSSRC == nil)
        let sections = result.description.media
        #expect(sections.map { $0.msid?.stream } == ["room1", "room1"])
        #expect(sections[0].msid?.track != sections[1].msid?.track)
        #expect(sections[1].sourceGroups == [SourceGroup(semantics: "FID", ssrcs: [video.localSSRC, video.localRTXSSRC ?? 0])])
        #expect(sections[1].sources.map(\.ssrc) == [video.localSSRC, video.localRTXSSRC])
    }

    @Test("an answer to a player names the track's codec first, and all others that the source may change to")
    func codecsToChangeTo() throws {
        let result = try Support.play(Fixtures.chromiumPlay, [Support.opus, Support.vp8])
        let video = result.media[1]
        #expect(result.description.media[1].formats.prefix(2) == ["96", "97"])
        #expect(video.alternatives.map(\.codec.name) == ["VP8", "H264", "H264", "H264", "H264", "VP9", "AV1"])
        #expect(video.alternatives.allSatisfy { $0.rtx != nil && $0.codec.feedback.contains("nack pli") })
        #expect(video.agreement(for: Support.h264("64001f"))?.codec.payloadType == 41)
        #expect(video.agreement(for: Support.h264())?.rtx == 109)
        #expect(video.agreement(for: Support.opus) == nil)
        #expect(result.media[0].alternatives.map(\.codec.name) == ["opus", "PCMU", "PCMA", "G722"])
        var reordered = Support.h264()
        reordered.isReordered = true
        #expect(video.agreement(for: reordered) == nil)
    }

    @Test("a Firefox player gets VP8 under its own number and takes playout-delay")
    func firefoxPlayer() throws {
        let result = try Support.play(Fixtures.firefoxPlay, [Support.opus, Support.vp8])
        try expectWellFormed(result, for: Fixtures.firefoxPlay)
        #expect(result.media[0].codec?.payloadType == 109)
        #expect(result.media[1].codec?.payloadType == 120 && result.media[1].rtx == 124)
        #expect(result.media[1].extensions[ExtensionURI.playoutDelay] == 6)
        #expect(result.description.serialized().contains("a=extmap:6/sendonly "))
    }

    @Test("a player without the stream's codec is told so")
    func noCommonCodec() {
        #expect(throws: NegotiationError.noCommonCodecs) { try Support.play(Fixtures.firefoxPlay, [Support.opus, Support.h264()]) }
        #expect(throws: NegotiationError.noCommonCodecs) { try Support.play(Fixtures.aiortc, [Support.opus, Support.video("AV1")]) }
    }

    @Test("the payload type follows profile and packetization mode of an H264 stream", arguments: [
        ("42e01f", "1", 108), ("42e00d", "1", 108), ("42e01f", "0", 114), ("42001f", "1", 102), ("42001f", "0", 104),
        ("4d001f", "1", 116), ("4d0032", "0", 39), ("64001f", "1", 41), ("640c1f", "1", 41), ("f4001f", "0", 43),
    ] as [(String, String, UInt8)])
    func h264Flavours(_ profile: String, _ mode: String, _ payloadType: UInt8) throws {
        let result = try Support.play(Fixtures.chromiumPlay, [Support.h264(profile, mode: mode)])
        #expect(result.media[1].codec?.payloadType == payloadType)
    }

    @Test("a high profile stream is not sent to somebody who only knows baseline")
    func h264TooHigh() {
        #expect(throws: NegotiationError.noCommonCodecs) { try Support.play(Fixtures.aiortc, [Support.h264("64001f")]) }
    }

    @Test("VP9 and AV1 streams go to the payload type of their profile")
    func profiles() throws {
        #expect(try Support.play(Fixtures.chromiumPlay, [Support.video("VP9", ["profile-id": "2"])]).media[1].codec?.payloadType == 100)
        #expect(try Support.play(Fixtures.chromiumPlay, [Support.video("vp9")]).media[1].codec?.payloadType == 98)
        #expect(try Support.play(Fixtures.chromiumPlay, [Support.video("AV1", ["profile": "1"])]).media[1].codec?.payloadType == 47)
        #expect(try Support.play(Fixtures.firefoxPlay, [Support.video("AV1", ["profile": "0"])]).media[1].codec?.payloadType == 99)
        #expect(throws: NegotiationError.noCommonCodecs) {
            try Support.play(Support.without(Fixtures.chromiumPlay, "a=fmtp:47 "), [Support.video("VP9", ["profile-id": "7"])])
        }
    }

    @Test("a player whose fmtp lines are missing is trusted by name")
    func missingParameters() throws {
        let text = Support.without(Fixtures.aiortc, "a=fmtp")
        let result = try Support.play(text, [Support.opus, Support.h264()])
        #expect(result.media[1].codec?.payloadType == 99 && result.media[1].rtx == nil)
    }

    @Test("a player that wants sound only gets sound only")
    func audioOnlyOffer() throws {
        let lines = Fixtures.chromiumPlay.split(separator: "\n")
        let audio = lines.prefix { !$0.hasPrefix("m=video") }.joined(separator: "\n").replacing("BUNDLE 0 1", with: "BUNDLE 0")
        let result = try Support.play(audio, [Support.opus, Support.vp8])
        try expectWellFormed(result, for: audio)
        #expect(result.media.count == 1 && result.media[0].codec?.name == "opus" && result.media[0].trackIndex == 0)
    }

    @Test("video that the stream lacks becomes inactive inside the bundle, and whoever asked for it is known")
    func missingVideo() throws {
        let bundled = try Support.play(Fixtures.chromiumPlay, [Support.opus])
        try expectWellFormed(bundled, for: Fixtures.chromiumPlay)
        #expect(bundled.media[1].codec == nil && bundled.media[1].direction == .inactive && !bundled.media[1].isActive)
        #expect(bundled.media[1].isWanted)
        #expect(!bundled.description.media[1].rejected && bundled.description.media[1].direction == .inactive)
        #expect(bundled.transportCount == 1)
    }

    @Test("audio that the stream lacks is accepted inside the bundle for when it comes, and rejected outside")
    func missingAudio() throws {
        let bundled = try Support.play(Fixtures.chromiumPlay, [Support.vp8])
        try expectWellFormed(bundled, for: Fixtures.chromiumPlay)
        #expect(bundled.media[0].codec?.name == "opus" && bundled.media[0].direction == .sendonly && bundled.media[0].trackIndex == nil)
        #expect(bundled.description.media[0].sources.map(\.ssrc) == [bundled.media[0].localSSRC])
        #expect(bundled.media[0].agreement(for: Support.opus)?.codec.payloadType == 111)
        #expect(bundled.transportCount == 1)
        let text = Support.without(Fixtures.chromiumPlay, "a=group")
        let separate = try Support.play(text, [Support.vp8])
        try expectWellFormed(separate, for: text)
        #expect(separate.description.media[0].port == 0 && separate.transportCount == 1)
        #expect(separate.description.media[1].candidates.count == 1)
    }

    @Test("audio in no form that a player takes becomes inactive beside video where that is wished")
    func leftOutAudio() throws {
        let tracks = [Support.aac, Support.vp8]
        #expect(throws: NegotiationError.noCommonCodecs) { try Support.play(Fixtures.chromiumPlay, tracks) }
        let bundled = try Support.play(Fixtures.chromiumPlay, tracks, leavesOutAudio: true)
        try expectWellFormed(bundled, for: Fixtures.chromiumPlay)
        #expect(bundled.description.media.map(\.direction) == [.inactive, .sendonly] && !bundled.description.media[0].rejected)
        #expect(bundled.media[0].codec == nil && bundled.media[0].isWanted && bundled.media[1].trackIndex == 1)
        let text = Support.without(Fixtures.chromiumPlay, "a=group")
        let separate = try Support.play(text, tracks, leavesOutAudio: true)
        try expectWellFormed(separate, for: text)
        #expect(separate.description.media[0].port == 0 && separate.transportCount == 1)
        // What can be taken is sent as ever.
        let usual = try Support.play(Fixtures.chromiumPlay, [Support.opus, Support.vp8])
        #expect(try Support.play(Fixtures.chromiumPlay, [Support.opus, Support.vp8], leavesOutAudio: true) == usual)
    }

    @Test("audio is not left out where there is no video for the player, nor is video")
    func audioAlone() throws {
        #expect(throws: NegotiationError.noCommonCodecs) { try Support.play(Fixtures.chromiumPlay, [Support.aac], leavesOutAudio: true) }
        let audio = Fixtures.chromiumPlay.split(separator: "\n").prefix { !$0.hasPrefix("m=video") }.joined(separator: "\n")
            .replacing("BUNDLE 0 1", with: "BUNDLE 0")
        #expect(throws: NegotiationError.noCommonCodecs) { try Support.play(audio, [Support.aac, Support.vp8], leavesOutAudio: true) }
        #expect(throws: NegotiationError.noCommonCodecs) {
            try Support.play(Fixtures.firefoxPlay, [Support.opus, Support.h264()], leavesOutAudio: true)
        }
    }

    @Test("a play offer that also sends is answered sendonly")
    func sendrecvPlayer() throws {
        let text = Support.without(Fixtures.chromiumWithData, "no such line")
        let result = try Support.play(text, [Support.opus, Support.vp8])
        try expectWellFormed(result, for: text)
        #expect(result.description.media.prefix(2).map(\.direction) == [.sendonly, .sendonly])
        #expect(result.media.prefix(2).allSatisfy { $0.remoteSources.isEmpty })
    }

    @Test("a data channel is refused with port 0 and leaves the bundle")
    func dataChannel() throws {
        let result = try Support.publish(Fixtures.chromiumWithData)
        try expectWellFormed(result, for: Fixtures.chromiumWithData)
        #expect(result.description.media[2].port == 0)
        #expect(result.description.media[2].formats == ["webrtc-datachannel"])
        #expect(result.description.bundleGroups == [["0", "1"]])
        #expect(result.media[2].codec == nil)
    }

    @Test("an m-line that the offerer has rejected stays rejected")
    func rejectedSection() throws {
        let text = Fixtures.chromiumPublish.replacing("m=video 9 ", with: "m=video 0 ").replacing("BUNDLE 0 1", with: "BUNDLE 0")
        let result = try Support.publish(text)
        try expectWellFormed(result, for: text)
        #expect(result.description.media[1].port == 0 && result.media[1].codec == nil)
        #expect(result.media[0].isActive)
    }

    @Test("a bundle-only m-line with port 0 is not a rejected one")
    func bundleOnly() throws {
        let text = Fixtures.chromiumPublish.replacing("m=video 9 ", with: "m=video 0 ")
            .replacing("a=mid:1", with: "a=mid:1\na=bundle-only")
        let result = try Support.publish(text)
        #expect(result.media[1].isActive && result.description.media[1].port == 31000)
    }

    @Test("the DTLS role is what the offer leaves us")
    func setupRoles() throws {
        let active = try Support.publish(Fixtures.chromiumPublish.replacing("a=setup:actpass", with: "a=setup:active"))
        #expect(active.media[0].localSetup == .passive && active.description.media[0].setup == .passive)
        let passive = try Support.publish(Fixtures.chromiumPublish.replacing("a=setup:actpass", with: "a=setup:passive"))
        #expect(passive.media[0].localSetup == .active && passive.description.media[0].setup == .active)
        let missing = try Support.publish(Support.without(Fixtures.chromiumPublish, "a=setup"))
        #expect(missing.media[0].localSetup == .passive)
    }

    @Test("offers without media, credentials, fingerprint or SRTP are refused with a reason")
    func refusals() {
        #expect(throws: NegotiationError.noMedia) { try Support.publish(Fixtures.chromiumPlay) }
        #expect(throws: NegotiationError.noMedia) { try Support.play(Fixtures.chromiumPublish, [Support.opus, Support.vp8]) }
        #expect(throws: NegotiationError.noMedia) { try Support.publish("v=0\ns=-") }
        #expect(throws: NegotiationError.noMedia) {
            try Support.publish(Fixtures.chromiumPublish.replacing("UDP/TLS/RTP/SAVPF", with: "RTP/AVP"))
        }
        for missing in ["a=ice-ufrag", "a=ice-pwd", "a=fingerprint"] {
            #expect { try Support.publish(Support.without(Fixtures.chromiumPublish, missing)) } throws: { error in
                if case NegotiationError.malformed = error { true } else { false }
            }
        }
        #expect { try Support.publish(Fixtures.chromiumPublish.replacing("a=mid:1", with: "a=mid:0")) } throws: { error in
            if case NegotiationError.malformed = error { true } else { false }
        }
    }

    @Test("a stream name can't smuggle lines into the answer")
    func hostileStreamName() throws {
        let result = try Support.play(Fixtures.chromiumPlay, [Support.opus, Support.vp8], streamID: "a b\r\na=candidate:x\u{301}é")
        let text = result.description.serialized()
        #expect(text.components("\r\na=candidate:") == 2)
        #expect(result.description.media[0].msid?.stream.utf8.allSatisfy { $0 < 128 && $0 != 32 } == true)
        try expectWellFormed(result, for: Fixtures.chromiumPlay)
    }
}

extension String {
    /// How many parts the text falls into at `separator`.
    fileprivate func components(_ separator: String) -> Int { split(separator: separator, omittingEmptySubsequences: false).count }

    @Test("a player that takes H.264 in Constrained Baseline only is offered that, then VP8, when the stream is of another profile")
    func profiles() throws {
        for profile in ["4d0028", "640028", "f40028"] {
            let needed = Negotiation.conversionsNeeded(offer: Fixtures.crlf(Fixtures.aiortc), tracks: [Support.h264(profile)])
            #expect(needed.map(\.track) == [0] && needed.first?.targets == ["H264", "VP8"], "\(profile)")
        }
        #expect(Negotiation.conversionsNeeded(offer: Fixtures.crlf(Fixtures.aiortc), tracks: [Support.h264()]).isEmpty)
        let withoutH264 = Fixtures.crlf(Support.strippingCodecs(Fixtures.aiortc, ["H264"]))
        #expect(Negotiation.conversionsNeeded(offer: withoutH264, tracks: [Support.h264("640028")]).first?.targets == ["VP8"])
    }

    @Test("a stream whose groups begin without IDR pictures is converted for whoever plays in real time")
    func withoutIDR() throws {
        var track = Support.h264("640c1f")
        #expect(Negotiation.conversionsNeeded(offer: Fixtures.crlf(Fixtures.chromiumPlay), tracks: [track]).isEmpty)
        track.beginsWithoutIDR = true
        let needed = Negotiation.conversionsNeeded(offer: Fixtures.crlf(Fixtures.chromiumPlay), tracks: [track])
        #expect(needed.first?.targets == ["H264", "VP8"])
    }

    @Test("the description follows what is sent, the agreement stays")
    func described() {
        var track = Support.h264("42e01f")
        track.sent = ["sprop-parameter-sets": "Z2QAKA==,aO4=", "profile-level-id": "640028"]
        #expect(track.described.parameters["profile-level-id"] == "640028" && track.described.parameters["packetization-mode"] == "1")
        #expect(track.codec.parameters["profile-level-id"] == "42e01f")
    }
}
