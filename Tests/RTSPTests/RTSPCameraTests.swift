// SPDX-License-Identifier: Apache-2.0
import Primitives
import RTSP
import SDP
import Testing

/// What odd cameras do, as it is taken: by public bug reports of players and servers.
struct RTSPCameraTests {
    private func session(_ address: String = "rtsp://cam/live") throws -> RTSPClientSession {
        RTSPClientSession(try #require(RTSPAddress(address)), clientNonce: "n")
    }

    private func playing(_ camera: TalkingCamera = TalkingCamera(), _ address: String = "rtsp://cam/live") throws -> (RTSPClientSession, [RTSPRequest]) {
        var session = try session(address)
        let (requests, events) = camera.run(&session)
        try #require(events.last == .playing, "\(events)")
        return (session, requests)
    }

    private func sent(_ actions: [RTSPClientSession.Action]) -> [RTSPRequest] {
        actions.compactMap { if case .send(let request) = $0 { request } else { nil } }
    }

    private func answer(_ status: Int, to request: RTSPRequest, _ headers: RTSPHeaders = [:]) -> RTSPParser.Item {
        var headers = headers
        headers["CSeq"] = request.headers["CSeq"]
        return .response(RTSPResponse(status, headers: headers))
    }

    // MARK: signs of life

    @Test("whatever a camera answers to signs of life, the stream goes on", arguments: [400, 401, 404, 405, 454, 461, 500, 501, 302])
    func signsOfLife(status: Int) throws {
        var (session, _) = try playing()
        for _ in 0..<4 {
            let request = try #require(sent(session.keepAlive(at: .zero)).first)
            #expect(session.receive(answer(status, to: request, ["WWW-Authenticate": "Digest realm=\"x\", nonce=\"y\"", "Location": "rtsp://x/"])).isEmpty)
            // Nor does one with another number, or none.
            #expect(session.receive(.response(RTSPResponse(status, headers: ["CSeq": "1"]))).isEmpty)
            #expect(session.receive(.response(RTSPResponse(status))).isEmpty)
        }
        let packet: [UInt8] = [0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 0x41]
        #expect(session.receive(.packet(channel: 0, packet)) == [.packet(track: 0, isReport: false, packet)])
    }

    @Test("the forms of signs of life take turns, until one is refused or a server hangs up on it")
    func turns() throws {
        var (session, _) = try playing()
        var methods: [String] = []
        for _ in 0..<4 {
            let request = try #require(sent(session.keepAlive(at: .zero)).first)
            methods.append(request.method)
            #expect(session.receive(answer(200, to: request)).isEmpty)
        }
        #expect(methods == ["GET_PARAMETER", "OPTIONS", "GET_PARAMETER", "OPTIONS"])
        let refused = try #require(sent(session.keepAlive(at: .zero)).first)
        _ = session.receive(answer(501, to: refused))
        // So is one that is to go elsewhere.
        var (sentAway, _) = try playing()
        let away = try #require(sent(sentAway.keepAlive(at: .zero)).first)
        #expect(sentAway.receive(answer(302, to: away, ["Location": "rtsp://x/"])).isEmpty && sentAway.habits.refusesGetParameter)
        #expect(sent(session.keepAlive(at: .zero)).first?.method == "OPTIONS" && sent(session.keepAlive(at: .zero)).first?.method == "OPTIONS")

        var (other, _) = try playing()
        _ = other.keepAlive(at: Instant(milliseconds: 1000))
        other.connectionEnded(at: Instant(milliseconds: 1400))
        #expect(other.habits.refusesGetParameter && !other.habits.refusesOptions)
        var (third, _) = try playing()
        _ = third.keepAlive(at: Instant(milliseconds: 1000))
        third.connectionEnded(at: Instant(milliseconds: 9000))
        #expect(!third.habits.refusesGetParameter)
    }

    @Test("a nonce that became stale during play is answered anew, once for each new one")
    func staleNonce() throws {
        var camera = TalkingCamera()
        camera.challenge = "Digest realm=\"c\", nonce=\"1\""
        camera.login = "nonce=\"1\""
        var (session, _) = try playing(camera, "rtsp://u:p@cam/live")
        for number in 2..<5 {
            let request = try #require(sent(session.keepAlive(at: .zero)).first)
            let again = try #require(sent(session.receive(answer(401, to: request, ["WWW-Authenticate": "Digest realm=\"c\", nonce=\"\(number)\""]))).first)
            #expect(again.method == request.method && again.headers["Authorization"]?.contains("nonce=\"\(number)\"") == true)
            #expect(session.receive(answer(200, to: again)).isEmpty)
        }
        let request = try #require(sent(session.keepAlive(at: .zero)).first)
        let again = try #require(sent(session.receive(answer(401, to: request, ["WWW-Authenticate": "Digest realm=\"c\", nonce=\"x\""]))).first)
        #expect(session.receive(answer(401, to: again, ["WWW-Authenticate": "Digest realm=\"c\", nonce=\"y\""])).isEmpty)
    }

    @Test("a timeout is read as cameras write it, and signs of life go out well within it", arguments: [
        ("1;timeout = 10", 10), ("1;timeout=10s", 10), ("1; Timeout=\"10\"", 10), ("1;timeout=2", 2), ("1;timeout=0", 60), ("1;timeout=", 60), ("1", 60),
        ("1;timeout=99999999999999999999", 60), ("1;timeout=100000", 3600),
    ])
    func timeouts(_ text: String, _ seconds: Int) throws {
        var camera = TalkingCamera()
        camera.change = { request, response in if request.method == "SETUP" { response.headers["Session"] = text } }
        let (session, requests) = try playing(camera)
        #expect(session.timeout == seconds && requests.last?.headers["Session"] == "1")
        #expect(session.signOfLifeInterval * 3 <= .seconds(Int64(max(2, seconds))))
    }

    // MARK: answers

    @Test("answers without a number, with a wrong one, or announced by others are taken", arguments: [nil, "0", "1", "77", "x"])
    func numbers(_ number: String?) throws {
        var camera = TalkingCamera()
        camera.change = { _, response in response.headers["CSeq"] = number }
        var session = try session()
        // 100 Continue is no answer.
        _ = session.begin()
        #expect(session.receive(.response(RTSPResponse(100))).isEmpty)
        #expect(camera.run(&session).events.last == .playing)
    }

    @Test("the second answer to a request changes nothing where numbers are right")
    func repeated() throws {
        var session = try session()
        let camera = TalkingCamera()
        var actions = session.begin()
        while let request = sent(actions).first, request.method != "PLAY" {
            let answer = camera.answer(request)
            actions = session.receive(answer)
            if request.method != "OPTIONS" { #expect(session.receive(answer).isEmpty) }
        }
        #expect(sent(actions).first?.method == "PLAY")
    }

    @Test("OPTIONS may be refused by any status; DESCRIBE decides", arguments: [401, 404, 501])
    func options(status: Int) throws {
        var camera = TalkingCamera()
        camera.statuses["OPTIONS"] = status
        _ = try playing(camera)
    }

    @Test("a stream that is elsewhere is told at any step, and so is a server that moves it or ends it while it plays")
    func elsewhere() throws {
        for method in ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"] {
            var camera = TalkingCamera()
            camera.change = { request, response in
                if request.method == method { response = RTSPResponse(302, headers: ["CSeq": request.headers["CSeq"] ?? "", "Location": "rtsp://b/"]) }
            }
            var session = try session()
            #expect(camera.run(&session).events.last == .failed(.redirected("rtsp://b/")))
        }
        var (moved, _) = try playing()
        let actions = moved.receive(.request(RTSPRequest("REDIRECT", "rtsp://cam/live", headers: ["CSeq": "5", "Location": "rtsp://b/"])))
        guard case .answer(let reply)? = actions.first else { Issue.record("not answered"); return }
        #expect(reply.status == 200 && reply.headers["CSeq"] == "5" && actions.last == .failed(.redirected("rtsp://b/")))
        var (ended, _) = try playing()
        #expect(ended.receive(.request(RTSPRequest("TEARDOWN", "rtsp://cam/live", headers: ["CSeq": "5"]))).last == .failed(.ended))
        var (asked, _) = try playing()
        guard case .answer(let alive)? = asked.receive(.request(RTSPRequest("OPTIONS", "*", headers: ["CSeq": "1"]))).first else { Issue.record("silent"); return }
        #expect(alive.status == 200)
    }

    @Test("packets in front of the answer to PLAY are given with it, as many as fit")
    func earlyPackets() throws {
        var session = try session()
        let camera = TalkingCamera()
        var actions = session.begin()
        while let request = sent(actions).first, request.method != "PLAY" { actions = session.receive(camera.answer(request)) }
        let play = try #require(sent(actions).first)
        let packet: [UInt8] = [0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 0x65]
        for _ in 0..<2000 { #expect(session.receive(.packet(channel: 0, packet)).isEmpty) }
        let started = session.receive(camera.answer(play))
        #expect(started.first == .playing && started.count == 1025 && started[1] == .packet(track: 0, isReport: false, packet))
    }

    // MARK: tracks

    private func run(_ description: String, base: String? = nil, knows: @escaping (String) -> Bool = { _ in true }) throws
        -> (uris: [String], session: RTSPClientSession, events: [RTSPClientSession.Action]) {
        var camera = TalkingCamera()
        camera.description = description
        camera.change = { request, response in
            if request.method == "DESCRIBE", let base { response.headers["Content-Base"] = base }
            if request.method == "SETUP", !knows(request.uri) { response = RTSPResponse(404, headers: ["CSeq": request.headers["CSeq"] ?? ""]) }
        }
        var session = try session("rtsp://cam/live/1?x=y")
        let (requests, events) = camera.run(&session)
        return (requests.filter { $0.method == "SETUP" }.map(\.uri), session, events)
    }

    private static let head = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\n"
    private static let video = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"

    @Test("a control that begins with a slash behind a base that ends with one makes no double slash")
    func slashes() throws {
        let found = try run(Self.head + Self.video + "a=control:/media/1/video/1\r\n", base: "rtsp://cam/")
        #expect(found.uris == ["rtsp://cam/media/1/video/1"] && found.events.last == .playing)
    }

    @Test("an address that the camera doesn't know is put together otherwise, by RFC 1808, as text, with the address that was asked for", arguments: [
        ("track1", "rtsp://cam/live/", "rtsp://cam/live/track1"), ("/track1", "rtsp://cam/live/", "rtsp://cam/track1"),
        ("/track1", "rtsp://cam/live/", "rtsp://cam/live//track1"), ("track1", "rtsp://inside/", "rtsp://cam/live/1?x=y/track1"),
        ("track1", "rtsp://inside/", "rtsp://cam/live/track1"), ("?id=1", "rtsp://cam/live?a=b", "rtsp://cam/live?id=1"),
        ("rtsp://cam/t", "rtsp://cam/live", "rtsp://cam/t"),
    ])
    func joins(_ control: String, _ base: String, _ known: String) throws {
        let found = try run(Self.head + Self.video + "a=control:\(control)\r\n", base: base) { $0 == known }
        #expect(found.uris.last == known && found.events.last == .playing, "\(found.uris)")
    }

    @Test("an address that no form of helps ends as the camera says")
    func unknownTrack() throws {
        let found = try run(Self.head + Self.video + "a=control:track1\r\n") { _ in false }
        #expect(found.events.last == .failed(.notFound) && (2...6).contains(found.uris.count) && Set(found.uris).count == found.uris.count)
    }

    @Test("the description's own address is that of all tracks")
    func sessionControl() throws {
        let found = try run(Self.head + "a=control:rtsp://cam/all\r\n" + Self.video + "a=control:track1\r\n")
        #expect(found.uris == ["rtsp://cam/all/track1"])
    }

    @Test("video comes without the audio that a camera doesn't give, but not the other way round")
    func refusedTrack() throws {
        let text = Self.head + "m=audio 0 RTP/AVP 0\r\na=control:a\r\n" + Self.video + "a=control:v\r\n"
        let silent = try run(text) { !$0.hasSuffix("/a") }
        #expect(silent.events.last == .playing && silent.session.tracks.map(\.format.codec.name) == ["H264"])
        let blind = try run(text) { !$0.hasSuffix("/v") }
        #expect(blind.events.last == .failed(.notFound))
    }

    @Test("sections that can't be read, and ports that mean nothing, cost nothing else", arguments: [
        "m=video -1353744643 RTP/AVP 96\r\nc=IN IP4 '&\u{1}\u{2}\r\na=rtpmap:96 H264/90000\r\na=control:v\r\n",
        "m=video RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:v\r\n",
        "m=application RTP/AVP 107\r\na=control:x\r\n" + video + "a=control:v\r\n",
        video + "a=control:v\r\nm=audio\r\na=rtpmap:96 VP8/90000\r\na=control:w\r\n",
    ])
    func oddSections(_ sections: String) throws {
        for head in [Self.head, ""] {
            let found = try run(head + sections)
            #expect(found.events.last == .playing && found.uris == ["rtsp://cam/live/1?x=y/v"], "\(found.events)")
            #expect(found.session.tracks.map(\.format.codec.name) == ["H264"])
        }
    }

    @Test("descriptions are read as cameras space and number them", arguments: [
        "a=rtpmap:96 H264 /90000\r\na=fmtp:96 packetization-mode=1\r\na=control: v\r\n",
        "a=rtpmap:96\tH264/90000\r\na=fmtp:96\tpacketization-mode=1\r\na=control:v \r\n",
        "a=rtpmap:96 H264\r\na=fmtp:96 packetization-mode=1\r\na=control:\tv\r\n",
        "a=rtpmap:97 H264/90000\r\na=fmtp:97 packetization-mode=1\r\na=control:v\r\n",
        "a=rtpmap:97 H264\r\na=fmtp:96 packetization-mode=1\r\na=control: rtsp://cam/live/1?x=y/v\r\n",
    ])
    func spacing(_ lines: String) throws {
        let found = try run(Self.head + "m=video 0 RTP/AVP 96\r\n" + lines)
        #expect(found.uris == ["rtsp://cam/live/1?x=y/v"] && found.events.last == .playing, "\(found.events)")
        let codec = try #require(found.session.tracks.first?.format.codec)
        #expect(codec.name == "H264" && codec.payloadType == 96 && codec.clockRate == 90_000 && codec.parameters["packetization-mode"] == "1")
    }

    @Test("the way to a camera's loudspeaker is not its microphone", arguments: [
        ("sendonly", "recvonly", ["H264", "mpeg4-generic"]), ("inactive", "sendrecv", ["H264", "mpeg4-generic"]), ("sendonly", "sendonly", ["H264", "PCMU"]),
    ])
    func loudspeaker(_ first: String, _ second: String, _ names: [String]) throws {
        let aac = "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/16000/1\r\na=fmtp:97 streamtype=5;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1408\r\n"
        let found = try run(Self.head + Self.video + "a=control:v\r\nm=audio 0 RTP/AVP 0\r\na=\(first)\r\na=control:b\r\n" + aac + "a=\(second)\r\na=control:m\r\n")
        #expect(found.session.tracks.map(\.format.codec.name) == names)
    }

    @Test("only a loudspeaker: no audio, unless the description means its own direction")
    func onlyLoudspeaker() throws {
        let audio = "m=audio 0 RTP/AVP 0\r\na=sendonly\r\na=control:b\r\n"
        #expect(try run(Self.head + Self.video + "a=recvonly\r\na=control:v\r\n" + audio).session.tracks.count == 1)
        #expect(try run(Self.head + Self.video + "a=sendonly\r\na=control:v\r\n" + audio).session.tracks.count == 2)
    }

    @Test("clocks are the codec's, whatever the description says", arguments: [
        ("H264/1", 90_000), ("H264/1000000", 90_000), ("H265/8000", 90_000), ("VP8/90000", 90_000),
    ])
    func clocks(_ name: String, _ rate: Int) throws {
        let found = try run(Self.head + "m=video 0 RTP/AVP 96\r\na=rtpmap:96 \(name)\r\na=control:v\r\n")
        #expect(found.session.tracks.first?.format.codec.clockRate == rate)
        let aac = "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 mpeg4-generic/1/2\r\na=fmtp:97 sizelength=13;indexlength=3;indexdeltalength=3;config=1210\r\n"
        #expect(try run(Self.head + aac).session.tracks.first?.format.codec.clockRate == 44_100)
        #expect(try run(Self.head + "m=audio 0 RTP/AVP 8\r\na=rtpmap:8 PCMA/16000\r\n").events.last == .failed(.noUsableCodec(["PCMA/16000"])))
    }

    private static func aac(_ parameters: String) -> String {
        "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/16000/1\r\na=fmtp:97 streamtype=5;mode=AAC-hbr;\(parameters)\r\na=control:a\r\n"
    }

    @Test("AAC whose configuration can't be read is left out, and costs nothing else", arguments: [
        "", "config", "config=", "config=\"\"", "config=14", "config=140", "config=14081", "config=xy08", "config=0x1408", "config=1710",
        "config=" + String(repeating: "14", count: 200),
    ])
    func unreadableConfiguration(_ config: String) throws {
        let audio = Self.aac("sizelength=13;indexlength=3;indexdeltalength=3;\(config)")
        let found = try run(Self.head + audio + Self.video + "a=control:v\r\n")
        #expect(found.session.tracks.map(\.format.codec.name) == ["H264"] && found.events.last == .playing)
        #expect(found.events.first == .described(found.session.tracks, refused: ["MPEG4-GENERIC"]))
        #expect(try run(Self.head + audio).events.last == .failed(.noUsableCodec(["MPEG4-GENERIC"])))
    }

    @Test("parameters of AAC in quotes mean what is between them")
    func quotes() throws {
        let audio = Self.aac("sizelength=\"13\"; indexlength=\"3\"; indexdeltalength=\"3\"; config=\"1408\"")
        let found = try run(Self.head + Self.video + "a=control:v\r\n" + audio)
        let codec = try #require(found.session.tracks.last?.format.codec)
        #expect(codec.name == "mpeg4-generic" && codec.clockRate == 16_000)
        #expect(codec.parameters["config"] == "1408" && codec.parameters["sizelength"] == "13")
    }

    @Test("G.711 of two channels is left out and named; of one it is taken", arguments: ["PCMU", "PCMA"])
    func stereoG711(_ name: String) throws {
        let audio = "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 \(name)/8000"
        #expect(try run(Self.head + audio + "/2\r\n").events.last == .failed(.noUsableCodec(["\(name)/8000/2"])))
        #expect(try run(Self.head + audio + "/1\r\n").session.tracks.map(\.format.codec.name) == [name])
    }

    // MARK: packets

    @Test("tracks that share a channel, or come on one that nobody agreed on, are told by their payload types")
    func sharedChannels() throws {
        func rtp(_ type: UInt8, _ source: UInt8) -> [UInt8] { [0x80, type, 0, 1, 0, 0, 0, 0, 0, 0, 0, source, 1] }
        let report: [UInt8] = [0x80, 200, 0, 1, 0, 0, 0, 7]
        var camera = TalkingCamera()
        camera.change = { request, response in if request.method == "SETUP" { response.headers["Transport"] = "RTP/AVP/TCP;unicast;interleaved=0-1" } }
        var (shared, _) = try playing(camera)
        #expect(shared.agreedChannels == [0, 1])
        #expect(shared.receive(.packet(channel: 0, rtp(96, 5))) == [.packet(track: 0, isReport: false, rtp(96, 5))])
        #expect(shared.receive(.packet(channel: 0, rtp(0, 7))) == [.packet(track: 1, isReport: false, rtp(0, 7))])
        #expect(shared.receive(.packet(channel: 1, report)) == [.packet(track: 1, isReport: true, report)])
        var (strange, _) = try playing()
        #expect(strange.receive(.packet(channel: 8, rtp(0x80, 7))) == [.packet(track: 1, isReport: false, rtp(0x80, 7))])
        #expect(strange.receive(.packet(channel: 8, rtp(50, 7))).isEmpty)
        // Reports on the channel of media, and media on that of reports.
        #expect(strange.receive(.packet(channel: 0, report)) == [.packet(track: 0, isReport: true, report)])
        #expect(strange.receive(.packet(channel: 1, rtp(96, 5))) == [.packet(track: 0, isReport: false, rtp(96, 5))])
    }
}
