// SPDX-License-Identifier: Apache-2.0
import RTSP
import Testing

struct RTSPServerSessionTests {
    private func request(_ method: String, _ uri: String = "rtsp://h:5554/room%201", _ headers: RTSPHeaders = [:]) -> RTSPRequest {
        var headers = headers
        headers["CSeq"] = "7"
        return RTSPRequest(method, uri, headers: headers)
    }

    @Test("a client describes, sets up, plays and leaves")
    func life() {
        var session = RTSPServerSession(id: "abc")
        guard case .answer(let options) = session.receive(request("OPTIONS")) else { Issue.record("no answer"); return }
        #expect(options.headers["Public"]?.contains("DESCRIBE") == true && options.headers["CSeq"] == "7")
        #expect(session.receive(request("DESCRIBE")) == .describe(streams: ["room 1", "/room 1", "room%201"]))
        #expect(session.describe("v=0").headers["Content-Base"] == "rtsp://h:5554/room%201/")
        let offers = [RTSPTransport(.interleaved(rtp: 0, rtcp: 1))]
        #expect(session.receive(request("SETUP", "rtsp://h:5554/room%201/trackID=0", ["Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"])) == .setUp(track: 0, offers: offers))
        #expect(session.setUp(track: 0, offers[0]).headers["Session"] == "abc;timeout=60")
        guard case .play = session.receive(request("PLAY", "rtsp://h:5554/room%201/", ["Session": "abc"])) else { Issue.record("does not play"); return }
        #expect(session.state == .playing)
        guard case .answer(let alive) = session.receive(request("GET_PARAMETER", "rtsp://h:5554/room%201", ["Session": "abc"])) else { Issue.record("no answer"); return }
        #expect(alive.status == 200)
        guard case .end(let last) = session.receive(request("TEARDOWN", "rtsp://h:5554/room%201", ["Session": "abc"])) else { Issue.record("no end"); return }
        #expect(last.status == 200 && session.state == .over)
    }

    @Test("what comes at the wrong time, for nothing or by strangers is refused in words", arguments: [
        ("PLAY", "rtsp://h/a", 455), ("SETUP", "rtsp://h/a", 404), ("SETUP", "rtsp://h/a/trackID=99", 404), ("SETUP", "rtsp://h/a/trackID=0", 461),
        ("DESCRIBE", "rtsp://h/", 404), ("RECORD", "rtsp://h/a", 405), ("PAUSE", "rtsp://h/a", 455), ("NONSENSE", "*", 501),
    ])
    func refusals(_ method: String, _ uri: String, _ status: Int) {
        var session = RTSPServerSession(id: "abc")
        guard case .answer(let answer) = session.receive(request(method, uri)) else { Issue.record("not refused"); return }
        #expect(answer.status == status)
    }

    @Test("a track that is set up already can't be changed")
    func twice() {
        var session = RTSPServerSession(id: "abc")
        _ = session.setUp(track: 0, RTSPTransport(.interleaved(rtp: 0, rtcp: 1)))
        let again = request("SETUP", "rtsp://h/a/trackID=0", ["Session": "abc", "Transport": "RTP/AVP/TCP;unicast;interleaved=2-3"])
        guard case .answer(let answer) = session.receive(again) else { Issue.record("not refused"); return }
        #expect(answer.status == 455)
    }

    private func status(_ step: RTSPServerSession.Step) -> Int? {
        switch step {
        case .answer(let answer), .play(let answer), .pause(let answer), .end(let answer): answer.status
        case .describe, .setUp: nil
        }
    }

    /// One that plays two tracks by UDP.
    private func playing() -> RTSPServerSession {
        var session = RTSPServerSession(id: "abc")
        _ = session.receive(request("DESCRIBE"))
        _ = session.describe("v=0")
        _ = session.setUp(track: 0, RTSPTransport(.udp(client: 5000, server: 6000)))
        _ = session.setUp(track: 1, RTSPTransport(.udp(client: 5002, server: 6002)))
        _ = session.receive(request("PLAY"))
        return session
    }

    @Test("who got nothing by UDP pauses, sets the same tracks up by TCP, the first without the session's name, and plays")
    func fallback() {
        var session = playing()
        #expect(session.state == .playing && !session.isPaused)
        guard case .pause(let paused) = session.receive(request("PAUSE", "rtsp://h:5554/room%201/", ["Session": "abc"])) else {
            Issue.record("does not pause")
            return
        }
        #expect(paused.status == 200 && paused.headers["Session"] == "abc" && session.state == .ready && session.isPaused)
        for track in 0..<2 {
            let text = "RTP/AVP/TCP;unicast;interleaved=\(track * 2)-\(track * 2 + 1)"
            let offer = RTSPTransport(.interleaved(rtp: UInt8(track * 2), rtcp: UInt8(track * 2 + 1)))
            var headers: RTSPHeaders = ["Transport": text]
            if track > 0 { headers["Session"] = "abc" }
            let step = session.receive(request("SETUP", "rtsp://h:5554/room%201/trackID=\(track)", headers))
            #expect(step == .setUp(track: track, offers: [offer]))
            let answer = session.setUp(track: track, offer)
            #expect(answer.headers["Transport"] == text && answer.headers["Session"] == "abc;timeout=60")
        }
        #expect(session.transports.mapValues(\.way) == [0: .interleaved(rtp: 0, rtcp: 1), 1: .interleaved(rtp: 2, rtcp: 3)])
        guard case .play = session.receive(request("PLAY", "rtsp://h:5554/room%201/", ["Session": "abc"])) else {
            Issue.record("does not play")
            return
        }
        #expect(session.state == .playing && !session.isPaused)
    }

    @Test("a pause halts what plays and nothing else, and what was set up before it stays")
    func pause() {
        let again = request("SETUP", "rtsp://h/a/trackID=0", ["Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"])
        var session = RTSPServerSession(id: "abc")
        _ = session.receive(request("DESCRIBE"))
        _ = session.describe("v=0")
        #expect(status(session.receive(request("PAUSE"))) == 455)
        // Set up and not played yet: nothing changes.
        _ = session.setUp(track: 0, RTSPTransport(.udp(client: 5000, server: 6000)))
        let early = session.receive(request("PAUSE"))
        guard case .answer(let answer) = early else { Issue.record("not only answered"); return }
        #expect(answer.status == 200 && !session.isPaused && status(session.receive(again)) == 455)
        guard case .play = session.receive(request("PLAY")) else { Issue.record("does not play"); return }
        // Nor while it plays.
        #expect(status(session.receive(again)) == 455)
        guard case .pause = session.receive(request("PAUSE")) else { Issue.record("does not pause"); return }
        guard case .answer(let second) = session.receive(request("PAUSE")) else { Issue.record("pauses twice"); return }
        #expect(second.status == 200 && session.isPaused)
        #expect(session.transports[0]?.way == .udp(client: 5000, server: 6000))
        guard case .play = session.receive(request("PLAY")) else { Issue.record("does not go on"); return }
        #expect(status(session.receive(again)) == 455)
        #expect(status(session.receive(request("PAUSE", "rtsp://h/a", ["Session": "xyz"]))) == 454 && session.state == .playing)
    }

    @Test("a track that is set up anew may have the channels that it had, and not those of others")
    func channelsAfterPause() {
        var session = RTSPServerSession(id: "abc")
        let first = RTSPTransport(.interleaved(rtp: 0, rtcp: 1)), second = RTSPTransport(.interleaved(rtp: 2, rtcp: 3))
        _ = session.setUp(track: 0, first)
        _ = session.setUp(track: 1, second)
        _ = session.receive(request("PLAY"))
        _ = session.receive(request("PAUSE"))
        #expect(session.setUp(track: 0, first).headers["Transport"] == first.text)
        #expect(session.setUp(track: 0, second).headers["Transport"] == first.text)
        #expect(session.setUp(track: 1, second).headers["Transport"] == second.text)
    }

    @Test("a session is known by its name only, and a request needs its number")
    func names() {
        var session = RTSPServerSession(id: "abc")
        _ = session.setUp(track: 0, RTSPTransport(.interleaved(rtp: 0, rtcp: 1)))
        guard case .answer(let answer) = session.receive(request("PLAY", "rtsp://h/a", ["Session": "xyz"])) else { Issue.record("not refused"); return }
        #expect(answer.status == 454)
        guard case .answer(let other) = session.receive(RTSPRequest("OPTIONS", "*")) else { Issue.record("not refused"); return }
        #expect(other.status == 400)
    }

    @Test("tracks that ask for the same channels get different ones")
    func channels() {
        var session = RTSPServerSession(id: "abc")
        let first = RTSPTransport(.interleaved(rtp: 0, rtcp: 1))
        #expect(session.setUp(track: 0, first).headers["Transport"] == "RTP/AVP/TCP;unicast;interleaved=0-1")
        #expect(session.setUp(track: 1, first).headers["Transport"] == "RTP/AVP/TCP;unicast;interleaved=2-3")
        #expect(session.transports[1]?.way == .interleaved(rtp: 2, rtcp: 3))
        // The one that is asked for is given where it is free, and half of a pair isn't.
        #expect(session.setUp(track: 2, RTSPTransport(.interleaved(rtp: 5, rtcp: 6))).headers["Transport"]?.hasSuffix("interleaved=5-6") == true)
        #expect(session.setUp(track: 3, RTSPTransport(.interleaved(rtp: 6, rtcp: 7))).headers["Transport"]?.hasSuffix("interleaved=8-9") == true)
    }

    @Test("names with slashes at their ends are looked for as they are first", arguments: [
        ("rtsp://h/cam/", ["cam/", "cam", "/cam"]), ("rtsp://h//cam", ["/cam", "cam"]), ("rtsp://h/a/b?x=/y", ["a/b", "/a/b"]),
        ("rtsp://h/%2Fcam", ["/cam", "//cam", "%2Fcam"]), ("rtsp://h/r%2520pct", ["r%20pct", "/r%20pct", "r%2520pct"]), ("rtsp://h//", []), ("*", []),
    ])
    func slashes(_ uri: String, _ names: [String]) {
        var session = RTSPServerSession(id: "abc")
        switch session.receive(request("DESCRIBE", uri)) {
        case .describe(let found): #expect(found == names)
        case .answer(let answer): #expect(answer.status == 404 && names.isEmpty)
        default: Issue.record("neither described nor refused")
        }
    }

    @Test("the address that packets come from is read when it is in numbers and one host's; it is never written", arguments: [
        ("10.0.0.7", "10.0.0.7"), (" \"10.0.0.7\" ", "10.0.0.7"), ("127.0.0.1", "127.0.0.1"), ("169.254.1.2", "169.254.1.2"),
        ("2001:DB8:0::7", "2001:db8::7"), ("[2001:db8::7]", "2001:db8::7"), ("::ffff:10.0.0.7", "10.0.0.7"), ("::1", "::1"),
        ("camera.local", nil), ("localhost", nil), ("10.0.0", nil), ("10.0.0.7:5000", nil), ("", nil), ("0.0.0.0", nil), ("::", nil),
        ("224.0.0.1", nil), ("239.255.0.1", nil), ("255.255.255.255", nil), ("ff02::1", nil), ("fe80::1", nil), ("fe80::1%lo", nil),
    ] as [(String, String?)])
    func sources(_ text: String, _ host: String?) {
        let header = "RTP/AVP/UDP;unicast;client_port=5000-5001;server_port=6000-6001;source=\(text);ssrc=0000000A"
        let found = RTSPTransport.parse(header).first
        #expect(found == RTSPTransport(.udp(client: 5000, server: 6000), ssrc: 10, source: host))
        #expect(found?.text == "RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001;ssrc=0000000A")
    }

    @Test("transports are read as clients write them")
    func transports() {
        #expect(RTSPTransport.parse("RTP/AVP;unicast;client_port=5000-5001").map(\.way) == [.udp(client: 5000, server: nil)])
        #expect(RTSPTransport.parse("RTP/AVP/UDP;unicast;client_port=5000-5001;mode=play").map(\.way) == [.udp(client: 5000, server: nil)])
        #expect(RTSPTransport.parse("RTP/AVP;multicast,RTP/AVP/TCP;unicast;interleaved=2-3", channel: 4).map(\.way) == [.interleaved(rtp: 2, rtcp: 3)])
        #expect(RTSPTransport.parse("RTP/AVP/TCP;unicast", channel: 4).map(\.way) == [.interleaved(rtp: 4, rtcp: 5)])
        #expect(RTSPTransport.parse("RTP/AVP;unicast;client_port=0-1").isEmpty)
        #expect(RTSPTransport.parse("RTP/AVP/TCP;interleaved=300-301").isEmpty)
        #expect(RTSPTransport.parse("RAW/RAW/UDP;client_port=1-2").isEmpty)
        #expect(RTSPTransport(.udp(client: 5000, server: 6000), ssrc: 0xab).text == "RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001;ssrc=000000AB")
    }
}
