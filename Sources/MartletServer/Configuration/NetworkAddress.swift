// SPDX-License-Identifier: Apache-2.0
// Addresses as they stand in settings: is it one, which one does a name mean, where to bind.
import Glibc
import Primitives

/// Helpers for addresses and host names in settings.
enum NetworkAddress {
    /// A literal IPv4 or IPv6 address.
    static func isLiteral(_ text: String) -> Bool { SocketAddress(text, port: 0) != nil }

    /// A host name as RFC 1123 §2.1 allows it. Four numbers with dots are a mistyped address rather than a name.
    static func isHostName(_ text: String) -> Bool {
        guard (1...253).contains(text.utf8.count) else { return false }
        let labels = text.split(separator: ".", omittingEmptySubsequences: false)
        guard labels.contains(where: { Int($0) == nil }), labels.last.map({ Int($0) == nil }) == true else { return false }
        return labels.allSatisfy { label in
            (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
                && label.utf8.allSatisfy { ($0 | 0x20) >= 0x61 && ($0 | 0x20) <= 0x7a || $0 >= 0x30 && $0 <= 0x39 || $0 == 0x2d || $0 == 0x5f }
        }
    }

    /// The addresses a literal or host name stands for, in the order of the system's resolver. Blocks; empty when there is none.
    static func resolve(_ host: String) -> [String] {
        if isLiteral(host) { return [host] }
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
        hints.ai_family = AF_UNSPEC
        var first: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, nil, &hints, &first) == 0 else { return [] }
        defer { freeaddrinfo(first) }
        var addresses: [String] = []
        var next = first
        while let entry = next, addresses.count < 16 {
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            if getnameinfo(entry.pointee.ai_addr, entry.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0 {
                let address = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
                if isLiteral(address), !addresses.contains(address) { addresses.append(address) }
            }
            next = entry.pointee.ai_next
        }
        return addresses
    }

    /// Whether the machine can open IPv6 sockets at all; containers often can't.
    static let hasIPv6: Bool = {
        let descriptor = socket(AF_INET6, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        let size = socklen_t(MemoryLayout<sockaddr_in6>.size)
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, size) == 0 }
        }
    }()
}

extension Settings {
    /// The address listeners bind to: `bindAddress`, or for `*` the IPv6 wildcard (which takes IPv4 too) where there is one.
    var bindHost: String {
        guard bindAddress == "*" else { return bindAddress }
        return NetworkAddress.hasIPv6 ? "::" : "0.0.0.0"
    }
}
