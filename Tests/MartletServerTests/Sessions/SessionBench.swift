// SPDX-License-Identifier: Apache-2.0
// Sessions without sockets: clients that talk to real sessions and a real registry over in-memory channels.
import Logging
import NIOWebSocket
import Primitives
import Signalling
import Synchronization

@testable import MartletServer

func silentLogger() -> Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }

/// What a session writes to in tests.
final class MemoryChannel: MessageChannel {
    let remoteAddress: String
    let localAddress = "192.0.2.1:8080"
    let received: AsyncStream<ServerMessage>
    private let sink: AsyncStream<ServerMessage>.Continuation
    let closeReason = Mutex<String?>(nil)
    let processed = Mutex(0)

    init(remoteAddress: String) {
        self.remoteAddress = remoteAddress
        (received, sink) = AsyncStream.makeStream()
    }
    func send(_ text: String) {
        guard let envelope = try? Envelope(parsing: text) else { return }
        sink.yield(ServerMessage(envelope))
    }
    func close(code: WebSocketErrorCode, reason: String) {
        closeReason.withLock { $0 = reason }
        sink.finish()
    }
    func messageProcessed() { processed.withLock { $0 += 1 } }
}

/// A client of the bench.
final class BenchClient {
    let session: Session
    let channel: MemoryChannel
    private var messages: AsyncStream<ServerMessage>.Iterator
    private let task: Task<Void, Never>

    init(session: Session, channel: MemoryChannel) {
        self.session = session
        self.channel = channel
        messages = channel.received.makeAsyncIterator()
        task = Task { await session.run() }
    }

    func send(_ message: ClientMessage) { session.post(.text(message.envelope.serialized())) }
    func send(raw text: String) { session.post(.text(text)) }

    /// The next message; `nil` when the server closed the connection.
    func next(isolation: isolated (any Actor)? = #isolation) async -> ServerMessage? { await messages.next(isolation: isolation) }

    func nextStatus(isolation: isolated (any Actor)? = #isolation) async -> StreamStatusMessage? {
        guard case .streamStatus(let status)? = await next() else { return nil }
        return status
    }

    func nextAnswer(isolation: isolated (any Actor)? = #isolation) async -> String? {
        guard case .setRemoteSDP(let id, _)? = await next() else { return nil }
        return id
    }

    func connect(_ request: ConnectionRequest = ConnectionRequest(), isolation: isolated (any Actor)? = #isolation) async {
        send(.connection(request))
        _ = await next()
        _ = await next()
    }

    /// true when the server has nothing to say before the pong.
    func isQuiet(isolation: isolated (any Actor)? = #isolation) async -> Bool {
        send(.ping)
        return await next() == .pong
    }

    /// The socket is gone; returns when the session has cleaned up.
    func disconnect(isolation: isolated (any Actor)? = #isolation) async {
        session.post(.closed("test"))
        await task.value
    }

    func publish(_ id: String, _ name: String, sdp: String = "offer") {
        send(.publishStream(StreamRequest(mediaSessionID: id, name: name, published: true, sdp: sdp)))
    }
    func play(_ id: String, _ name: String, sdp: String = "offer") {
        send(.playStream(StreamRequest(mediaSessionID: id, name: name, published: false, sdp: sdp)))
    }
    func unPublish(_ id: String) {
        send(.unPublishStream(StreamIdentity(mediaSessionID: id, name: "", published: true, status: .publishing)))
    }
    func stop(_ id: String) {
        send(.stopStream(StreamIdentity(mediaSessionID: id, name: "", published: false, status: .playing)))
    }
}

final class SessionBench {
    let engine: FakeMediaEngine
    let registry: StreamRegistry
    private let registryTask: Task<Void, Never>
    private var clients: [BenchClient] = []

    init(isAutomatic: Bool = true, doors: StreamDoors? = nil) {
        engine = FakeMediaEngine(isAutomatic: isAutomatic)
        let registry = StreamRegistry(engine: engine, nodeID: "node", doors: doors, wallClock: { 1_700_000_000_000 }, logger: silentLogger())
        self.registry = registry
        registryTask = Task { await registry.run() }
    }

    func client(
        limits: SessionLimits = SessionLimits(), isSecure: Bool = false, application: any SessionApplication = AcceptingApplication(),
        streamRate: SourceRateLimiter? = nil
    ) -> BenchClient {
        let channel = MemoryChannel(remoteAddress: "198.51.100.7:\(50_000 + clients.count)")
        let session = Session(
            channel: channel, isSecure: isSecure, registry: registry, application: application, limits: limits,
            serverVersion: "test", streamRate: streamRate, uuid: "uuid-\(clients.count)", logger: silentLogger())
        let client = BenchClient(session: session, channel: channel)
        clients.append(client)
        return client
    }

    func connected(isolation: isolated (any Actor)? = #isolation) async -> BenchClient {
        let client = client()
        await client.connect()
        return client
    }

    /// A client whose stream is published and PUBLISHING has been told.
    func publisher(_ id: String, _ name: String, isolation: isolated (any Actor)? = #isolation) async -> BenchClient {
        let client = await connected()
        client.publish(id, name)
        _ = await client.next()
        _ = await client.next()
        return client
    }

    /// Ends everything; afterwards nothing may be left in the engine.
    func close(isolation: isolated (any Actor)? = #isolation) async {
        for client in clients { await client.disconnect() }
        await registry.shutdown()
        await registryTask.value
    }
}
