// SPDX-License-Identifier: Apache-2.0
// Listening sockets for WebSocket clients, plain or TLS: any path, any Origin, no subprotocol. Plain HTTP requests are
// told in words what this port is for. Made by WebSocketService, which decides who may come in.
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import NIOWebSocket
import Primitives

/// One bound port.
struct WebSocketListener {
    let channel: any Channel
    var port: Int { channel.localAddress?.port ?? 0 }

    struct Configuration: Sendable {
        var host = "::"
        var port: Int
        /// `nil`: no TLS.
        var tls: NIOSSLContext?
        var limits = WebSocketLimits()
        /// What its connections hold counts in it.
        var memory = MemoryBudget.unlimited
        /// TCP, TLS and HTTP upgrade together may take this long.
        var handshakeTimeout = TimeAmount.seconds(10)
    }

    /// Binds. `admit` is asked for every TCP connection: `nil` refuses it, else the closure is called once its handshakes are over, or it
    /// is; `onConnection` gets each established WebSocket,
    /// on its event loop, and answers with who is to be told of its events.
    static func bind(
        _ configuration: Configuration, group: any EventLoopGroup,
        admit: @escaping @Sendable (any Channel) -> (@Sendable () -> Void)?,
        onConnection: @escaping @Sendable (WebSocketConnection, any Channel) -> @Sendable (WebSocketEvent) -> Void
    ) async throws -> WebSocketListener {
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: false)
            // Most messages are short, and a buffer of this size is kept for each connection.
            .childChannelOption(.recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 256, initial: 512, maximum: 65_536))
            .childChannelInitializer { channel in
                guard let onUpgrade = admit(channel) else { return channel.close() }
                return channel.eventLoop.makeCompletedFuture {
                    try configure(channel, configuration, onUpgrade, onConnection)
                }
            }
        return WebSocketListener(channel: try await bootstrap.bind(to: try ListenerAddress.make(configuration.host, port: configuration.port)).get())
    }

    private static func configure(
        _ channel: any Channel, _ configuration: Configuration, _ onUpgrade: @escaping @Sendable () -> Void,
        _ onConnection: @escaping @Sendable (WebSocketConnection, any Channel) -> @Sendable (WebSocketEvent) -> Void
    ) throws {
        let pipeline = channel.pipeline.syncOperations
        if let tls = configuration.tls { try pipeline.addHandler(NIOSSLServerHandler(context: tls)) }
        // Whoever is still not a WebSocket by then is let go.
        let timeout = channel.eventLoop.scheduleTask(in: configuration.handshakeTimeout) {
            channel.close(promise: nil)
        }
        channel.closeFuture.whenComplete { _ in
            timeout.cancel()
            onUpgrade()
        }

        let upgrader = NIOTypedWebSocketServerUpgrader<Void>(
            maxFrameSize: configuration.limits.maximumMessageSize,
            enableAutomaticErrorHandling: false,
            shouldUpgrade: { channel, _ in channel.eventLoop.makeSucceededFuture(HTTPHeaders()) },
            upgradePipelineHandler: { channel, _ in
                channel.eventLoop.makeCompletedFuture {
                    timeout.cancel()
                    onUpgrade()
                    let network = AddressKey(channel.remoteAddress?.ipAddress ?? "unknown")
                    let handler = WebSocketHandler(isServer: true, limits: configuration.limits, memory: configuration.memory, network: network)
                    try handler.install(in: channel)
                    let connection = WebSocketConnection(channel: channel, handler: handler)
                    handler.deliver(to: onConnection(connection, channel))
                    if let refusal = configuration.memory.admit(network) { handler.refuse(refusal) }
                }
            })
        let http = NIOTypedHTTPServerUpgradeConfiguration<Void>(
            upgraders: [upgrader],
            notUpgradingCompletionHandler: { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(NotWebSocketHandler())
                }
            })
        let result = try pipeline.configureUpgradableHTTPServerPipeline(
            configuration: NIOUpgradableHTTPServerPipelineConfiguration(upgradeConfiguration: http))
        result.whenFailure { _ in channel.close(promise: nil) }
    }
}

/// Answers plain HTTP requests on a WebSocket port with 426 and a sentence; a browser that is sent here to accept a
/// self-signed certificate shows it.
private final class NotWebSocketHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .end = unwrapInboundIn(data) else { return }
        let body = "This port speaks WebSocket only. The pages and the REST interface have ports of their own.\n"
        let headers: HTTPHeaders = [
            "Upgrade": "websocket", "Connection": "upgrade, close", "Content-Type": "text/plain; charset=utf-8",
            "Content-Length": String(body.utf8.count),
        ]
        context.write(
            wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .upgradeRequired, headers: headers))), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(context.channel.allocator.buffer(string: body)))), promise: nil)
        let loopBound = context.loopBound
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in loopBound.value.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
