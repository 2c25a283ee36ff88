// SPDX-License-Identifier: Apache-2.0
// Where a TCP listener binds, and the one sentence that says why it can't. Used by all listeners.
import Glibc
import NIOCore
import Primitives

enum ListenerAddress {
    /// The address of a listener. Made of the numbers themselves: a resolver (as behind `bind(host:)`) refuses "::" on machines
    /// whose interfaces have IPv4 addresses only (AI_ADDRCONFIG).
    /// - Parameter host: a literal address.
    /// - Throws: `SocketAddressError` when it is none.
    static func make(_ host: String, port: Int) throws -> NIOCore.SocketAddress {
        try NIOCore.SocketAddress(ipAddress: host, port: port)
    }
}

extension ListenerError {
    /// Puts an error of opening a port into words: which port, which setting, what to do.
    init(kind: ListenerKind, host: String, port: Int, error: any Error) {
        let place = "\(kind.settingKey): port \(port) on \(host)"
        guard let code = (error as? IOError)?.errnoCode else {
            description = "\(place) can't be opened: \(error)"
            return
        }
        switch code {
        case EADDRINUSE:
            description = "\(place) is in use by another program; stop that one (`ss -tlnp` names it) or set \(kind.settingKey) to a free port (0 = any, -1 = off)"
        case EACCES, EPERM:
            description = "\(place) may not be opened by this user; ports below 1024 need the right to (CAP_NET_BIND_SERVICE), or set \(kind.settingKey) to a higher one"
        case EADDRNOTAVAIL:
            description = "\(place) can't be opened: this machine has no such address; set bind_address to one that it has, or to * for all"
        case EAFNOSUPPORT:
            description = "\(place) can't be opened: this machine has no addresses of that kind; set bind_address to one that it has, or to * for all"
        case EMFILE, ENFILE:
            description = "\(place) can't be opened: the process may open no more files; raise its limit (ulimit -n, LimitNOFILE)"
        default:
            description = "\(place) can't be opened: \(String(cString: strerror(code)))"
        }
    }
}

extension Channel {
    /// Whether this connection, just accepted, has one of the last file descriptors and is to be closed. On its event loop.
    var takesReservedDescriptor: Bool {
        let descriptor = try? pipeline.syncOperations.withUnsafeTransportIfAvailable { (descriptor: NIOBSDSocket.Handle) in descriptor }
        return descriptor.map(DescriptorReserve.includes) ?? false
    }
}
