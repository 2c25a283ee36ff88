// SPDX-License-Identifier: Apache-2.0
import RTSP
import SDP
import Testing

/// A camera as it is told to be.
struct TalkingCamera {
    var description = "v=0\r\ns=x\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0IAH9k=,aMk=\r\na=control:track1\r\nm=audio 0 RTP/AVP 0\r\na=control:track2\r\n"
    var challenge: String?
    var login: String?
    var statuses: [String: Int] = [:]
    /// The last word on an answer.
    var change: (RTSPRequest, inout RTSPResponse) -> Void = { _, _ in }

    func answer(_ request: RTSPRequest) -> RTSPParser.Item {
        var response = RTSPResponse(statuses[request.method] ?? 200)
        if let challenge, request.headers["Authorization"].map({ given in login.map { !given.contains($0) } ?? false }) ?? true, request.method != "OPTIONS" {
            response = RTSPResponse(401, headers: ["WWW-Authenticate": challenge])
        } else if response.status == 200 {
            switch request.method {
            case "OPTIONS": response.headers["Public"] = "DESCRIBE, SETUP, PLAY, GET_PARAMETER"
            case "DESCRIBE": response.body = Array(description.utf8)
            case "SETUP":
                response.headers["Session"] = "123;timeout=30"
                response.headers["Transport"] = request.headers["Transport"].map { $0.contains("TCP") ? $0 : $0 + ";server_port=7000-7001" }
            default: break
            }
        }
        response.headers["CSeq"] = request.headers["CSeq"]
        change(request, &response)
        return .response(response)
    }

    /// Lets a session talk until it says nothing more.
    func run(_ session: inout RTSPClientSession) -> (requests: [RTSPRequest], events: [RTSPClientSession.Action]) {
        var requests: [RTSPRequest] = [], events: [RTSPClientSession.Action] = [], actions = session.begin()
        while !actions.isEmpty, requests.count < 50 {
            let action = actions.removeFirst()
            if case .send(let request) = action {
                requests.append(request)
                actions += session.receive(answer(request))
            } else {
                events.append(action)
            }
        }
        return (requests, events)
    }
}

struct RTSPClientSessionTests {
    private func session(_ address: String = "rtsp://cam/live", ports: [UInt16]? = nil) throws -> RTSPClientSession {
        RTSPClientSession(try #require(RTSPAddress(address)), ports: ports, clientNonce: "n")
    }

    @Test("a stream is fetched over TCP, packets are told apart by their channels, and signs of life go out")
    func tcp() throws {
        var session = try session()
        let (requests, events) = TalkingCamera().run(&session)
        #expect(requests.map(\.method) == ["OPTIONS", "DESCRIBE", "SETUP", "SETUP", "PLAY"])
        #expect(requests[2].uri == "rtsp://cam/live/track1" && requests[3].headers["Session"] == "123")
        #expect(events.last == .playing && session.timeout == 30)
        #expect(session.tracks.map(\.format.codec.name) == ["H264", "PCMU"])
        let report: [UInt8] = [0x80, 200, 0, 1, 0, 0, 0, 2]
        #expect(session.receive(.packet(channel: 3, report)) == [.packet(track: 1, isReport: true, report)])
        #expect(session.receive(.packet(channel: 9, report)).isEmpty)
        guard case .send(let alive)? = session.keepAlive(at: .zero).first else { Issue.record("silent"); return }
        #expect(alive.method == "GET_PARAMETER")
        guard case .send(let last)? = session.end().first else { Issue.record("no goodbye"); return }
        #expect(last.method == "TEARDOWN")
    }

    @Test("over UDP the server's ports are told")
    func udp() throws {
        var session = try session(ports: [5000, 5002])
        let (requests, events) = TalkingCamera().run(&session)
        #expect(requests[2].headers["Transport"] == "RTP/AVP;unicast;client_port=5000-5001")
        #expect(events.contains(.serverPort(track: 0, 7000)) && events.last == .playing)
    }

    @Test("over UDP, the address that a server's packets come from is told, with its ports or without")
    func sources() throws {
        var camera = TalkingCamera()
        camera.change = { request, response in
            guard request.method == "SETUP", let asked = request.headers["Transport"] else { return }
            response.headers["Transport"] = asked + ";source=10.0.0.7" + (request.uri.hasSuffix("track1") ? ";server_port=7000-7001" : "")
        }
        var udp = try session(ports: [5000, 5002])
        let events = camera.run(&udp).events.dropFirst()
        #expect(Array(events) == [.source(track: 0, "10.0.0.7"), .serverPort(track: 0, 7000), .source(track: 1, "10.0.0.7"), .playing])
        // Between the messages there is one way only.
        var tcp = try session()
        #expect(Array(camera.run(&tcp).events.dropFirst()) == [.playing])
    }

    @Test("a login is given when it is asked for, once; a wrong or missing one fails", arguments: ["Basic realm=\"c\"", "Digest realm=\"c\", nonce=\"1\""])
    func logins(_ challenge: String) throws {
        var camera = TalkingCamera()
        camera.challenge = challenge
        var right = try session("rtsp://u:p@cam/live")
        #expect(camera.run(&right).events.last == .playing)
        camera.login = "nobody"
        var wrong = try session("rtsp://u:p@cam/live")
        let (requests, events) = camera.run(&wrong)
        #expect(events == [.failed(.unauthorized)] && requests.count == 3)
        var none = try session()
        #expect(camera.run(&none).events == [.failed(.unauthorized)])
        #expect(!requests.contains { $0.uri.contains("u:p") })
    }

    @Test("where a transport is refused, or nothing comes by UDP, the other one is known to be the way")
    func transports() throws {
        var camera = TalkingCamera()
        camera.statuses["SETUP"] = 461
        var tcp = try session()
        #expect(camera.run(&tcp).events.last == .failed(.refused(status: 461, "Unsupported Transport")))
        #expect(tcp.habits.usesUDP == true)
        var udp = try session(ports: [5000, 5002])
        _ = camera.run(&udp)
        #expect(udp.habits.usesUDP == false)
        camera.statuses = [:]
        var silent = try session(ports: [5000, 5002]), silentTCP = try session()
        _ = camera.run(&silent)
        _ = camera.run(&silentTCP)
        #expect(silent.habits.usesUDP == nil)
        silent.noteSilence()
        silentTCP.noteSilence()
        #expect(silent.habits.usesUDP == false && silentTCP.habits.usesUDP == nil)
    }

    @Test("what can't be fetched is told by its reason")
    func failures() throws {
        var camera = TalkingCamera()
        camera.statuses["DESCRIBE"] = 404
        var one = try session()
        #expect(camera.run(&one).events == [.failed(.notFound)])
        camera.statuses = ["SETUP": 461]
        var two = try session()
        #expect(camera.run(&two).events.last == .failed(.refused(status: 461, "Unsupported Transport")))
        camera.statuses = [:]
        camera.description = "v=0\r\nm=video 0 RTP/AVP 26\r\nm=audio 0 RTP/AVP 97\r\na=rtpmap:97 MP4A-LATM/48000\r\n"
        var three = try session()
        guard case .failed(.noUsableCodec(let names))? = camera.run(&three).events.last else { Issue.record("not refused"); return }
        #expect(names.contains("MP4A-LATM"))
        camera.description = "<html>"
        var four = try session()
        guard case .failed(.badDescription)? = camera.run(&four).events.last else { Issue.record("not refused"); return }
    }
}
