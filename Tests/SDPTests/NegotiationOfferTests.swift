// SPDX-License-Identifier: Apache-2.0
// Offers of agents, and what they make of answers.
import Primitives
import SDP
import Testing

@Suite struct NegotiationOfferTests {
    private func offerSending(_ tracks: [TrackFormat] = [Support.opus, Support.h264()]) throws -> Negotiated {
        var random = RandomSource.seeded(4)
        return try Negotiation.offerSending(tracks: tracks, streamID: "push 1", transports: Support.agent, ssrcs: &random)
    }

    private func offerReceiving(_ kinds: [SDPMediaKind] = [.audio, .video]) throws -> Negotiated {
        var random = RandomSource.seeded(5)
        return try Negotiation.offerReceiving(kinds: kinds, transports: Support.agent, ssrcs: &random)
    }

    @Test("an offer looks like a browser's: one bundle, actpass, mux, mids in order, unique payload types")
    func shape() throws {
        for offer in [try offerSending(), try offerReceiving()] {
            let description = try SessionDescription(parsing: offer.description.serialized())
            #expect(description == offer.description)
            #expect(description.bundleGroups == [["0", "1"]] && !description.isICELite)
            #expect(description.media.map(\.mid) == ["0", "1"])
            #expect(description.media.allSatisfy { $0.setup == .actpass && $0.rtcpMux && $0.port == 9 && $0.iceUfrag == "agent" })
            let numbers = description.media.flatMap { $0.codecs.map(\.payloadType) }
            #expect(Set(numbers).count == numbers.count)
            for section in description.media {
                for codec in section.codecs where codec.isNamed("rtx") {
                    #expect(section.codecs.contains { $0.payloadType == codec.apt })
                }
            }
        }
        #expect(try offerReceiving([.video]).description.media.map(\.kind) == [.video])
    }

    @Test("a pushed H264 stream is offered as what it is, and under the other baseline name")
    func sendingFlavours() throws {
        let baseline = try offerSending().description.media[1].codecs.filter { $0.isNamed("H264") }
        #expect(baseline.map { $0.parameters["profile-level-id"] } == ["42e01f", "42001f"])
        let high = try offerSending([Support.h264("640020")]).description.media[0].codecs.filter { $0.isNamed("H264") }
        #expect(high.map { $0.parameters["profile-level-id"] } == ["640020"])
        #expect(throws: NegotiationError.noMedia) { try offerSending([]) }
    }

    @Test("payload types of unknown sources stay in range")
    func payloadTypeRange() throws {
        let odd = { (number: UInt8) in
            TrackFormat(kind: .video, codec: Codec(payloadType: number, name: "X-CODEC", clockRate: 90000))
        }
        let offer = try offerSending([odd(127), odd(127), odd(255), odd(3)])
        let numbers = offer.description.media.flatMap { $0.codecs.map(\.payloadType) }
        #expect(numbers.allSatisfy { (96...127).contains($0) } && Set(numbers).count == numbers.count)
    }

    @Test("two of us agree: pushed stream, publisher's answer, accepted")
    func sendToOurselves() throws {
        let offer = try offerSending()
        let answer = try Support.publish(offer.description.serialized().replacing("\r\n", with: "\n"))
        let result = try Negotiation.accept(answer: SessionDescription(parsing: answer.description.serialized()), for: offer)
        #expect(result.isBundled && result.transportCount == 1)
        #expect(result.media.map(\.direction) == [.sendonly, .sendonly])
        #expect(result.media.map { $0.codec?.payloadType } == answer.media.map { $0.codec?.payloadType })
        #expect(result.media.map(\.rtx) == answer.media.map(\.rtx))
        #expect(result.media.map(\.localSSRC) == answer.media.map { $0.remoteSources.first?.ssrc })
        #expect(result.media[1].localRTXSSRC == answer.media[1].remoteSources.first?.rtx)
        #expect(result.media.map(\.extensions) == answer.media.map(\.extensions))
        #expect(result.media[1].nack && result.media[1].pli && result.media[1].transportCC)
        #expect(result.media[0].localSetup == .active && result.media[0].remoteIsLite)
        #expect(result.media[0].remoteUfrag == "srv0" && result.media[1].remoteUfrag == "srv0")
        #expect(result.media[0].remoteCandidates.map(\.port) == [31000])
    }

    @Test("two of us agree: play offer, player's answer, accepted")
    func receiveFromOurselves() throws {
        let offer = try offerReceiving()
        let answer = try Support.play(offer.description.serialized().replacing("\r\n", with: "\n"), [Support.opus, Support.video("VP9")])
        let result = try Negotiation.accept(answer: SessionDescription(parsing: answer.description.serialized()), for: offer)
        #expect(result.media.map(\.direction) == [.recvonly, .recvonly])
        #expect(result.media[1].codec?.name == "VP9" && result.media[1].codec?.payloadType == 98 && result.media[1].rtx == 99)
        #expect(result.media[1].remoteSources == [RemoteSource(ssrc: answer.media[1].localSSRC, rtx: answer.media[1].localRTXSSRC)])
    }

    @Test("an answer with a port per m-line, no group, no setup and two components is accepted")
    func separatePorts() throws {
        let result = try Negotiation.accept(answer: SessionDescription(parsing: Fixtures.separatePorts), for: offerSending())
        #expect(!result.isBundled && result.transportCount == 2)
        #expect(result.media.map(\.transportIndex) == [0, 1])
        #expect(result.media.map(\.remoteUfrag) == ["2bq71a", "9fd02c"])
        #expect(result.media.map { $0.remoteCandidates.map(\.port) } == [[31038], [31040]])
        #expect(result.media.allSatisfy { $0.remoteSetup == nil && $0.localSetup == .passive && $0.direction == .sendonly })
        #expect(result.media[1].codec?.payloadType == 108 && result.media[1].rtx == nil && result.media[1].localRTXSSRC == nil)
        #expect(result.media[1].remb && !result.media[1].transportCC)
    }

    @Test("sections without mid are matched by position, addresses without candidates come from c= and m=")
    func withoutMidsAndCandidates() throws {
        let text = Support.without(Fixtures.separatePorts, "a=mid", "a=candidate")
        let result = try Negotiation.accept(answer: SessionDescription(parsing: text), for: offerSending())
        #expect(result.media.map(\.isActive) == [true, true])
        #expect(result.media.map { $0.remoteCandidates.first?.port } == [31038, 31040])
        #expect(result.media.map { $0.remoteCandidates.first?.address } == ["203.0.113.20", "203.0.113.20"])
    }

    @Test("a bundled answer needs its candidates only once, even without mids")
    func bundledAnswer() throws {
        let offer = try offerSending()
        var answer = try SessionDescription(parsing: Fixtures.separatePorts)
        answer.bundleGroups = [["0", "1"]]
        answer.media[0].mid = nil
        answer.media[1].mid = nil
        answer.media[1].iceUfrag = nil
        answer.media[1].candidates = []
        let result = try Negotiation.accept(answer: answer, for: offer)
        #expect(result.isBundled && result.transportCount == 1)
        #expect(result.media.allSatisfy { $0.remoteUfrag == "2bq71a" && $0.remoteCandidates.count == 1 })
    }

    @Test("a refused kind is inactive, the other one goes on")
    func partlyRefused() throws {
        let text = Fixtures.separatePorts.replacing("m=audio 31038", with: "m=audio 0")
        let result = try Negotiation.accept(answer: SessionDescription(parsing: text), for: offerSending())
        #expect(result.media.map(\.isActive) == [false, true])
        #expect(result.media[1].transportIndex == 0 && result.transportCount == 1)
        let short = Fixtures.separatePorts.split(separator: "\n").prefix { !$0.hasPrefix("m=video") }.joined(separator: "\n")
        #expect(try Negotiation.accept(answer: SessionDescription(parsing: short), for: offerSending()).media.map(\.isActive) == [true, false])
    }

    @Test("answers that don't belong to the offer are refused with a reason")
    func mismatches() throws {
        let offer = try offerSending()
        func accept(_ text: String) throws { _ = try Negotiation.accept(answer: SessionDescription(parsing: text), for: offer) }
        #expect(throws: NegotiationError.noMedia) {
            try accept(Fixtures.separatePorts.replacing("m=audio 31038", with: "m=audio 0").replacing("m=video 31040", with: "m=video 0"))
        }
        #expect(throws: NegotiationError.noMedia) { try accept(Fixtures.separatePorts.replacing("a=recvonly", with: "a=inactive")) }
        #expect(throws: NegotiationError.noCommonCodecs) {
            try accept(Fixtures.separatePorts.replacing("opus/48000/2", with: "speex/16000").replacing("H264", with: "VP8"))
        }
        for text in [
            Fixtures.separatePorts.replacing("m=audio", with: "m=text"), Fixtures.chromiumWithData,
            Support.without(Fixtures.separatePorts, "a=fingerprint"), Support.without(Fixtures.separatePorts, "a=ice-pwd"),
            Fixtures.separatePorts.replacing("RTP/SAVPF", with: "RTP/AVP"),
        ] {
            #expect { try accept(text) } throws: { error in
                switch error {
                case NegotiationError.malformed, NegotiationError.mismatch: true
                default: false
                }
            }
        }
    }

    @Test("TCP candidates of an answer are kept as such")
    func tcpCandidates() throws {
        let text = Fixtures.separatePorts.replacing("udp 2130706431 203.0.113.20 31038 typ host", with: "tcp 2130706431 203.0.113.20 31038 typ host tcptype passive")
        let result = try Negotiation.accept(answer: SessionDescription(parsing: text), for: offerSending())
        #expect(result.media[0].remoteCandidates.map(\.tcpType) == ["passive"])
    }
}
