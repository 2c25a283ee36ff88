// SPDX-License-Identifier: Apache-2.0
// The signalling door: binds the WebSocket ports, makes a session of every connection and runs it, reports rates each second,
// and on shutdown tells everybody before it closes. Composed by the server; a ServiceLifecycle service.
import Clocks
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import NIOWebSocket
import Primitives
import ServiceLifecycle
import Signalling
import Synchronization

struct WebSocketServiceConfiguration: Sendable {
    var host = "::"
    /// `nil`: no plain listener; 0: any free port.
    var port: Int? = 8080
    /// `nil`: no TLS listener; 0: any free port.
    var securePort: Int? = 8443
    /// Needed for the TLS listener.
    var tls: NIOSSLContext?
    var limits = SessionLimits()
    /// What connections hold counts in it.
    var memory = MemoryBudget.unlimited
    /// Told to clients in `getVersion`.
    var serverVersion = "martlet"
    /// How long sockets may take to close at shutdown.
    var shutdownTimeout = Duration.seconds(2)
}

/// The ports that were bound.
struct BoundPorts: Sendable, Equatable {
    var plain: Int?
    var secure: Int?
}

final class WebSocketService: Service {
    let sessions = SessionRegistry()
    private let configuration: WebSocketServiceConfiguration
    private let registry: StreamRegistry
    private let application: any SessionApplication
    private let snapshots: StreamSnapshots?
    private let streamRate: SourceRateLimiter?
    private let group: any EventLoopGroup
    private let limiter: ConnectionLimiter
    /// Connections that are not WebSockets yet: TLS and HTTP handshakes cost more than what comes after them.
    private let handshakes: ConnectionLimiter
    /// One report a minute from an address.
    private let bugReports: SourceRateLimiter
    private let logger: Logger
    private let bound = Mutex<(ports: BoundPorts?, waiting: [CheckedContinuation<BoundPorts?, Never>], isOver: Bool)>((nil, [], false))
    private let accepted: AsyncStream<Session>
    private let acceptedSink: AsyncStream<Session>.Continuation

    init(
        configuration: WebSocketServiceConfiguration, registry: StreamRegistry,
        application: any SessionApplication = AcceptingApplication(), snapshots: StreamSnapshots? = nil,
        streamRate: SourceRateLimiter? = nil,
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton, logger: Logger
    ) {
        self.configuration = configuration
        self.registry = registry
        self.application = application
        self.snapshots = snapshots
        self.streamRate = streamRate
        self.group = group
        self.logger = logger
        limiter = ConnectionLimiter(
            maximum: configuration.limits.maximumSessions, maximumPerAddress: configuration.limits.maximumSessionsPerAddress)
        handshakes = ConnectionLimiter(
            maximum: configuration.limits.maximumHandshakes, maximumPerAddress: configuration.limits.maximumHandshakesPerAddress)
        bugReports = SourceRateLimiter(rate: 1.0 / 60, burst: 1, now: MonotonicClock.now)
        (accepted, acceptedSink) = AsyncStream.makeStream()
    }

    /// The ports, once bound; `nil` when binding failed or the service is over.
    var ports: BoundPorts? {
        get async {
            await withCheckedContinuation { continuation in
                let known: BoundPorts?? = bound.withLock { bound in
                    if let ports = bound.ports { return .some(ports) }
                    if bound.isOver { return .some(nil) }
                    bound.waiting.append(continuation)
                    return nil
                }
                if let known { continuation.resume(returning: known) }
            }
        }
    }

    private func announce(_ ports: BoundPorts?) {
        let waiting = bound.withLock { bound in
            bound.ports = ports
            bound.isOver = ports == nil
            defer { bound.waiting = [] }
            return bound.waiting
        }
        for continuation in waiting { continuation.resume(returning: ports) }
    }

    /// Serves until graceful shutdown or cancellation. Throws when a port can't be bound, naming it.
    func run() async throws {
        var listeners: [WebSocketListener] = []
        do {
            var ports = BoundPorts()
            if let port = configuration.port {
                listeners.append(try await bind(port, tls: nil, .ws))
                ports.plain = listeners.last?.port
            }
            if let port = configuration.securePort, let tls = configuration.tls {
                listeners.append(try await bind(port, tls: tls, .wss))
                ports.secure = listeners.last?.port
            }
            logger.info("signalling is up", metadata: ["ws": "\(ports.plain.map(String.init) ?? "off")", "wss": "\(ports.secure.map(String.init) ?? "off")"])
            announce(ports)
        } catch {
            for listener in listeners { try? await listener.channel.close() }
            announce(nil)
            throw error
        }
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await self.registry.run() }
            tasks.addTask { await self.runSessions() }
            tasks.addTask { await self.reportRates() }
            await waitForShutdown()
            for listener in listeners { try? await listener.channel.close() }
            // Owners are told first; what they are told goes out before the close frame.
            await registry.shutdown()
            sessions.postToAll(Session.Input.shutdown)
            acceptedSink.finish()
            await waitForSessions()
            tasks.cancelAll()
        }
        announce(nil)
    }

    private func bind(_ port: Int, tls: NIOSSLContext?, _ kind: ListenerKind) async throws -> WebSocketListener {
        var listener = WebSocketListener.Configuration(port: port)
        listener.host = configuration.host
        listener.tls = tls
        listener.limits = configuration.limits.websocket
        listener.memory = configuration.memory
        do {
            return try await WebSocketListener.bind(
                listener, group: group, admit: { [weak self] channel in self?.admit(channel) },
                onConnection: { [weak self] connection, channel in
                    self?.open(connection, channel, isSecure: tls != nil) ?? { _ in }
                })
        } catch {
            throw ListenerError(kind: kind, host: configuration.host, port: port, error: error)
        }
    }

    // MARK: Connections (called on event loops)

    /// `nil`: the connection is refused. Otherwise what is to be called when it is a WebSocket, or closed.
    private func admit(_ channel: any Channel) -> (@Sendable () -> Void)? {
        let address = channel.remoteAddress?.ipAddress ?? "unknown"
        let network = AddressKey(address)
        func refused(_ reason: String) -> (@Sendable () -> Void)? {
            logger.info("WebSocket connection refused", metadata: ["peer": "\(address)", "reason": "\(reason)"])
            return nil
        }
        guard !channel.takesReservedDescriptor else { return refused("the process has hardly any file descriptors left (ulimit -n, LimitNOFILE)") }
        guard limiter.enter(network) else { return refused("too many sessions are open, in all or from its address (max_sessions)") }
        guard handshakes.enter(network) else {
            limiter.leave(network)
            return refused("too many connections have not finished their handshake, in all or from its address")
        }
        channel.closeFuture.whenComplete { [limiter] _ in limiter.leave(network) }
        let isShakingHands = Mutex(true)
        return { [handshakes] in
            let was = isShakingHands.withLock { was in
                defer { was = false }
                return was
            }
            if was { handshakes.leave(network) }
        }
    }

    private func open(_ connection: WebSocketConnection, _ channel: any Channel, isSecure: Bool) -> @Sendable (WebSocketEvent) -> Void {
        let session = Session(
            channel: connection, isSecure: isSecure, registry: registry, application: application, limits: configuration.limits,
            serverVersion: configuration.serverVersion, snapshots: snapshots, streamRate: streamRate, bugReports: bugReports, memory: configuration.memory, uuid: Identifier.uuid(),
            logger: logger,
            onInfoChange: { [sessions] info in sessions.update(info) })
        sessions.add(session)
        if case .terminated = acceptedSink.yield(session) {
            // The server stops at this very moment.
            sessions.remove(session.id)
            channel.close(promise: nil)
            return { _ in }
        }
        let interval = configuration.limits.keepAliveInterval
        let keepAlive = channel.eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
            session.post(.keepAliveDue)
        }
        let due = channel.eventLoop.scheduleTask(in: configuration.limits.connectionTimeout) { session.post(.connectionDue) }
        return { event in
            switch event {
            case .text(let text): session.post(.text(text))
            case .closed(let reason):
                keepAlive.cancel()
                due.cancel()
                session.post(.closed(reason))
            }
        }
    }

    // MARK: Tasks

    private func runSessions() async {
        await withDiscardingTaskGroup { group in
            for await session in accepted {
                group.addTask {
                    await session.run()
                    self.sessions.remove(session.id)
                }
            }
        }
    }

    private func reportRates() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(1))
            if Task.isCancelled { return }
            await registry.reportRates()
        }
    }

    private func waitForShutdown() async {
        // Never yields; ends when the service group asks for shutdown or the task is cancelled.
        let (never, _) = AsyncStream<Never>.makeStream()
        for await _ in never.cancelOnGracefulShutdown() {}
    }

    /// Gives sockets the time to take their goodbyes. Sessions that don't are cut off by their channels' own close timeout.
    private func waitForSessions() async {
        let end = ContinuousClock.now + configuration.shutdownTimeout
        while sessions.counts.webSocket > 0, ContinuousClock.now < end {
            // Also when the task was cancelled, in which case sleeping returns at once: yield instead of spinning hard.
            do { try await Task.sleep(for: .milliseconds(10)) } catch { break }
        }
    }
}
