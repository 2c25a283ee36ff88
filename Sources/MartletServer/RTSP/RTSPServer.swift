// SPDX-License-Identifier: Apache-2.0
// The RTSP server: one listener, one task per client. Streams of this server for ffplay, VLC, GStreamer and recorders of others.
import Foundation
import Glibc
import Logging
import MediaIO
import NIOCore
import NIOPosix
import Primitives
import RTSP
import ServiceLifecycle
import Synchronization

struct RTSPServerSettings: Sendable {
    var host = "::"
    /// 0 = any free port.
    var port = 5554
    var maximumClients = 1_000
    var maximumClientsPerAddress = 200
    /// A client that is not playing says something at least this often.
    var idleTimeout = Duration.seconds(20)
    /// One that takes no media for this long is dropped.
    var writeTimeout = Duration.seconds(5)
    /// Streams of rooms are for their participants.
    var membersOnly = false
    /// What clients' messages and what waits for them count in.
    var memory = MemoryBudget.unlimited
}

final class RTSPServer: Service, Sendable {
    private let settings: RTSPServerSettings
    let streams: StreamRegistry
    private let listeners: ListenerRegistry
    let logger: Logger
    private let limiter: ConnectionLimiter
    private struct Counters {
        var clients = 0, playing = 0
        var accepted: UInt64 = 0, refused: UInt64 = 0, malformed: UInt64 = 0, slow: UInt64 = 0
    }
    private let counted = Mutex(Counters())

    init(settings: RTSPServerSettings, streams: StreamRegistry, listeners: ListenerRegistry, logger: Logger) {
        self.settings = settings
        self.streams = streams
        self.listeners = listeners
        self.logger = logger
        limiter = ConnectionLimiter(maximum: settings.maximumClients, maximumPerAddress: settings.maximumClientsPerAddress)
    }

    var statistics: (clients: Int, playing: Int, accepted: UInt64, refused: UInt64, malformed: UInt64, slow: UInt64) {
        counted.withLock { ($0.clients, $0.playing, $0.accepted, $0.refused, $0.malformed, $0.slow) }
    }

    func run() async throws {
        let channel: NIOAsyncChannel<NIOAsyncChannel<ByteBuffer, ByteBuffer>, Never>
        do {
            channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .serverChannelOption(.backlog, value: 256)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                // What lies in a socket is late already: more than a second's worth helps nobody.
                .childChannelOption(.socketOption(.so_sndbuf), value: 131_072)
                .childChannelOption(.writeBufferWaterMark, value: .init(low: 32 * 1024, high: 128 * 1024))
                .bind(to: try ListenerAddress.make(settings.host, port: settings.port)) { channel in
                    guard !channel.takesReservedDescriptor else {
                        self.counted.withLock { $0.refused += 1 }
                        channel.close(promise: nil)
                        return channel.eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel)
                    }
                    return channel.eventLoop.makeCompletedFuture { try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel) }
                }
        } catch {
            throw ListenerError(kind: .rtsp, host: settings.host, port: settings.port, error: error)
        }
        if let port = channel.channel.localAddress?.port { listeners.opened(.rtsp, port: port) }
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                try? await channel.executeThenClose { inbound in
                    for try await client in inbound { group.addTask { await self.serve(client) } }
                }
                group.cancelAll()
            }
        }
    }

    private func serve(_ channel: NIOAsyncChannel<ByteBuffer, ByteBuffer>) async {
        let address = channel.channel.remoteAddress?.ipAddress ?? "?"
        let network = AddressKey(address)
        let refusal = settings.memory.admit(network)
        guard refusal == nil, limiter.enter(network) else {
            counted.withLock { $0.refused += 1 }
            try? await channel.executeThenClose { _, outbound in
                try await outbound.write(ByteBuffer(bytes: RTSPResponse(503, reason: refusal.map { "\($0)" } ?? "Too many clients").bytes))
            }
            return
        }
        counted.withLock { counted in
            counted.clients += 1
            counted.accepted += 1
        }
        defer {
            limiter.leave(network)
            counted.withLock { $0.clients -= 1 }
        }
        let account = settings.memory.account(for: network) { [logger] refusal in
            logger.notice("RTSP client dropped: it makes the server hold too much", metadata: ["peer": "\(address)", "reason": "\(refusal)"])
            channel.channel.close(promise: nil)
        }
        let client = RTSPServerClient(
            server: self, account: account, address: address, peer: WebSocketConnection.text(channel.channel.remoteAddress), localAddress: channel.channel.localAddress?.ipAddress, membersOnly: settings.membersOnly,
            idleTimeout: settings.idleTimeout, writeTimeout: settings.writeTimeout)
        do {
            try await channel.executeThenClose { inbound, outbound in
                try await client.run(inbound, outbound, close: { channel.channel.close(promise: nil) })
            }
        } catch let error as RTSPError {
            counted.withLock { $0.malformed += 1 }
            logger.info("RTSP client dropped", metadata: ["peer": "\(address)", "reason": "\(error)"])
        } catch {
            logger.debug("RTSP client gone", metadata: ["peer": "\(address)", "reason": "\(error)"])
        }
        await client.end()
    }

    func notePlaying(_ change: Int) { counted.withLock { $0.playing += change } }
    func noteSlow() { counted.withLock { $0.slow += 1 } }
}
