// SPDX-License-Identifier: Apache-2.0
// Which addresses of this machine go into candidates.
import Glibc
import Primitives

/// The machine's own addresses, as `getifaddrs` tells them.
enum LocalAddresses {
    /// Usable ones, best first: IPv4 before IPv6, loopback last and only when asked for. Link-local ones are left out.
    static func all(loopback: Bool) -> [SocketAddress] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return [] }
        defer { freeifaddrs(list) }
        var found: [SocketAddress] = []
        var next = list
        while let entry = next {
            next = entry.pointee.ifa_next
            guard let address = entry.pointee.ifa_addr, entry.pointee.ifa_flags & UInt32(IFF_UP) != 0 else { continue }
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            let size = address.pointee.sa_family == UInt16(AF_INET6) ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size
            guard address.pointee.sa_family == UInt16(AF_INET) || address.pointee.sa_family == UInt16(AF_INET6),
                getnameinfo(address, socklen_t(size), &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0
            else { continue }
            let host = text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
            guard let parsed = SocketAddress(host, port: 0), !parsed.isLinkLocal else { continue }
            if parsed.isLoopback, !loopback { continue }
            if !found.contains(parsed) { found.append(parsed) }
        }
        return found.sorted { rank($0) < rank($1) }
    }

    /// Whether the routing table may choose another source address than the one a peer sent to. Loopback is never confused.
    static var isMultihomed: Bool {
        let addresses = all(loopback: false)
        return [false, true].contains { isIPv6 in addresses.count { $0.isIPv6 == isIPv6 } > 1 }
    }

    private static func rank(_ address: SocketAddress) -> Int {
        (address.isLoopback ? 2 : 0) + (address.isIPv6 ? 1 : 0)
    }
}
