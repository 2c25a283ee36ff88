// SPDX-License-Identifier: Apache-2.0
// Opens the WebSocket of a WCSClient: TCP, TLS with the wanted trust, HTTP upgrade; keeps watch over silence afterwards.
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import NIOWebSocket
import Primitives
import Signalling

enum WCSConnector {
    struct Opened: Sendable {
        let channel: any Channel
        let connection: WebSocketConnection
        let core: WCSClientCore
    }

    /// The connection's other end answered with something else than a WebSocket.
    private struct NoWebSocket: Error, CustomStringConvertible {
        let description = "it is no WebSocket server"
    }

    static func open(
        _ address: WCSAddress, configuration: WCSClientConfiguration, group: any EventLoopGroup
    ) async throws(WCSClientError) -> Opened {
        let tls = address.isSecure ? try context(configuration.trust) : nil
        let milliseconds = max(1, Int64(configuration.connectTimeout / .milliseconds(1)))
        let bootstrap = ClientBootstrap(group: group)
            .connectTimeout(.milliseconds(milliseconds))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
        do {
            let upgrade = try await bootstrap.connect(host: address.host, port: address.port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    // The upgrade has the same time; afterwards the session handshake is watched by the client.
                    let timeout = channel.eventLoop.scheduleTask(in: .milliseconds(milliseconds)) { channel.close(promise: nil) }
                    channel.closeFuture.whenComplete { _ in timeout.cancel() }
                    return try configure(channel, address, configuration, tls, timeout)
                }
            }
            return try await upgrade.get()
        } catch {
            throw .unreachable("can't reach \(address): \(reason(error, isSecure: address.isSecure))")
        }
    }

    private static func configure(
        _ channel: any Channel, _ address: WCSAddress, _ configuration: WCSClientConfiguration, _ tls: NIOSSLContext?,
        _ timeout: Scheduled<Void>
    ) throws -> EventLoopFuture<Opened> {
        let pipeline = channel.pipeline.syncOperations
        if let tls {
            // A literal address can't go into SNI; it is then checked against the certificate's addresses.
            let isLiteral = (try? NIOCore.SocketAddress(ipAddress: address.host, port: address.port)) != nil
            try pipeline.addHandler(NIOSSLClientHandler(context: tls, serverHostname: isLiteral ? nil : address.host))
        }
        let upgrader = NIOTypedWebSocketClientUpgrader<Opened>(
            maxFrameSize: configuration.maximumMessageSize,
            enableAutomaticErrorHandling: false,
            upgradePipelineHandler: { channel, _ in
                channel.eventLoop.makeCompletedFuture {
                    timeout.cancel()
                    var limits = WebSocketLimits()
                    limits.maximumMessageSize = configuration.maximumMessageSize
                    let handler = WebSocketHandler(
                        isServer: false, limits: limits, memory: configuration.memory, network: AddressKey(channel.remoteAddress?.ipAddress ?? "unknown"))
                    try handler.install(in: channel)
                    let connection = WebSocketConnection(channel: channel, handler: handler)
                    let core = WCSClientCore(address: address, onData: configuration.onData)
                    handler.deliver { event in
                        switch event {
                        case .text(let text):
                            if let reply = core.receive(text) { connection.send(reply.envelope.serialized()) }
                            connection.messageProcessed()
                        case .closed(let reason): core.closed(reason)
                        }
                    }
                    watch(channel, core, connection, silence: configuration.silenceTimeout)
                    return Opened(channel: channel, connection: connection, core: core)
                }
            })
        let head = HTTPRequestHead(
            version: .http1_1, method: .GET, uri: address.target, headers: ["Host": address.hostHeader, "Content-Length": "0"])
        var http = NIOUpgradableHTTPClientPipelineConfiguration(
            upgradeConfiguration: NIOTypedHTTPClientUpgradeConfiguration(
                upgradeRequestHead: head, upgraders: [upgrader],
                notUpgradingCompletionHandler: { channel in
                    channel.close(promise: nil)
                    return channel.eventLoop.makeFailedFuture(NoWebSocket())
                }))
        // A server may send its first frame together with the upgrade response.
        http.leftOverBytesStrategy = .forwardBytes
        let result = try pipeline.configureUpgradableHTTPClientPipeline(configuration: http)
        result.whenFailure { _ in channel.close(promise: nil) }
        return result
    }

    /// Closes a connection on which nothing was heard for `silence`.
    private static func watch(_ channel: any Channel, _ core: WCSClientCore, _ connection: WebSocketConnection, silence: Duration) {
        let interval = TimeAmount.milliseconds(max(1, Int64(silence / .milliseconds(1))))
        // One owner: the event loop.
        let last = NIOLoopBoundBox(UInt64.max, eventLoop: channel.eventLoop)
        let task = channel.eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
            let count = core.messageCount
            if count == last.value { connection.close(code: .goingAway, reason: "the server is silent") }
            last.value = count
        }
        channel.closeFuture.whenComplete { _ in task.cancel() }
    }

    private static func context(_ trust: WCSTrust) throws(WCSClientError) -> NIOSSLContext {
        var tls = TLSConfiguration.makeClientConfiguration()
        switch trust {
        case .system: break
        case .authorities(let file):
            do {
                tls.additionalTrustRoots = [.certificates(try NIOSSLCertificate.fromPEMFile(file))]
            } catch {
                throw .unreachable("can't read the certificate authorities in \(file): \(error)")
            }
        case .none: tls.certificateVerification = .none
        }
        do {
            return try NIOSSLContext(configuration: tls)
        } catch {
            throw .unreachable("TLS can't be set up: \(error)")
        }
    }

    private static func reason(_ error: any Error, isSecure: Bool) -> String {
        switch error {
        case let error as NIOConnectionError:
            return error.connectionErrors.first.map { self.reason($0.error, isSecure: isSecure) } ?? ConnectionReason.words(error)
        case let error as NIOSSLError: return tlsReason("\(error)")
        case let error as NIOSSLExtraError: return tlsReason("\(error)")
        case let error as ChannelError where error == .ioOnClosedChannel || error == .eof || error == .alreadyClosed:
            return "it closed the connection" + (isSecure ? "" : Self.tlsHint)
        // The upgrade has failed in the middle of what came back.
        case let error as ChannelError where error == .inappropriateOperationForState: return "it is no WebSocket server" + (isSecure ? "" : Self.tlsHint)
        case is HTTPParserError: return "it does not speak HTTP on this port" + (isSecure ? "" : Self.tlsHint)
        default: return ConnectionReason.words(error)
        }
    }

    /// A TLS server answers a plain request by an alert or by hanging up: that is what a ws:// address of its port shows.
    private static let tlsHint = "; if it speaks TLS there, as on port 8443, use wss:// and set wcs_agent_ssl=true"

    /// A sentence for what the TLS library says in its own terms; its text names source files, which help nobody.
    private static func tlsReason(_ text: String) -> String {
        if text.contains("CERTIFICATE_VERIFY_FAILED") {
            return "its certificate is not trusted (self-signed, expired or of an unknown authority); wcs_agent_ca_file (martlet play and "
                + "publish: --ca-file) names an authority to trust, wcs_agent_verify_certificate=false (--insecure) switches verification off"
        }
        if text.contains("failedToValidateHostname") { return "its certificate is for another host" }
        if text.contains("WRONG_VERSION_NUMBER") || text.contains("HTTP_REQUEST") { return "it does not speak TLS on this port" }
        if text.contains("eofDuringHandshake") || text.contains("uncleanShutdown") { return "it closed the connection during the TLS handshake" }
        let code = text.split(whereSeparator: { !$0.isUppercase && $0 != "_" }).first { $0.contains("_") && $0.count > 6 }
        return "TLS failed" + (code.map { " (\($0))" } ?? "")
    }
}
