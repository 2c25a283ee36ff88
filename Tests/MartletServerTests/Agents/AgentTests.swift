// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOSSL
import Signalling
import Testing

@testable import MartletServer

/// A node that pushes and pulls: a server with agents.
private final class Node {
    let server: WebSocketTestServer
    let agents: AgentRegistry
    private let task: Task<Void, Never>

    init(_ change: (inout AgentSettings) -> Void = { _ in }, isAutomatic: Bool = true) async throws {
        server = try await WebSocketTestServer(isAutomatic: isAutomatic)
        var settings = AgentSettings()
        settings.firstDelay = .milliseconds(10)
        settings.longestDelay = .milliseconds(50)
        change(&settings)
        let agents = AgentRegistry(registry: server.registry, settings: settings, logger: silentLogger())
        self.agents = agents
        task = Task { await agents.run() }
    }

    func call(_ path: String, _ body: JSONValue? = nil) async -> (status: Int, body: JSONValue?, reason: String) {
        guard let route = PullRoutes(agents: agents).restRoutes.first(where: { $0.path == path }) else { return (0, nil, "no route") }
        do {
            let reply = try await route.handle(body)
            return (reply.status, reply.body, "")
        } catch let failure as RESTFailure {
            return (failure.status, nil, failure.reason)
        } catch {
            return (500, nil, "\(error)")
        }
    }

    func push(_ uri: String, _ local: String, _ remote: String) async -> (status: Int, body: JSONValue?, reason: String) {
        await call("pull/push", ["uri": .string(uri), "localStreamName": .string(local), "remoteStreamName": .string(remote)])
    }
    func pull(_ uri: String, _ local: String, _ remote: String) async -> (status: Int, body: JSONValue?, reason: String) {
        await call("pull/pull", ["uri": .string(uri), "localStreamName": .string(local), "remoteStreamName": .string(remote)])
    }

    /// A client that publishes `name` on this node.
    func publish(_ name: String) async throws -> (WCSClient, WCSStream) {
        let client = try await WCSClient.connect(to: server.address())
        let stream = try await client.publish(name: name, offer: "offer")
        try await stream.started()
        return (client, stream)
    }

    func stop() async {
        task.cancel()
        await task.value
        await server.stop()
    }
}

@Suite("Agents", .timeLimit(.minutes(1)))
struct AgentTests {
    @Test("a push is answered by 200 when the stream is on the far side, and find_all shows both ends")
    func push() async throws {
        let near = try await Node(), far = try await WebSocketTestServer()
        let (client, _) = try await near.publish("one")
        #expect(await near.call("pull/find_all").status == 404)
        let reply = await near.push(far.uri + "/websocket", "one", "copy")
        #expect(reply.status == 200, "\(reply.reason)")
        #expect(reply.body == nil)
        #expect(await far.registry.isAvailable("copy"))
        let found = await near.call("pull/find_all").body?[0]
        #expect(found?["status"] == "PROCESSED_LOCAL")
        #expect(found?["localStreamName"] == "one")
        #expect(found?["remoteStreamName"] == "copy")
        #expect(found?["uri"] == .string(far.uri + "/websocket"))
        let remote = try #require(found?["remoteMediaSessionId"]?.stringValue)
        #expect(await far.registry.find(StreamFilter(mediaSessionID: remote)).count == 1)
        #expect(found?["localMediaSessionId"] != found?["remoteMediaSessionId"])
        // The same again, however the URI is written, is there already; the far name is taken for others too.
        #expect(await near.push(far.uri + "/", "one", "copy").status == 409)
        let (other, _) = try await near.publish("two")
        #expect(await near.push(far.uri, "two", "copy").status == 409)
        _ = client
        _ = other
        await near.stop()
        await far.stop()
    }

    @Test("requests that can't be are refused with the right code and a reason that names the thing")
    func refusals() async throws {
        let near = try await Node(), far = try await WebSocketTestServer()
        let unknown = await near.push(far.uri, "nothing", "copy")
        #expect(unknown.status == 404)
        #expect(unknown.reason.contains("nothing"))
        let (client, _) = try await near.publish("one")
        let bad = await near.push("http://x", "one", "copy")
        #expect(bad.status == 400)
        #expect(bad.reason.contains("http://x"))
        #expect(await near.call("pull/push", ["uri": "ws://x", "localStreamName": "one"]).reason.contains("remoteStreamName"))
        #expect(await near.call("pull/push", ["uri": "ws://x", "localStreamName": "one"]).status == 400)
        #expect(await near.call("pull/pull", nil).status == 400)
        #expect(await near.call("pull/push", [1]).status == 400)
        #expect(await near.call("pull/push", ["uri": 1, "localStreamName": "one", "remoteStreamName": "x"]).status == 400)
        let secure = await near.push("wss://127.0.0.1:\(far.port)", "one", "copy")
        #expect(secure.status == 400)
        #expect(secure.reason.contains("wcs_agent_ssl"))
        let remote = await near.pull(far.uri, "local", "nothing there")
        #expect(remote.status == 404)
        #expect(remote.reason.contains("nothing there"))
        #expect(await near.server.registry.isTaken("local") == false)
        #expect(await near.pull(far.uri, "one", "x").status == 409)
        let deadURI = far.uri
        await far.stop()
        let dead = await near.push(deadURI, "one", "copy")
        #expect(dead.status == 500)
        #expect(dead.reason.contains(deadURI))
        #expect(await near.call("pull/terminate", ["uri": .string(deadURI)]).status == 404)
        #expect(await near.call("pull/terminate", [:]).status == 400)
        #expect(await near.call("pull/find_all").status == 404)
        _ = client
        await near.stop()
    }

    @Test("a far side that never accepts is given up after the set time")
    func timeout() async throws {
        let near = try await Node({ $0.timeout = .milliseconds(200) }), far = try await WebSocketTestServer(isAutomatic: false)
        let (client, _) = try await near.publish("one")
        let reply = await near.push(far.uri, "one", "copy")
        #expect(reply.status == 500)
        #expect(await eventually { await !far.registry.isTaken("copy") })
        #expect(await eventually { await near.server.registry.count(published: false) == 0 })
        _ = client
        await near.stop()
        await far.stop()
    }

    @Test("a pull makes the far stream a local one that lasts as long as both want")
    func pull() async throws {
        let near = try await Node(), far = try await Node()
        let (publisher, stream) = try await far.publish("one")
        let reply = await near.pull(far.server.uri, "local", "one")
        #expect(reply.status == 200, "\(reply.reason)")
        #expect(await near.server.registry.isAvailable("local"))
        #expect(await near.call("pull/find_all").body?[0]?["status"] == "PROCESSED_REMOTE")
        let viewer = try await WCSClient.connect(to: near.server.address())
        let played = try await viewer.play(name: "local", offer: "offer")
        try await played.started()
        // A mute on the far side reaches the local viewer.
        publisher.sendEvent("audioMuted", payload: nil, of: stream)
        var events = played.events.makeAsyncIterator()
        #expect(await events.next()?.type == "audioMuted")
        publisher.stop(stream)
        var last: StreamStatusMessage?
        for await status in played.statuses { last = status }
        #expect(last?.info == "Stopped by publisher stop")
        #expect(await eventually { await near.agents.count == 0 })
        #expect(await eventually { near.server.engine.openStreams == 0 })
        await near.stop()
        await far.stop()
    }

    @Test("terminate ends the push on both sides, by any of its names")
    func terminate() async throws {
        let near = try await Node(), far = try await WebSocketTestServer()
        let (client, _) = try await near.publish("one")
        for body: JSONValue in [
            ["uri": .string(far.uri + "/socket")], ["localStreamName": "one"], ["remoteStreamName": "copy"],
            ["uri": .string(far.uri), "localStreamName": "one", "remoteStreamName": "copy"],
        ] {
            #expect(await near.push(far.uri, "one", "copy").status == 200)
            #expect(await near.call("pull/terminate", ["localStreamName": "one", "remoteStreamName": "other"]).status == 404)
            #expect(await near.call("pull/terminate", body).status == 200)
            #expect(await near.call("pull/find_all").status == 404)
            #expect(await eventually { await !far.registry.isTaken("copy") })
            #expect(await eventually { await near.server.registry.count(published: false) == 0 })
        }
        #expect(await near.server.registry.isAvailable("one"))
        _ = client
        await near.stop()
        await far.stop()
    }

    @Test("the far stream ends with the local one")
    func localEnd() async throws {
        let near = try await Node(), far = try await WebSocketTestServer()
        let (client, _) = try await near.publish("one")
        #expect(await near.push(far.uri, "one", "copy").status == 200)
        await client.shutdown()
        #expect(await eventually { await !far.registry.isTaken("copy") })
        #expect(await eventually { await near.agents.count == 0 })
        await near.stop()
        await far.stop()
    }

    @Test("a push ended on the far side on purpose is not begun again")
    func farTerminates() async throws {
        let near = try await Node(), far = try await WebSocketTestServer()
        let (client, _) = try await near.publish("one")
        #expect(await near.push(far.uri, "one", "copy").status == 200)
        _ = await far.registry.terminate(.all)
        #expect(await eventually { await near.agents.count == 0 })
        #expect(await far.registry.isTaken("copy") == false)
        #expect(await near.server.registry.isAvailable("one"))
        _ = client
        await near.stop()
        await far.stop()
    }

    @Test("a push whose far side goes away says so, and is on again when the far side is back")
    func reconnects() async throws {
        let near = try await Node(), far = try await WebSocketTestServer()
        let (client, _) = try await near.publish("one")
        #expect(await near.push(far.uri, "one", "copy").status == 200)
        let port = far.port
        await far.stop()
        #expect(await eventually { await near.call("pull/find_all").body?[0]?["status"] == "RECONNECTING" })
        #expect(await near.server.registry.isAvailable("one"))
        let back = try await WebSocketTestServer(port: port)
        #expect(await eventually { await back.registry.isAvailable("copy") })
        #expect(await eventually { await near.call("pull/find_all").body?[0]?["status"] == "PROCESSED_LOCAL" })
        // Its media connection breaks while the socket stays: the same.
        near.server.engine.breakAll(.push, .iceConsentExpired)
        #expect(await eventually { await back.registry.isAvailable("copy") && near.server.engine.state.withLock { $0.answersSet.count } == 3 })
        _ = client
        await near.stop()
        await back.stop()
    }

    @Test("a push without its far side ends when the local stream does")
    func endsWhileReconnecting() async throws {
        let near = try await Node(), far = try await WebSocketTestServer()
        let (client, _) = try await near.publish("one")
        #expect(await near.push(far.uri, "one", "copy").status == 200)
        await far.stop()
        #expect(await eventually { await near.call("pull/find_all").body?[0]?["status"] == "RECONNECTING" })
        await client.shutdown()
        #expect(await eventually { await near.agents.count == 0 })
        await near.stop()
    }

    @Test("over TLS: the far certificate is checked, against an own authority, or not at all")
    func tls() async throws {
        let certificate = try TestCertificate()
        let far = try await WebSocketTestServer(tls: certificate.serverContext)
        let uri = "wss://localhost:\(far.ports.secure ?? 0)"
        for (trust, status) in [(WCSTrust.authorities(file: certificate.file), 200), (.system, 500), (.none, 200)] {
            let near = try await Node {
                $0.usesSSL = true
                $0.trust = trust
            }
            let (client, _) = try await near.publish("one")
            let reply = await near.push(uri, "one", "copy")
            #expect(reply.status == status, "\(trust): \(reply.reason)")
            if status == 500 { #expect(reply.reason.contains("certificate is not trusted") && reply.reason.contains("wcs_agent_ca_file"), "\(reply.reason)") }
            let plain = await near.push(far.uri, "one", "other")
            #expect(plain.status == 400)
            #expect(plain.reason.contains("wcs_agent_ssl"))
            _ = client
            await near.stop()
            #expect(await eventually { await !far.registry.isTaken("copy") })
        }
        certificate.remove()
        await far.stop()
    }

    @Test("a far side that wants wss names its setting")
    func farWantsTLS() async throws {
        var limits = SessionLimits()
        limits.requiresSecureAgents = true
        let near = try await Node(), far = try await WebSocketTestServer(limits: limits)
        let (client, _) = try await near.publish("one")
        let reply = await near.push(far.uri, "one", "copy")
        #expect(reply.status == 500)
        #expect(reply.reason.contains("wcs_agent_ssl"), "\(reply.reason)")
        _ = client
        await near.stop()
        await far.stop()
    }
}

@Suite("Server addresses")
struct AgentAddressTests {
    @Test(
        "different spellings of one server are equal",
        arguments: [
            ("ws://host:8080", "ws://HOST:8080/websocket"), ("ws://host:8080/", "WS://host:8080/socket"), ("ws://host", "ws://host:80/"),
            ("wss://host/", "wss://host:443/websocket/"), ("ws://[::1]:8080", "ws://[::1]:8080/websocket"),
        ])
    func equal(a: String, b: String) throws {
        #expect(try WCSAddress(a) == WCSAddress(b))
        #expect(try WCSAddress(a).hashValue == WCSAddress(b).hashValue)
    }

    @Test(
        "different servers are not",
        arguments: [
            ("ws://host:8080", "wss://host:8080"), ("ws://host:8080", "ws://host:8081"), ("ws://host:8080/a", "ws://host:8080/b"),
            ("ws://a:8080", "ws://b:8080"),
        ])
    func unequal(a: String, b: String) throws {
        #expect(try WCSAddress(a) != WCSAddress(b))
    }

    @Test("what is no WebSocket URI is refused", arguments: ["", "x", "http://x", "ws://", "ws:///x", "ws://x:0", "ws://x:99999", "ws://x:a", "ws://a b", "ws://u@x", "ws://[::1"])
    func bad(text: String) {
        #expect(throws: WCSClientError.self) { try WCSAddress(text) }
    }

    @Test("the path is kept as given")
    func target() throws {
        #expect(try WCSAddress("ws://x:1/websocket?a=b#c").target == "/websocket?a=b")
        #expect(try WCSAddress("ws://x:1").target == "/")
        #expect(try WCSAddress("ws://[2001:DB8::1]:1/").host == "2001:db8::1")
    }
}
