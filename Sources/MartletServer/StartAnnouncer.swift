// SPDX-License-Identifier: Apache-2.0
// Says in one log line that the server is ready: under which URLs, and with which media candidates.
import Foundation
import Logging
import Primitives
import ServiceLifecycle

struct StartAnnouncer: Service {
    let settings: Settings
    let signalling: WebSocketService
    let listeners: ListenerRegistry
    /// The listeners to wait for, besides those of signalling.
    let web: Set<ListenerKind>
    let candidates: [SocketAddress]
    let tcpCandidates: [SocketAddress]
    let logger: Logger
    let onReady: @Sendable ([ListenerKind: Int]) -> Void

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await listeners.waitUntilOpen(web)
            guard !Task.isCancelled, let ports = await signalling.ports else { return }
            if let port = ports.plain { listeners.opened(.ws, port: port) }
            if let port = ports.secure { listeners.opened(.wss, port: port) }
            announce()
            onReady(listeners.ports)
        }
        // A service that returns early would end the group.
        try? await gracefulShutdown()
    }

    private func announce() {
        let ports = listeners.ports
        let host = publicHost
        var metadata: Logger.Metadata = [:]
        for kind in ListenerKind.allCases {
            metadata[kind.rawValue] = ports[kind].map { "\(kind.rawValue)://\(host):\($0)" } ?? "off"
        }
        var hosts: [String] = []
        for address in candidates {
            let host = address.isIPv6 ? "[\(address.host)]" : address.host
            if !hosts.contains(host) { hosts.append(host) }
        }
        metadata["candidates"] = "\(hosts.prefix(16).joined(separator: ","))\(hosts.count > 16 ? ",…" : "")"
        metadata["media_ports"] = "\(mediaPorts)/\(settings.mediaOverTCPOnly ? "tcp" : tcpCandidates.isEmpty ? "udp" : "udp+tcp")"
        logger.info("Martlet \(Version.current) is ready", metadata: metadata)
    }

    /// "31001-31004", or single numbers where they don't follow each other.
    private var mediaPorts: String {
        let ports = Set(candidates.map(\.port)).sorted()
        guard let first = ports.first, let last = ports.last, ports.count > 1 else { return ports.first.map(String.init) ?? "none" }
        return Int(last) - Int(first) == ports.count - 1 ? "\(first)-\(last)" : ports.map(String.init).joined(separator: ",")
    }

    /// The name people would type: the bound address, the first public one, or localhost.
    private var publicHost: String {
        let host = ["*", "0.0.0.0", "::"].contains(settings.bindAddress) ? settings.publicAddresses.first ?? "localhost" : settings.bindAddress
        return host.contains(":") ? "[\(host)]" : host
    }
}
