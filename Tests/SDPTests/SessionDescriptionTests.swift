// SPDX-License-Identifier: Apache-2.0
// Reading and writing descriptions of real browsers and of others.
import Primitives
import SDP
import Testing

@Suite struct SessionDescriptionTests {
    @Test("a Chromium offer is read completely")
    func chromium() throws {
        let offer = try Support.parse(Fixtures.chromiumPublish)
        #expect(offer.bundleGroups == [["0", "1"]])
        #expect(offer.extmapAllowMixed)
        #expect(offer.media.map(\.kind) == [.audio, .video])
        let audio = offer.media[0], video = offer.media[1]
        #expect(audio.direction == .sendonly)
        #expect(audio.port == 9 && audio.proto == "UDP/TLS/RTP/SAVPF" && !audio.rejected)
        #expect(audio.iceUfrag == "WaTa" && audio.icePwd == "UrFEq2ILbfrUH2VSMgYFm66q")
        #expect(audio.setup == .actpass && audio.rtcpMux && audio.rtcpReducedSize)
        #expect(audio.fingerprints.count == 1 && audio.fingerprints[0].bytes.count == 32)
        let opus = try #require(audio.codecs.first)
        #expect(opus.payloadType == 111 && opus.name == "opus" && opus.clockRate == 48000 && opus.channels == 2)
        #expect(opus.parameters["useinbandfec"] == "1")
        #expect(video.codecs[0].feedback == ["goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"])
        #expect(video.retransmission(of: 96)?.payloadType == 97)
        #expect(video.sourceGroups == [SourceGroup(semantics: "FID", ssrcs: [4_199_982_373, 665_080_627])])
        #expect(video.sources.map(\.ssrc) == [4_199_982_373, 665_080_627])
        #expect(video.sources[0].msid == video.msid)
        #expect(video.extensions.contains(ExtensionMap(id: 13, uri: ExtensionURI.videoOrientation)))
    }

    @Test("the fingerprint that Firefox writes once for the session holds for every m-line")
    func firefox() throws {
        let offer = try Support.parse(Fixtures.firefoxPublish)
        #expect(offer.media.allSatisfy { $0.fingerprints.count == 1 && $0.fingerprints[0].algorithm == "sha-256" })
        #expect(offer.media.map(\.iceUfrag) == ["8d7f43df", "8d7f43df"])
        // fmtp lines come before rtpmap lines there.
        #expect(offer.media[0].codecs[0].parameters["stereo"] == "1")
        #expect(offer.media[0].codecs.first { $0.payloadType == 9 }?.channels == 1)
        #expect(offer.media[1].retransmission(of: 120)?.payloadType == 124)
    }

    @Test("what is written can be read again, and says the same", arguments: [
        Fixtures.chromiumPublish, Fixtures.chromiumPlay, Fixtures.chromiumWithData, Fixtures.firefoxPublish,
        Fixtures.firefoxPlay, Fixtures.aiortc, Fixtures.separatePorts,
    ])
    func roundTrip(_ text: String) throws {
        let first = try Support.parse(text)
        let second = try SessionDescription(parsing: first.serialized())
        #expect(first == second)
        #expect(first.serialized() == second.serialized())
        #expect(first.serialized().utf8.split(separator: 10).allSatisfy { $0.last == 13 })
    }

    @Test("LF, CRLF and CR line ends read the same")
    func lineEnds() throws {
        let lines = Fixtures.chromiumPlay.split(separator: "\n")
        let lf = try SessionDescription(parsing: lines.joined(separator: "\n"))
        #expect(try SessionDescription(parsing: lines.joined(separator: "\r\n") + "\r\n") == lf)
        #expect(try SessionDescription(parsing: lines.joined(separator: "\r")) == lf)
        #expect(try SessionDescription(parsing: "\u{FEFF}" + lines.joined(separator: "\n")) == lf)
    }

    @Test("ICE, setup and direction at session level hold for sections that don't say otherwise")
    func inheritance() throws {
        let text = """
            v=0
            o=- 1 1 IN IP4 192.0.2.1
            s=-
            c=IN IP4 192.0.2.9
            t=0 0
            a=ice-lite
            a=ice-ufrag:sess
            a=ice-pwd:sessionpasswordsessionpw
            a=fingerprint:SHA-256 AB:CD
            a=setup:passive
            a=sendonly
            m=audio 5000 RTP/SAVPF 0
            m=video 5002 RTP/SAVPF 96
            c=IN IP6 2001:db8::1
            a=rtpmap:96 VP8/90000
            a=ice-ufrag:own
            a=fingerprint:sha-1 01
            a=fingerprint:sha-512 02
            a=recvonly
            """
        let description = try SessionDescription(parsing: text)
        #expect(description.isICELite)
        let audio = description.media[0], video = description.media[1]
        #expect(audio.iceUfrag == "sess" && audio.icePwd == "sessionpasswordsessionpw")
        #expect(audio.connectionAddress == "192.0.2.9" && audio.direction == .sendonly && audio.setup == .passive)
        #expect(audio.fingerprints == [Fingerprint(algorithm: "sha-256", bytes: [0xab, 0xcd])])
        #expect(audio.codecs.map(\.name) == ["PCMU"])
        #expect(video.iceUfrag == "own" && video.connectionAddress == "2001:db8::1" && video.direction == .recvonly)
        #expect(video.fingerprints.map(\.algorithm) == ["sha-1", "sha-512"])
        #expect(description.serialized().contains("c=IN IP6 2001:db8::1\r\n"))
    }

    @Test("two fmtp lines of one payload type are one set of parameters")
    func twoFormatLines() throws {
        let text = "v=0\nm=audio 9 RTP/SAVPF 111\na=rtpmap:111 opus/48000/2\na=fmtp:111 maxaveragebitrate=64000;stereo=1;\na=fmtp:111 minptime=10; stereo=0"
        let codec = try #require(SessionDescription(parsing: text).media[0].codecs.first)
        #expect(codec.parameters["maxaveragebitrate"] == "64000")
        #expect(codec.parameters["stereo"] == "0")
        #expect(codec.parameters["MINPTIME"] == "10")
        #expect(codec.parameters.text == "maxaveragebitrate=64000;stereo=0;minptime=10")
    }

    @Test("spaces and tabs around the parts of a line mean nothing", arguments: [
        "a=rtpmap:96 H264/90000", "a=rtpmap:96 H264 /90000", "a=rtpmap:96\tH264/90000", "a=rtpmap: 96 \t H264 / 90000 ",
        "a=rtpmap:96\t H264/90000/ 1",
    ])
    func spacing(_ line: String) throws {
        let text = "v=0\nm=video 9 RTP/SAVPF 96\n\(line)\na=fmtp:96\tpacketization-mode=1\na=control: rtsp://cam/t1"
        let section = try #require(SessionDescription(parsing: text).media.first)
        let codec = try #require(section.codecs.first)
        #expect(codec.name == "H264" && codec.clockRate == 90_000 && codec.channels == 1 && codec.parameters["packetization-mode"] == "1")
        #expect(section.unknownAttributes == [Attribute(name: "control", value: "rtsp://cam/t1")])
    }

    @Test("a camera's video needs no clock rate, and its only dynamic payload type may have two numbers; nobody else's", arguments: [
        ("96\na=rtpmap:96 H264", "H264"), ("96\na=rtpmap:96 H264/", "H264"), ("96\na=rtpmap:97 H264/90000", "H264"),
        ("26 96\na=rtpmap:97 H264", "H264"),
        // Which one is meant isn't known.
        ("96\na=rtpmap:97 H264/90000\na=rtpmap:98 H265/90000", nil), ("96 98\na=rtpmap:97 H264/90000", nil), ("26\na=rtpmap:97 H264/90000", nil),
        ("96", nil), ("96\na=rtpmap:96 /", nil),
    ] as [(String, String?)])
    func cameras(_ section: String, _ name: String?) throws {
        let text = "v=0\nm=video 9 RTP/AVP \(section)"
        let codecs = try SessionDescription(parsing: text, skippingUnreadable: true).media[0].codecs
        #expect(codecs.map(\.name) == [name].compactMap { $0 })
        #expect(codecs.allSatisfy { $0.clockRate == 90_000 && $0.payloadType == 96 })
        #expect(try SessionDescription(parsing: text).media[0].codecs.isEmpty)
    }

    @Test("rtcp-fb is written between rtpmap and fmtp")
    func attributeOrder() throws {
        let lines = try Support.parse(Fixtures.chromiumPublish).serialized().split(separator: "\r\n")
        let map = try #require(lines.firstIndex(of: "a=rtpmap:108 H264/90000"))
        #expect(lines[map + 1] == "a=rtcp-fb:108 goog-remb")
        #expect(lines[map + 6].hasPrefix("a=fmtp:108 "))
    }

    @Test("a candidate is read with its trailing pairs, and written without them")
    func candidates() throws {
        let tcp = try #require(Candidate(attribute: "candidate:1 1 TCP 2130706431 2001:db8::5 31000 typ host tcptype passive generation 0"))
        #expect(tcp.transport == "tcp" && tcp.tcpType == "passive" && tcp.port == 31000)
        #expect(tcp.attributeValue == "1 1 tcp 2130706431 2001:db8::5 31000 typ host tcptype passive")
        let hidden = try #require(Candidate(attribute: "0 2 udp 1 1b4f2a58-8f5f.local 60769 typ host generation 0 ufrag x network-cost 999"))
        #expect(hidden.address == "1b4f2a58-8f5f.local" && hidden.component == 2)
        for bad in ["", "1 1 udp 5 1.2.3.4 70000 typ host", "1 1 udp 5 1.2.3.4 7000 host", "1 1 sctp 5 1.2.3.4 7000 typ host", "1 1 udp -5 1.2.3.4 7000 typ host"] {
            #expect(Candidate(attribute: bad) == nil)
        }
    }

    @Test("a fingerprint is compared by bytes, whatever case it was written in")
    func fingerprints() {
        #expect(Fingerprint(attribute: "SHA-256 ab:CD:0f") == Fingerprint(attribute: "sha-256 AB:cd:0F"))
        #expect(Fingerprint(attribute: "sha-256 ab:CD:0f")?.text == "sha-256 AB:CD:0F")
        for bad in ["sha-256", "sha-256 ", "sha-256 A:B", "sha-256 GG", "sha-256 +1", "sha-256 AB CD"] {
            #expect(Fingerprint(attribute: bad) == nil)
        }
    }

    @Test("what is not SDP is refused with a reason")
    func garbage() {
        #expect(throws: SDPError.notSDP) { try SessionDescription(parsing: "") }
        #expect(throws: SDPError.notSDP) { try SessionDescription(parsing: "hello world") }
        #expect(throws: SDPError.notSDP) { try SessionDescription(parsing: "{\"sdp\":\"v=0\"}") }
        #expect(throws: SDPError.malformed(line: 2, "m=audio")) { try SessionDescription(parsing: "v=0\nm=audio") }
        #expect(throws: SDPError.malformed(line: 2, "m=audio 70000 RTP/SAVPF 0")) {
            try SessionDescription(parsing: "v=0\nm=audio 70000 RTP/SAVPF 0")
        }
    }

    @Test("size, m-lines and lines per section are bounded")
    func bounds() throws {
        let filler = String(repeating: "a=x\n", count: 5000)
        let section = "m=audio 9 RTP/SAVPF 0\n"
        #expect(throws: SDPError.self) { try SessionDescription(parsing: "v=0\n" + filler) }
        #expect(throws: SDPError.self) { try SessionDescription(parsing: "v=0\n" + section + filler) }
        #expect(throws: SDPError.self) { try SessionDescription(parsing: "v=0\n" + String(repeating: section, count: 65)) }
        #expect(throws: SDPError.self) {
            try SessionDescription(parsing: "v=0\ns=" + String(repeating: "x", count: SessionDescription.maximumSize))
        }
        let full = try SessionDescription(
            parsing: "v=0\n" + String(repeating: section, count: 64) + (1...4000).map { "a=ssrc:\($0) cname:x" }.joined(separator: "\n"))
        #expect(full.media.count == 64)
        #expect(full.media[63].sources.count <= 256)
    }

    @Test("mutated descriptions never crash the parser, the writer or the negotiation")
    func mutations() {
        var random = RandomSource.seeded(20_260_101)
        let seeds = [
            Fixtures.chromiumPublish, Fixtures.firefoxPlay, Fixtures.aiortc, Fixtures.separatePorts, Fixtures.chromiumWithData,
        ].map { Array(Fixtures.crlf($0).utf8) }
        let junk: [[UInt8]] = [
            "a=", "m=", "m=audio 0 RTP/SAVPF 300", "a=rtpmap:255 x/0/0", "a=fmtp:96 ;=;==", "a=ssrc:99999999999 x", "a=extmap:0 u",
            "a=candidate:", "a=group:BUNDLE", "a=group:BUNDLE 0 0 1 1", "a=mid:0", "a=ssrc-group:FID 1", "a=ssrc-group:FID 1 1",
            "\u{0}", "a=\u{301}mid:0", "a=rtcp-fb:* nack", "a=fingerprint:sha-256", "c=IN IP4", "a=setup:holdconn", "a=msid:",
            "a=extmap:255 " + ExtensionURI.mid, "a=rtpmap:127 rtx/90000", "a=fmtp:127 apt=127",
        ].map { Array($0.utf8) }
        var read = 0
        for round in 0..<600 {
            var bytes = seeds[round % seeds.count]
            for _ in 0..<Int.random(in: 1...12, using: &random) {
                guard !bytes.isEmpty else { break }
                let position = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<6, using: &random) {
                case 0: bytes[position] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: position)
                case 2: bytes.removeSubrange(position..<min(bytes.count, position + Int.random(in: 1...200, using: &random)))
                case 3: bytes.insert(contentsOf: [13, 10] + junk.randomElement(using: &random)! + [13, 10], at: position)
                case 4: bytes.insert(contentsOf: Array(bytes[position..<min(bytes.count, position + 120)]), at: position)
                default: bytes.removeLast(min(bytes.count, Int.random(in: 1...300, using: &random)))
                }
            }
            guard let description = try? SessionDescription(parsing: String(decoding: bytes, as: UTF8.self)) else { continue }
            read += 1
            #expect((try? SessionDescription(parsing: description.serialized())) != nil)
            if let answer = try? Negotiation.answerPublisher(offer: description, transports: Support.server, ssrcs: &random) {
                #expect(answer.description.media.count == description.media.count)
            }
            if let answer = try? Negotiation.answerPlayer(
                offer: description, tracks: [Support.opus, Support.vp8], streamID: "s", transports: Support.server, ssrcs: &random)
            {
                #expect(answer.media.count == description.media.count)
            }
            if let offer = try? Negotiation.offerReceiving(transports: Support.agent, ssrcs: &random) {
                _ = try? Negotiation.accept(answer: description, for: offer)
            }
        }
        #expect(read > 100)
    }
}
