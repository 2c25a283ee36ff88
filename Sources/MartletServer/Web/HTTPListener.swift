// SPDX-License-Identifier: Apache-2.0
// One HTTP listener (plain or TLS) as a service of the server: it accepts and bounds connections, Hummingbird's HTTP/1 channel
// parses, WebResponder answers, and what every answer has in common is added here, where it is written.
import Glibc
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Primitives
import ServiceLifecycle

struct HTTPListener: Service, CustomStringConvertible {
    let kind: ListenerKind
    /// A literal address.
    let host: String
    /// 0 = any free port.
    let port: Int
    /// `nil` for plain HTTP.
    let tls: NIOSSLContext?
    let responder: WebResponder
    let registry: ListenerRegistry
    let connections: HTTPConnections
    let logger: Logger

    private typealias Connection = HTTP1Channel.Value

    var description: String { "\(kind.rawValue) listener" }

    /// Serves until shut down; requests under way are finished first.
    /// - Throws: `ListenerError` when the port can't be had.
    func run() async throws {
        // Hummingbird tells of broken connections by itself; what matters is said here.
        let quiet: Logger = {
            var quiet = logger
            quiet.logLevel = max(logger.logLevel, .notice)
            return quiet
        }()
        let http = HTTP1Channel(
            responder: { (request, writer: consuming ResponseWriter, channel) in try await answer(request, writer, channel, quiet) },
            configuration: .init(
                idleTimeout: connections.limits.idleTimeout,
                httpDecoderConfiguration: .init(maxHeaderFieldSize: 16 * 1024, maxHeaderListSize: 64 * 1024, maxHeaderFieldCount: 200)))
        let server: NIOAsyncChannel<Connection, Never>
        do {
            server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .serverChannelOption(.backlog, value: 1024)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.allowRemoteHalfClosure, value: true)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                // One piece of a file at a time: the next is read once this one has gone (FileBody).
                .childChannelOption(.writeBufferWaterMark, value: .init(low: 1, high: FileBody.chunkSize - 1))
                // A slow reader's bytes stay on the disk rather than in the kernel.
                .childChannelOption(.tcpOption(.init(rawValue: CInt(TCP_NOTSENT_LOWAT))), value: 131_072)
                .bind(to: try ListenerAddress.make(host, port: port)) { channel in open(channel, http, quiet) }
        } catch {
            throw ListenerError(kind: kind, host: host, port: port, error: error)
        }
        if let port = server.channel.localAddress?.port { registry.opened(kind, port: port) }
        await withTaskCancellationOrGracefulShutdownHandler {
            await withDiscardingTaskGroup { group in
                try? await server.executeThenClose { inbound in
                    for try await connection in inbound { group.addTask { await http.handle(value: connection, logger: quiet) } }
                }
            }
        } onCancelOrGracefulShutdown: {
            server.channel.close(promise: nil)
            connections.quiesce()
        }
    }

    /// On the connection's event loop.
    private func open(_ channel: any Channel, _ http: HTTP1Channel, _ quiet: Logger) -> EventLoopFuture<Connection> {
        guard let admission = connections.enter(channel) else {
            channel.close(promise: nil)
            return channel.eventLoop.makeFailedFuture(ChannelError.connectTimeout(.zero))
        }
        if case .refused(let reason) = admission {
            logger.info("HTTP connection refused", metadata: ["peer": "\(channel.remoteAddress?.ipAddress ?? "?")", "reason": "\(reason)"])
        }
        let watch = HTTPConnectionGuard(
            connections: connections, admission: admission, network: AddressKey(channel.remoteAddress?.ipAddress ?? ""), logger: logger)
        let bound = NIOLoopBound(watch, eventLoop: channel.eventLoop)
        do {
            if let tls { try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls)) }
        } catch {
            return channel.eventLoop.makeFailedFuture(error)
        }
        return http.setup(channel: channel, logger: quiet).flatMapThrowing { connection in
            let pipeline = channel.pipeline.syncOperations
            let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
            try pipeline.addHandler(bound.value, position: .after(decoder))
            return connection
        }
    }

    private func answer(_ request: Request, _ writer: consuming ResponseWriter, _ channel: any Channel, _ quiet: Logger) async throws {
        let context = WebRequestContext(source: .init(channel: channel, logger: quiet))
        var response = try await responder.respond(to: request, context: context)
        // RFC 9110 §9.3.2: the same head as for GET, and no body.
        if request.method == .head { response = response.createHeadResponse() }
        response.headers[.date] = HTTPDate.text(seconds: Int(Timestamp.milliseconds / 1000))
        response.headers[.server] = "Martlet"
        do {
            try await writer.write(response: response.head, body: response.body)
        } catch is HTTPParserError {
            // Hummingbird would answer it, behind what has been written.
            throw ChannelError.ioOnClosedChannel
        }
    }
}
