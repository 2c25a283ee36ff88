// One HTTP listener (plain or TLS) as a service of the server: Hummingbird accepts and parses, WebResponder answers.
import Glibc
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
import Logging
import NIOCore
import NIOSSL
import ServiceLifecycle

struct HTTPListener: Service, CustomStringConvertible {
    let kind: ListenerKind
    let host: String
    /// 0 = any free port.
    let port: Int
    /// `nil` for plain HTTP.
    let tls: TLSConfiguration?
    let responder: WebResponder
    let registry: ListenerRegistry
    let logger: Logger

    var description: String { "\(kind.rawValue) listener" }

    /// Serves until shut down; requests under way are finished first.
    /// - Throws: `ListenerError` when the port can't be had.
    func run() async throws {
        // Hummingbird tells its own comings and goings at info; the server announces its listeners itself.
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .notice)
        let configuration = HTTP1Channel.Configuration(
            idleTimeout: .seconds(75),
            httpDecoderConfiguration: .init(maxHeaderFieldSize: 16 * 1024, maxHeaderListSize: 64 * 1024, maxHeaderFieldCount: 200))
        let plain = HTTPServerBuilder.http1(configuration: configuration)
        let kind = kind
        let registry = registry
        let application = Application(
            responder: responder,
            server: try tls.map { try .tls(plain, tlsConfiguration: $0) } ?? plain,
            configuration: .init(address: .hostname(host, port: port), serverName: "Martlet", backlog: 1024),
            onServerRunning: { channel in
                if let port = channel.localAddress?.port { registry.opened(kind, port: port) }
            },
            logger: quiet)
        do {
            try await application.run()
        } catch let error as IOError {
            throw ListenerError(kind: kind, host: host, port: port, error: error)
        }
    }
}

extension ListenerError {
    /// Puts a bind error into words.
    init(kind: ListenerKind, host: String, port: Int, error: IOError) {
        let place = "\(kind.settingKey): port \(port) on \(host)"
        switch error.errnoCode {
        case EADDRINUSE:
            description = "\(place) is in use by another program; stop that one or set \(kind.settingKey) to a free port (0 = any)"
        case EACCES:
            description = "\(place) may not be opened by this user; ports below 1024 need the right to"
        case EADDRNOTAVAIL:
            description = "\(place) can't be opened: this machine has no such address (bind_address)"
        default:
            description = "\(place) can't be opened: \(error)"
        }
    }
}
