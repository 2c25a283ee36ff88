// SPDX-License-Identifier: Apache-2.0
// A transport address as a small trivial value, so that it can be a dictionary key and live in plain structs.
import Glibc

/// An IPv4 or IPv6 address with a port. Trivial; no allocation; hashes and compares by value.
/// IPv4-mapped IPv6 addresses are normalised to IPv4. A link-local IPv6 address holds the number of its interface (the zone, RFC 4007) in
/// the lower half of `high`, which is zero on the wire (RFC 4291 §2.5.6): the same address on two links is two addresses.
@frozen public struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
    /// Network-order address bytes as two big-endian words. IPv4 occupies the low 32 bits of `low`.
    public let high: UInt64
    public let low: UInt64
    public let port: UInt16
    public let isIPv6: Bool
    /// By which of our own ends it is reached: the driver's number of a local address or of a TCP connection; 0 = the
    /// socket's default. One remote address seen over two of our ends is two addresses here, as it is two pairs to ICE.
    public let via: UInt32

    @inlinable public init(high: UInt64, low: UInt64, port: UInt16, isIPv6: Bool, via: UInt32 = 0) {
        self.high = high; self.low = low; self.port = port; self.isIPv6 = isIPv6; self.via = via
    }

    @inlinable public init(ipv4: UInt32, port: UInt16) {
        self.init(high: 0, low: UInt64(ipv4), port: port, isIPv6: false)
    }
    @inlinable public init(ipv6High: UInt64, low: UInt64, port: UInt16) {
        if ipv6High == 0, low >> 32 == 0xffff {
            self.init(ipv4: UInt32(truncatingIfNeeded: low), port: port)
        } else {
            self.init(high: ipv6High, low: low, port: port, isIPv6: true)
        }
    }

    /// Parses a literal address ("192.0.2.1", "2001:db8::1", "fe80::1%eth0"); no name resolution. `nil` when it is not one.
    public init?(_ host: some StringProtocol, port: UInt16) {
        let whole = String(host)
        let zone = whole.firstIndex(of: "%")
        let text = zone.map { String(whole[..<$0]) } ?? whole
        if let zone {
            let name = String(whole[whole.index(after: zone)...])
            let number = UInt32(name) ?? if_nametoindex(name)
            guard number != 0, let bare = SocketAddress(text, port: port), bare.isIPv6, bare.isLinkLocal else { return nil }
            self.init(high: bare.high | UInt64(number), low: bare.low, port: port, isIPv6: true)
            return
        }
        var v4 = in_addr()
        if inet_pton(AF_INET, text, &v4) == 1 {
            self.init(ipv4: UInt32(bigEndian: v4.s_addr), port: port)
            return
        }
        var v6 = in6_addr()
        guard inet_pton(AF_INET6, text, &v6) == 1 else { return nil }
        let words = withUnsafeBytes(of: &v6) {
            ($0.loadUnaligned(fromByteOffset: 0, as: UInt64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        }
        self.init(ipv6High: UInt64(bigEndian: words.0), low: UInt64(bigEndian: words.1), port: port)
    }

    /// The number of the interface that a link-local IPv6 address belongs to; 0 for others, and where it isn't known.
    @inlinable public var zone: UInt32 { isIPv6 && high >> 54 == 0x3fa ? UInt32(truncatingIfNeeded: high) : 0 }
    /// `high` as it goes over the network, without the zone.
    @inlinable public var networkHigh: UInt64 { high & ~UInt64(zone) }

    /// The address without the port, as text.
    public var host: String {
        if isIPv6 {
            var words = (networkHigh.bigEndian, low.bigEndian)
            var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
            inet_ntop(AF_INET6, &words, &text, socklen_t(text.count))
            let address = text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
            return zone == 0 ? address : "\(address)%\(zone)"
        }
        return "\(low >> 24 & 255).\(low >> 16 & 255).\(low >> 8 & 255).\(low & 255)"
    }

    public var description: String { isIPv6 ? "[\(host)]:\(port)" : "\(host):\(port)" }

    public var isLoopback: Bool { isIPv6 ? (high == 0 && low == 1) : (low >> 24 == 127) }
    public var isLinkLocal: Bool { isIPv6 ? (high >> 54 == 0x3fa) : (low >> 16 == 0xa9fe) }

    /// The bit of `via` that says that the rest of it is the number of a TCP connection.
    public static let tcp: UInt32 = 1 << 31
    @inlinable public var isTCP: Bool { via & Self.tcp != 0 }

    /// The same remote address over another of our ends.
    @inlinable public func via(_ end: UInt32) -> SocketAddress {
        SocketAddress(high: high, low: low, port: port, isIPv6: isIPv6, via: end)
    }

    /// Whether both are the same host, whatever the port.
    public func isSameHost(as other: SocketAddress) -> Bool {
        high == other.high && low == other.low && isIPv6 == other.isIPv6
    }

    public func withPort(_ port: UInt16) -> SocketAddress {
        isIPv6 ? SocketAddress(ipv6High: high, low: low, port: port) : SocketAddress(ipv4: UInt32(low), port: port)
    }
}
