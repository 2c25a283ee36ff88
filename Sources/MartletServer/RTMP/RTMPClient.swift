// SPDX-License-Identifier: Apache-2.0
// An RTMP connection that we open: to publish a stream elsewhere, or to fetch one.
import NIOCore
import NIOPosix
import NIOSSL
import RTMP

/// Why a connection could not be had, or was lost; a sentence for people.
struct RTMPClientError: Error, Sendable, CustomStringConvertible {
    let description: String
    /// Trying again helps nobody before somebody has changed something: the far side's certificate isn't to be trusted.
    var isLasting = false
}

final class RTMPClient: Sendable {
    enum Event: Sendable {
        case session(RTMPClientSession.Event)
        /// The connection is gone; nothing follows. `isLasting`: the far side has said no in a way that trying again doesn't change.
        case closed(String, isLasting: Bool)
    }

    /// Refusals of who asks or of what he asks for. A name in use, or a server that is going down, is another matter.
    static func isLasting(code: String, description: String) -> Bool {
        let lasting = [
            "NetConnection.Connect.Rejected", "NetConnection.Connect.InvalidApp", "NetStream.Publish.Denied", "NetStream.Publish.Unauthorized",
            "NetStream.Publish.Rejected",
        ]
        let text = description.lowercased()
        return lasting.contains(code) || ["auth", "denied", "forbidden", "permission", "invalid key"].contains { text.contains($0) }
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
                            onClosed: { [unowned handler] reason in
                                let isLasting = handler.refusal.map { Self.isLasting(code: $0.code, description: $0.description) } ?? false
                                sink.yield(.closed(reason, isLasting: isLasting))
                                sink.finish()
                            })
                        try channel.pipeline.syncOperations.addHandler(handler)
                        return connection
                    }
                }
            return RTMPClient(connection: connection, events: events)
        } catch {
            sink.finish()
            throw RTMPClientError(description: "can't reach \(url.hostAndPort): \(ConnectionReason.words(error))", isLasting: error is NIOSSLError)
        }
    }

    /// Says goodbye.
    func close() {
        connection.perform { $0.close() }
        connection.close(reason: "over")
    }
}
