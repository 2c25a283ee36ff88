// An RTMP connection that we open: to publish a stream elsewhere, or to fetch one.
import NIOCore
import NIOPosix
import NIOSSL
import RTMP

/// Why a connection could not be had, or was lost; a sentence for people.
struct RTMPClientError: Error, Sendable, CustomStringConvertible {
    let description: String
    /// The far side refused; trying again at once helps nobody.
    var isRefusal = false
}

final class RTMPClient: Sendable {
    enum Event: Sendable {
        case session(RTMPClientSession.Event)
        /// The connection is gone; nothing follows.
        case closed(String)
    }

    let connection: RTMPConnection<RTMPClientSession>
    /// For one reader; bounded, so that a reader which stands still loses the connection, not memory.
    let events: AsyncStream<Event>

    private init(connection: RTMPConnection<RTMPClientSession>, events: AsyncStream<Event>) {
        self.connection = connection
        self.events = events
    }

    /// Connects TCP, TLS where the address says so. What the server thinks of it comes as events.
    static func connect(
        to url: RTMPURL, _ purpose: RTMPClientSession.Purpose, flashVersion: String?, timeout: TimeAmount, verifiesCertificate: Bool,
        authorities: String = "", send: RTMPSendLimits, group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
    ) async throws(RTMPClientError) -> RTMPClient {
        let (events, sink) = AsyncStream<Event>.makeStream(bufferingPolicy: .bufferingOldest(4096))
        do {
            var tls: NIOSSLContext?
            if url.isSecure {
                var configuration = TLSConfiguration.makeClientConfiguration()
                if !authorities.isEmpty { configuration.additionalTrustRoots = [.file(authorities)] }
                if !verifiesCertificate { configuration.certificateVerification = .none }
                tls = try NIOSSLContext(configuration: configuration)
            }
            let connection = try await ClientBootstrap(group: group)
                .connectTimeout(timeout)
                .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                .channelOption(.socketOption(.so_keepalive), value: 1)
                .connect(host: url.host, port: url.port) { [tls] channel in
                    channel.eventLoop.makeCompletedFuture {
                        if let tls {
                            let isLiteral = (try? SocketAddress(ipAddress: url.host, port: url.port)) != nil
                            try channel.pipeline.syncOperations.addHandler(
                                NIOSSLClientHandler(context: tls, serverHostname: isLiteral ? nil : url.host))
                        }
                        let machine = flashVersion.map { RTMPClientSession(url, purpose, flashVersion: $0) } ?? RTMPClientSession(url, purpose)
                        let handler = RTMPChannelHandler(machine: machine, limits: send)
                        let connection = RTMPConnection(channel: channel, handler: handler)
                        handler.deliver(
                            onEvent: { event in
                                if case .dropped = sink.yield(.session(event)) { connection.close(reason: "events are not taken") }
                            },
                            onClosed: { reason in
                                sink.yield(.closed(reason))
                                sink.finish()
                            })
                        try channel.pipeline.syncOperations.addHandler(handler)
                        return connection
                    }
                }
            return RTMPClient(connection: connection, events: events)
        } catch {
            sink.finish()
            throw RTMPClientError(description: "can't reach \(url.hostAndPort): \(reason(error))")
        }
    }

    private static func reason(_ error: any Error) -> String {
        if let error = error as? NIOConnectionError, let first = error.connectionErrors.first { return "\(first.error)" }
        return "\(error)"
    }

    /// Says goodbye.
    func close() {
        connection.perform { $0.close() }
        connection.close(reason: "over")
    }
}
