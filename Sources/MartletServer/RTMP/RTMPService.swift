// SPDX-License-Identifier: Apache-2.0
// The RTMP doors: binds the ports, makes a session of every connection and runs it, drops who doesn't begin in time, and tells
// everybody before it closes. Composed by the server; a ServiceLifecycle service.
import Glibc
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import Primitives
import RTMP
import ServiceLifecycle
import Synchronization

final class RTMPService: Service {
    private let settings: RTMPSettings
    private let tls: NIOSSLContext?
    private let streams: StreamRegistry
    private let application: any SessionApplication
    private let listeners: ListenerRegistry
    private let streamRate: SourceRateLimiter
    private let group: any EventLoopGroup
    private let limiter: ConnectionLimiter
    private let logger: Logger
    private let accepted: AsyncStream<RTMPSession>
    private let acceptedSink: AsyncStream<RTMPSession>.Continuation
    /// All clients of the server, those of this service among them.
    private let clients: SessionRegistry
    private let counts = Mutex(Counts())
    private let memory: MemoryBudget
    /// What publishers' messages came to.
    let ingestCounters = IngestCounters()

    /// Since the start.
    struct Counts: Sendable {
        var connections = 0
        /// For want of room.
        var refused = 0
        /// Closed for a breach of the protocol or of a bound.
        var failed = 0
    }

    init(
        settings: RTMPSettings, tls: NIOSSLContext?, streams: StreamRegistry, application: any SessionApplication, listeners: ListenerRegistry,
        clients: SessionRegistry, streamRate: SourceRateLimiter, memory: MemoryBudget = .unlimited, group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        logger: Logger
    ) {
        self.clients = clients
        self.settings = settings
        self.tls = tls
        self.streams = streams
        self.application = application
        self.listeners = listeners
        self.streamRate = streamRate
        self.memory = memory
        self.group = group
        self.logger = logger
        limiter = ConnectionLimiter(maximum: settings.maximumConnections, maximumPerAddress: settings.maximumConnectionsPerAddress)
        (accepted, acceptedSink) = AsyncStream.makeStream()
    }

    var statistics: (now: Int, since: Counts) { (limiter.total, counts.withLock { $0 }) }

    /// Serves until graceful shutdown or cancellation. Throws when a port can't be bound, naming the setting.
    func run() async throws {
        var channels: [any Channel] = []
        do {
            if let port = settings.port { channels.append(try await bind(port, .rtmp)) }
            if let port = settings.securePort, tls != nil { channels.append(try await bind(port, .rtmps)) }
        } catch {
            for channel in channels { try? await channel.close() }
            throw error
        }
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await self.runSessions() }
            let (never, _) = AsyncStream<Never>.makeStream()
            for await _ in never.cancelOnGracefulShutdown() {}
            for channel in channels { try? await channel.close() }
            clients.postToAll(RTMPSession.Input.shutdown)
            acceptedSink.finish()
            let end = ContinuousClock.now + .seconds(2)
            while clients.counts.rtmp > 0, ContinuousClock.now < end {
                do { try await Task.sleep(for: .milliseconds(10)) } catch { break }
            }
            tasks.cancelAll()
        }
    }

    private func runSessions() async {
        await withDiscardingTaskGroup { group in
            for await session in accepted {
                group.addTask {
                    await session.run()
                    self.clients.remove(session.id)
                }
            }
        }
    }

    private func bind(_ port: Int, _ kind: ListenerKind) async throws -> any Channel {
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            // What a slow player hasn't taken waits here, where it can be left out, rather than in the kernel.
            .childChannelOption(.tcpOption(.init(rawValue: CInt(TCP_NOTSENT_LOWAT))), value: 262_144)
            .childChannelOption(.allowRemoteHalfClosure, value: false)
            .childChannelOption(.recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 512, initial: 4096, maximum: 65_536))
            .childChannelInitializer { [weak self] channel in
                guard let self, self.admit(channel) else { return channel.close() }
                return channel.eventLoop.makeCompletedFuture { try self.open(channel, kind) }
            }
        do {
            let channel = try await bootstrap.bind(to: try ListenerAddress.make(settings.host, port: port)).get()
            listeners.opened(kind, port: channel.localAddress?.port ?? port)
            return channel
        } catch {
            throw ListenerError(kind: kind, host: settings.host, port: port, error: error)
        }
    }

    // MARK: Connections (called on event loops)

    private func admit(_ channel: any Channel) -> Bool {
        let address = channel.remoteAddress?.ipAddress ?? "unknown"
        if let refusal = memory.admit(AddressKey(address)) {
            counts.withLock { $0.refused += 1 }
            logger.debug("RTMP connection refused: \(refusal)", metadata: ["peer": "\(address)"])
            return false
        }
        guard !channel.takesReservedDescriptor, limiter.enter(AddressKey(address)) else {
            counts.withLock { $0.refused += 1 }
            logger.debug("RTMP connection refused: too many", metadata: ["peer": "\(address)"])
            return false
        }
        counts.withLock { $0.connections += 1 }
        channel.closeFuture.whenComplete { [limiter] _ in limiter.leave(AddressKey(address)) }
        return true
    }

    private func open(_ channel: any Channel, _ kind: ListenerKind) throws {
        let pipeline = channel.pipeline.syncOperations
        if kind.isSecure, let tls { try pipeline.addHandler(NIOSSLServerHandler(context: tls)) }
        let handler = RTMPChannelHandler(machine: RTMPServerSession(limits: settings.limits), limits: settings.send)
        let connection = RTMPConnection(channel: channel, handler: handler)
        handler.account = memory.account(for: AddressKey(channel.remoteAddress?.ipAddress ?? "unknown")) { [weak connection] refusal in
            connection?.close(reason: "\(refusal)")
        }
        let session = RTMPSession(
            connection: connection, isSecure: kind.isSecure, streams: streams, application: application,
            settings: settings, streamRate: streamRate, ingestCounters: ingestCounters, logger: logger, onInfoChange: { [clients] info in clients.update(info) })
        handler.heldBySession = { [weak session] in session?.heldBytes ?? 0 }
        // For the connect, and for what it is for.
        let due = channel.eventLoop.scheduleTask(in: settings.connectTimeout) { session.post(.beginDue) }
        let idle = channel.eventLoop.scheduleRepeatedTask(initialDelay: settings.idleTimeout, delay: settings.idleTimeout / 2) { _ in
            session.post(.idleDue)
        }
        handler.deliver(
            onEvent: { event in session.take(event) },
            onClosed: { [weak self] reason in
                due.cancel()
                idle.cancel()
                if reason.contains("RTMP") { self?.counts.withLock { $0.failed += 1 } }
                session.post(.closed(reason))
            })
        try pipeline.addHandler(handler)
        clients.add(session)
        if case .terminated = acceptedSink.yield(session) {
            clients.remove(session.id)
            channel.close(promise: nil)
        }
    }
}

private func / (amount: TimeAmount, divisor: Int64) -> TimeAmount { .nanoseconds(max(1, amount.nanoseconds / divisor)) }
