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
