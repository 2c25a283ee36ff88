// SPDX-License-Identifier: Apache-2.0
import MediaIO
import Primitives
import SDP
import Signalling
import Synchronization
import Testing

@testable import MartletServer

@Suite("Sessions", .timeLimit(.minutes(1)))
struct SessionTests {
    @Test("connection is answered by the echo with a token, then the version")
    func handshake() async throws {
        let bench = SessionBench()
        let client = bench.client()
        client.send(.connection(ConnectionRequest(["appKey": "roomApp", "custom": ["login": "alice"], "keepAlive": false])))
        guard case .userData(let data)? = await client.next() else { Issue.record("no getUserData"); return }
        #expect(data["status"] == "ESTABLISHED")
        #expect(data["appKey"] == "roomApp")
        #expect(data["authToken"]?.stringValue?.isEmpty == false)
        #expect(await client.next() == .version("test"))
        #expect(client.session.id == "/198.51.100.7:50000/192.0.2.1:8080-uuid-0")
        await bench.close()
    }

    @Test("who says more of itself than a server keeps is told so and closed; many small parts count by what they take")
    func longIntroduction() async throws {
        let bench = SessionBench()
        for custom in [JSONValue.string(String(repeating: "x", count: 300_000)), .array(Array(repeating: [0], count: 4000))] {
            let client = bench.client()
            client.send(.connection(ConnectionRequest(["appKey": "roomApp", "custom": ["login": "alice", "more": custom]])))
            guard case .fail? = await client.next() else { Issue.record("not refused"); return }
            #expect(await client.session.info.connection == nil)
        }
        let client = bench.client()
        client.send(.connection(ConnectionRequest(["appKey": "roomApp", "custom": ["login": "alice", "more": .string(String(repeating: "x", count: 10_000))]])))
        guard case .userData(let data)? = await client.next() else { Issue.record("no getUserData"); return }
        #expect(data["custom"]?["more"]?.stringValue?.count == 10_000)
        #expect(await client.session.info.connection?.object.isEmpty == true)
        await bench.close()
    }

    @Test("publish: the answer first, PUBLISHING when media has come, UNPUBLISHED after the stop")
    func publishCycle() async throws {
        let bench = SessionBench(isAutomatic: false)
        let client = await bench.connected()
        client.publish("p", "one")
        #expect(await client.nextAnswer() == "p")
        #expect(await client.isQuiet())
        bench.engine.emit(.connected(remote: .init(ipv4: 1, port: 1)), "p")
        #expect(await client.isQuiet())
        bench.engine.emit(.mediaStarted(FakeMediaEngine.media), "p")
        let status = try #require(await client.nextStatus())
        #expect(status.known == .publishing)
        #expect(status.audioCodec == "opus")
        #expect(status.videoCodec == "H264")
        #expect(status.width == 640)
        #expect(status.createDate == 1_700_000_000_000)
        #expect(status.sessionID == client.session.id)
        #expect(status.nodeID == "node")
        client.unPublish("p")
        let stopped = try #require(await client.nextStatus())
        #expect(stopped.known == .unpublished)
        #expect(stopped.info == "Stopped by user")
        #expect(bench.engine.openStreams == 0)
        await bench.close()
    }

    @Test("play: the answer, PLAYING when connected, STOPPED after the stop; a second stop is silent")
    func playCycle() async throws {
        let bench = SessionBench(isAutomatic: false)
        let client = await bench.connected()
        client.publish("p", "one")
        _ = await client.next()
        bench.engine.emit(.mediaStarted(FakeMediaEngine.media), "p")
        _ = await client.next()
        client.play("a", "one")
        #expect(await client.nextAnswer() == "a")
        #expect(await client.isQuiet())
        bench.engine.emit(.connected(remote: .init(ipv4: 1, port: 1)), "a")
        let playing = try #require(await client.nextStatus())
        #expect(playing.known == .playing)
        #expect(playing.published == false)
        #expect(playing.videoCodec == "H264")
        client.stop("a")
        #expect(await client.nextStatus()?.known == .stopped)
        client.stop("a")
        client.unPublish("never there")
        #expect(await client.isQuiet())
        #expect(bench.engine.openEndpoints == 1)
        await bench.close()
    }

    @Test("a player that is being connected when its stream gets a track that it has no place for is told once it can be told")
    func tracksChangeWhilePending() async throws {
        let bench = SessionBench(isAutomatic: false)
        let client = await bench.connected()
        client.publish("p", "one")
        _ = await client.next()
        bench.engine.emit(.mediaStarted(MediaInfo(audioCodec: "opus", videoCodec: nil, width: 0, height: 0)), "p")
        _ = await client.next()
        client.play("a", "one")
        #expect(await client.nextAnswer() == "a")
        let video = TrackFormat(kind: .video, codec: Codec(payloadType: 96, name: "H264", clockRate: 90_000))
        bench.engine.setMissing([MissingTrack(track: 1, format: video, codecs: [])], of: "a")
        bench.engine.emit(.tracksChanged(FakeMediaEngine.media), "p")
        // What the engine says is handled in order, by a task that the ping doesn't wait for.
        bench.engine.emit(.connected(remote: .init(ipv4: 1, port: 1)), "a")
        #expect(await client.nextStatus()?.known == .playing)
        let end = try #require(await client.nextStatus())
        #expect(end.mediaSessionID == "a" && end.known == .failed && end.info == StreamStatusInfo.publisherStop.rawValue)
        #expect(bench.engine.openEndpoints == 1)
        await bench.close()
    }

    @Test("publish and stop in one breath ends in UNPUBLISHED, pending or not")
    func stopWhilePending() async throws {
        let bench = SessionBench(isAutomatic: false)
        let client = await bench.connected()
        client.publish("p", "one")
        client.unPublish("p")
        #expect(await client.nextAnswer() == "p")
        #expect(await client.nextStatus()?.known == .unpublished)
        #expect(await bench.registry.isTaken("one") == false)
        await bench.close()
    }

    @Test(
        "refusals say why, in the words that pages compare",
        arguments: [
            ("", "x", "offer", "MediaSessionId is null"), ("new", "taken", "offer", "Stream name is already in use"),
            ("p", "x", "offer", "MediaSessionId is already in use"), ("new", "x", "garbage", "Failed to add stream to proxy"),
            ("new", "x", "no codecs", "No common codecs"), ("new", "", "offer", "Failed by error"),
        ])
    func publishRefusals(id: String, name: String, sdp: String, info: String) async throws {
        let bench = SessionBench()
        let client = await bench.publisher("p", "taken")
        client.publish(id, name, sdp: sdp)
        let status = try #require(await client.nextStatus())
        #expect(status.known == .failed)
        #expect(status.info == info)
        #expect(status.mediaSessionID == id)
        // Nothing of the refused one is left, and the first one still lives.
        #expect(bench.engine.openStreams == 1)
        #expect(await bench.registry.isAvailable("taken"))
        await bench.close()
        #expect(bench.engine.openStreams == 0)
    }

    @Test(
        "a play that can't be says why",
        arguments: [
            ("nothing", "Session does not exist"), ("pending", "Publish stream is not ready"), ("rtsp://camera/1", "Failed to get agent storage"),
        ])
    func playRefusals(name: String, info: String) async throws {
        let bench = SessionBench(isAutomatic: false)
        let client = await bench.connected()
        client.publish("p", "pending")
        _ = await client.next()
        client.play("a", name)
        let status = try #require(await client.nextStatus())
        #expect(status.known == .failed)
        #expect(status.info == info)
        await bench.close()
    }

    @Test("commands before connection are refused, not obeyed")
    func notReady() async throws {
        let bench = SessionBench()
        let client = bench.client()
        client.publish("p", "one")
        #expect(await client.nextStatus()?.info == "Session not ready")
        client.send(.sendData(DataRequest(operationID: "o", payload: 1)))
        #expect(await client.next() == .dataStatus(DataStatus(operationID: "o", isAccepted: false, info: "Session not ready")))
        #expect(bench.engine.openStreams == 0)
        await bench.close()
    }

    @Test("media providers other than WebRTC are refused")
    func otherProvider() async throws {
        let bench = SessionBench()
        let client = await bench.publisher("p", "one")
        var request = StreamRequest(mediaSessionID: "a", name: "one", published: false, sdp: "offer")
        request.mediaProvider = "WSPlayer"
        client.send(.playStream(request))
        let status = try #require(await client.nextStatus())
        #expect(status.known == .failed)
        #expect(status.info?.isEmpty == false)
        await bench.close()
    }

    @Test(
        "a broken transport ends the stream with its reason",
        arguments: [
            (EndpointFailure.iceTimeout(checks: 0), "Failed by ICE timeout"), (.iceError("x"), "Failed by ICE error"),
            (.iceConsentExpired, "Failed by ICE keep alive"), (.dtlsFingerprint, "Failed by DTLS fingerprint error"),
            (.dtlsError("x"), "Failed by DTLS error"), (.rtpActivity, "Failed by RTP activity"),
        ])
    func transportFailures(failure: EndpointFailure, info: String) async throws {
        let bench = SessionBench()
        let client = await bench.publisher("p", "one")
        let watcher = await bench.connected()
        watcher.play("a", "one")
        _ = await watcher.next()
        #expect(await watcher.nextStatus()?.known == .playing)
        bench.engine.emit(.failed(failure), "p")
        let status = try #require(await client.nextStatus())
        #expect(status.known == .failed)
        #expect(status.info == info)
        let watched = try #require(await watcher.nextStatus())
        #expect(watched.known == .failed)
        #expect(watched.info == "Stopped by publisher stop")
        #expect(await bench.registry.isTaken("one") == false)
        await bench.close()
        #expect(bench.engine.openEndpoints == 0)
    }

    @Test("a peer connection closed by its owner counts as stopped, and the stop that follows is silent")
    func closedByPeer() async throws {
        let bench = SessionBench()
        let client = await bench.publisher("p", "one")
        bench.engine.emit(.failed(.closedByPeer), "p")
        #expect(await client.nextStatus()?.known == .unpublished)
        client.unPublish("p")
        #expect(await client.isQuiet())
        await bench.close()
    }

    @Test("a lost socket takes its streams along, and their watchers are told at once")
    func socketLoss() async throws {
        let bench = SessionBench()
        let client = await bench.publisher("p", "one")
        let watcher = await bench.connected()
        watcher.play("a", "one")
        _ = await watcher.next()
        _ = await watcher.next()
        await client.disconnect()
        let status = try #require(await watcher.nextStatus())
        #expect(status.known == .failed)
        #expect(status.info == "Stopped by publisher stop")
        #expect(await bench.registry.isTaken("one") == false)
        #expect(bench.engine.openStreams == 0)
        await bench.close()
    }

    @Test("nobody can stop, or send events about, other people's streams")
    func foreignStreams() async throws {
        let bench = SessionBench()
        let owner = await bench.publisher("p", "one")
        let stranger = await bench.connected()
        stranger.unPublish("p")
        stranger.stop("p")
        stranger.send(.sendStreamEvent(StreamEventMessage(mediaSessionID: "p", type: .audioMuted)))
        #expect(await stranger.isQuiet())
        #expect(await owner.isQuiet())
        #expect(await bench.registry.isAvailable("one"))
        await bench.close()
    }

    @Test("events reach every watcher under its own id; late joiners see what is muted")
    func events() async throws {
        let bench = SessionBench()
        let client = await bench.publisher("p", "one")
        let watcher = await bench.connected()
        for id in ["a", "b"] {
            watcher.play(id, "one")
            _ = await watcher.next()
            _ = await watcher.next()
        }
        client.send(.sendStreamEvent(StreamEventMessage(mediaSessionID: "p", type: .data, payload: ["count": 23])))
        client.send(.sendStreamEvent(StreamEventMessage(mediaSessionID: "p", type: .audioMuted)))
        var seen: Set<String> = []
        for _ in 0..<4 {
            guard case .streamEvent(let event)? = await watcher.next() else { Issue.record("no event"); return }
            seen.insert("\(event.mediaSessionID) \(event.type) \(event.payload?.serialized() ?? "-")")
        }
        #expect(seen == [#"a data {"count":23}"#, #"b data {"count":23}"#, "a audioMuted -", "b audioMuted -"])
        watcher.play("c", "one")
        _ = await watcher.next()
        let late = try #require(await watcher.nextStatus())
        #expect(late.audioMuted)
        #expect(!late.videoMuted)
        watcher.stop("a")
        #expect(await watcher.nextStatus()?.audioMuted == true)
        bench.engine.emit(.resized(width: 320, height: 180), "p")
        guard case .streamEvent(let resize)? = await watcher.next() else { Issue.record("no resize"); return }
        #expect(resize.type == "resize")
        #expect(resize.payload == ["streamerVideoWidth": 320, "streamerVideoHeight": 180])
        await bench.close()
    }

    @Test("availability is told with the word for no")
    func availability() async throws {
        let bench = SessionBench()
        let client = await bench.publisher("p", "one")
        client.send(.availableStream(StreamIdentity(mediaSessionID: "x", name: "one", published: false)))
        client.send(.availableStream(StreamIdentity(mediaSessionID: "y", name: "two", published: false)))
        #expect(await client.next() == .available(Availability(id: "x", isAvailable: true)))
        #expect(await client.next() == .available(Availability(id: "y", isAvailable: false, info: "Stream not found")))
        await bench.close()
    }

    @Test("rates go to running streams only, inbound to publishers and outbound to players")
    func rates() async throws {
        let bench = SessionBench(isAutomatic: false)
        let client = await bench.connected()
        client.publish("p", "one")
        _ = await client.next()
        bench.engine.setVideoRate(1, "p")
        await bench.registry.reportRates()
        #expect(await client.isQuiet())
        bench.engine.emit(.mediaStarted(FakeMediaEngine.media), "p")
        _ = await client.next()
        bench.engine.setVideoRate(700_000, "p")
        await bench.registry.reportRates()
        guard case .inboundVideoRate(let inbound)? = await client.next() else { Issue.record("no rate"); return }
        #expect(inbound.videoRate == 700_000)
        #expect(inbound.mediaSessionID == "p")
        client.play("a", "one")
        _ = await client.next()
        bench.engine.emit(.connected(remote: .init(ipv4: 1, port: 1)), "a")
        _ = await client.next()
        bench.engine.state.withLock { $0.statistics = [:] }
        bench.engine.setVideoRate(600_000, "a")
        await bench.registry.reportRates()
        guard case .outboundVideoRate(let outbound)? = await client.next() else { Issue.record("no rate"); return }
        #expect(outbound.videoRate == 600_000)
        await bench.close()
    }

    @Test("data is accepted; snapshots and calls are refused in words; diagnostics are taken")
    func rest() async throws {
        let bench = SessionBench()
        let client = await bench.publisher("p", "one")
        client.send(.sendData(DataRequest(operationID: "o", payload: ["x": 1])))
        #expect(await client.next() == .dataStatus(DataStatus(operationID: "o", isAccepted: true)))
        client.send(.snapshot(StreamIdentity(mediaSessionID: "s", name: "two", published: false)))
        #expect(await client.next() == .streamEvent(StreamEventMessage(
            mediaSessionID: "s", type: .snapshotFailed, payload: ["info": "Stream not found"])))
        client.send(.call(method: "call", callID: "c"))
        guard case .fail(let failure)? = await client.next() else { Issue.record("no fail"); return }
        #expect(!failure.info.isEmpty)
        #expect(await client.next() == .callFinished(["callId": "c", "status": "FAILED"]))
        for _ in 0..<100 { client.send(.pushLogs("12:00:00 INFO core - \"x\"\n")) }
        client.send(.submitBugReport(["text": "broken"]))
        client.send(.dataStatus(DataStatus(operationID: "unknown", isAccepted: true)))
        client.send(raw: "{not json")
        client.send(raw: #"{"message":"unknownThing"}"#)
        client.send(raw: #"{"message":"publishStream","data":"x"}"#)
        #expect(await client.nextStatus()?.info == "MediaSessionId is null")
        #expect(await client.isQuiet())
        await bench.close()
    }

    @Test("a client that does not answer pings is dropped after the set number, one that does is not")
    func keepAlive() async throws {
        let bench = SessionBench()
        var limits = SessionLimits()
        limits.keepAliveProbes = 2
        let client = bench.client(limits: limits)
        await client.connect()
        for _ in 0..<5 {
            client.session.post(.keepAliveDue)
            #expect(await client.next() == .ping)
            client.send(.pong)
        }
        client.session.post(.keepAliveDue)
        client.session.post(.keepAliveDue)
        client.session.post(.keepAliveDue)
        #expect(await client.next() == .ping)
        #expect(await client.next() == .ping)
        #expect(await client.next() == nil)
        #expect(client.channel.closeReason.withLock { $0 } == "Terminated by keep-alive")
        await bench.close()
    }

    @Test("a client that never introduces itself is dropped")
    func connectionDue() async throws {
        let bench = SessionBench()
        let client = bench.client()
        client.session.post(.connectionDue)
        #expect(await client.next() == nil)
        let other = await bench.connected()
        other.session.post(.connectionDue)
        #expect(await other.isQuiet())
        await bench.close()
    }

    @Test("a session has no more streams than it may")
    func streamLimit() async throws {
        let bench = SessionBench()
        var limits = SessionLimits()
        limits.maximumStreamsPerSession = 1
        let client = bench.client(limits: limits)
        await client.connect()
        client.publish("p", "one")
        _ = await client.next()
        _ = await client.next()
        client.play("a", "one")
        #expect(await client.nextStatus()?.known == .failed)
        await bench.close()
    }

    @Test("who begins streams too fast is refused, on another connection from there too, until a moment has gone by")
    func streamRate() async throws {
        let bench = SessionBench()
        let now = Mutex(Instant.zero)
        let rate = SourceRateLimiter(rate: 1, burst: 2, now: { now.withLock { $0 } })
        let (one, other) = (bench.client(streamRate: rate), bench.client(streamRate: rate))
        await one.connect()
        await other.connect()
        one.publish("p", "one")
        _ = await one.next()
        _ = await one.next()
        one.play("a", "none")
        #expect(await one.nextStatus()?.info == StreamStatusInfo.sessionDoesNotExist.rawValue)
        other.play("b", "one")
        #expect(await other.nextStatus()?.info == StreamStatusInfo.addToProxy.rawValue)
        now.withLock { $0 += .seconds(1) }
        other.play("c", "none")
        #expect(await other.nextStatus()?.info == StreamStatusInfo.sessionDoesNotExist.rawValue)
        await bench.close()
    }

    @Test("a stream terminated while the engine is still working on it is told once and leaves nothing behind")
    func terminatedWhilePending() async throws {
        let bench = SessionBench(isAutomatic: false)
        let client = await bench.connected()
        bench.engine.hold()
        client.publish("p", "one")
        while await !bench.registry.isTaken("one") { await Task.yield() }
        #expect(await bench.registry.terminate(.all) == 1)
        bench.engine.release()
        let status = try #require(await client.nextStatus())
        #expect(status.known == .failed)
        #expect(status.info == "Stopped by rest /terminate")
        #expect(await client.isQuiet())
        #expect(bench.engine.openEndpoints == 0)
        #expect(bench.engine.openStreams == 0)
        await bench.close()
    }

    @Test("the end of the server is told to publishers and players before their sockets close")
    func shutdown() async throws {
        let bench = SessionBench()
        let client = await bench.publisher("p", "one")
        let watcher = await bench.connected()
        watcher.play("a", "one")
        _ = await watcher.next()
        _ = await watcher.next()
        await bench.registry.shutdown()
        client.session.post(.shutdown)
        watcher.session.post(.shutdown)
        #expect(await client.nextStatus()?.known == .failed)
        #expect(await client.next() == nil)
        #expect(await watcher.nextStatus()?.known == .failed)
        #expect(await watcher.next() == nil)
        await bench.close()
    }

    @Test("agents of other servers must use wss when the server says so")
    func agentsOverPlain() async throws {
        let bench = SessionBench()
        var limits = SessionLimits()
        limits.requiresSecureAgents = true
        let agent = bench.client(limits: limits)
        agent.send(.connection(ConnectionRequest(custom: [ConnectionRequest.agentMark: true])))
        guard case .fail(let failure)? = await agent.next() else { Issue.record("no fail"); return }
        #expect(failure.info.contains("wcs_agent_ssl"))
        #expect(await agent.next() == nil)
        let browser = bench.client(limits: limits)
        browser.send(.connection(ConnectionRequest()))
        guard case .userData? = await browser.next() else { Issue.record("a browser was refused"); return }
        await bench.close()
    }
}
