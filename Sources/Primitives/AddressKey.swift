// SPDX-License-Identifier: Apache-2.0
// Whom a bound by address counts as one: every limiter, quota and budget share that goes by address uses this key and no other.

/// The network that one customer of an access provider has: an IPv4 address, or the first 64 bits of an IPv6 one, whose holder can
/// use any of the addresses below it (RFC 6177, RFC 7934). Ports and zones are left out, IPv4-mapped addresses are IPv4.
public enum AddressKey: Hashable, Sendable, CustomStringConvertible {
    case ipv4(UInt32)
    /// The upper 64 bits of the address.
    case ipv6(UInt64)
    /// A peer that has no IP address, by the text it is known by.
    case other(String)

    @inlinable public init(_ address: SocketAddress) {
        self = address.isIPv6 ? .ipv6(address.networkHigh) : .ipv4(UInt32(truncatingIfNeeded: address.low))
    }

    /// Reads an address with or without a port and a zone: `192.0.2.1`, `192.0.2.1:5000`, `2001:db8::1`, `fe80::1%eth0`,
    /// `[2001:db8::1]:5000`. Any other text is a key of its own, a port behind the last colon left out.
    public init(_ text: String) {
        if let address = SocketAddress(Self.host(in: text), port: 0) {
            self.init(address)
        } else {
            self = .other(String(Self.host(in: text)))
        }
    }

    private static func host(in text: String) -> Substring {
        var host = text[...]
        if host.first == "[", let end = host.lastIndex(of: "]") {
            host = host[host.index(after: host.startIndex)..<end]
        } else if let colon = host.lastIndex(of: ":"), host.firstIndex(of: ":") == colon {
            host = host[..<colon]
        }
        return host.firstIndex(of: "%").map { host[..<$0] } ?? host
    }

    public var description: String {
        switch self {
        case .ipv4(let address): SocketAddress(ipv4: address, port: 0).host
        case .ipv6(let network): SocketAddress(ipv6High: network, low: 0, port: 0).host + "/64"
        case .other(let text): text
        }
    }
}
