// SPDX-License-Identifier: Apache-2.0
// Typed readers and makers of the attributes ICE uses.
public import Primitives

extension STUNMessage {
    /// USERNAME: "receiver's ufrag:sender's ufrag" in ICE.
    public var username: String? {
        value(of: STUNAttribute.Kind.username).flatMap { String(validating: $0, as: UTF8.self) }
    }
    /// The priority a peer-reflexive candidate learned from this check would have (RFC 8445 §7.1.1).
    public var priority: UInt32? { integer(STUNAttribute.Kind.priority) }
    /// USE-CANDIDATE: the controlling agent nominates this pair.
    public var hasUseCandidate: Bool { value(of: STUNAttribute.Kind.useCandidate) != nil }
    /// The tie-breaker of a sender that believes itself controlled.
    public var iceControlled: UInt64? { integer(STUNAttribute.Kind.iceControlled) }
    /// The tie-breaker of a sender that believes itself controlling.
    public var iceControlling: UInt64? { integer(STUNAttribute.Kind.iceControlling) }

    /// ERROR-CODE, 300…699, with its reason phrase.
    public var errorCode: (code: Int, reason: String)? {
        guard let value = value(of: STUNAttribute.Kind.errorCode), value.count >= 4 else { return nil }
        let (hundreds, rest) = (Int(value[2] & 7), Int(value[3]))
        guard (3...6).contains(hundreds), rest < 100 else { return nil }
        return (hundreds * 100 + rest, String(decoding: value[4...].prefix(128), as: UTF8.self))
    }

    /// XOR-MAPPED-ADDRESS, or MAPPED-ADDRESS of very old servers.
    public var mappedAddress: SocketAddress? {
        if let value = value(of: STUNAttribute.Kind.xorMappedAddress) { return address(from: value, xored: true) }
        return value(of: STUNAttribute.Kind.mappedAddress).flatMap { address(from: $0, xored: false) }
    }

    private func address(from value: [UInt8], xored: Bool) -> SocketAddress? {
        guard value.count >= 8 else { return nil }
        return value.withUnsafeBytes { bytes in
            let cookie = xored ? Self.magicCookie : 0
            let port = bytes.bigEndian16(at: 2) ^ UInt16(cookie >> 16)
            switch (bytes[1], bytes.count) {
            case (1, 8):
                return SocketAddress(ipv4: bytes.bigEndian32(at: 4) ^ cookie, port: port)
            case (2, 20):
                let maskHigh = xored ? UInt64(cookie) << 32 | UInt64(transactionID.high) : 0
                return SocketAddress(
                    ipv6High: bytes.bigEndian64(at: 4) ^ maskHigh,
                    low: bytes.bigEndian64(at: 12) ^ (xored ? transactionID.low : 0), port: port)
            default:
                return nil
            }
        }
    }

    private func integer<T: FixedWidthInteger>(_ type: UInt16) -> T? {
        guard let value = value(of: type), value.count == T.bitWidth / 8 else { return nil }
        return value.reduce(T(0)) { $0 << 8 | T($1) }
    }
}

extension STUNAttribute {
    public static func username(_ name: String) -> STUNAttribute {
        STUNAttribute(type: Kind.username, value: Array(name.utf8))
    }
    public static func priority(_ value: UInt32) -> STUNAttribute { integer(Kind.priority, value) }
    public static var useCandidate: STUNAttribute { STUNAttribute(type: Kind.useCandidate, value: []) }
    public static func iceControlled(_ tieBreaker: UInt64) -> STUNAttribute { integer(Kind.iceControlled, tieBreaker) }
    public static func iceControlling(_ tieBreaker: UInt64) -> STUNAttribute { integer(Kind.iceControlling, tieBreaker) }

    /// - Parameter code: 300…699.
    public static func errorCode(_ code: Int, reason: String) -> STUNAttribute {
        STUNAttribute(
            type: Kind.errorCode,
            value: [0, 0, UInt8(truncatingIfNeeded: code / 100), UInt8(truncatingIfNeeded: code % 100)]
                + Array(reason.utf8.prefix(127)))
    }

    public static func unknownAttributes(_ types: [UInt16]) -> STUNAttribute {
        var value = [UInt8]()
        for type in types.prefix(STUNMessage.maximumAttributes) { value.appendBigEndian(type) }
        return STUNAttribute(type: Kind.unknownAttributes, value: value)
    }

    /// XOR-MAPPED-ADDRESS of RFC 8489 §14.2; XORing keeps NATs from rewriting it.
    public static func xorMappedAddress(_ address: SocketAddress, for id: STUNTransactionID) -> STUNAttribute {
        let cookie = STUNMessage.magicCookie
        var value: [UInt8] = [0, address.isIPv6 ? 2 : 1]
        value.appendBigEndian(address.port ^ UInt16(cookie >> 16))
        if address.isIPv6 {
            value.appendBigEndian(address.networkHigh ^ (UInt64(cookie) << 32 | UInt64(id.high)))
            value.appendBigEndian(address.low ^ id.low)
        } else {
            value.appendBigEndian(UInt32(truncatingIfNeeded: address.low) ^ cookie)
        }
        return STUNAttribute(type: Kind.xorMappedAddress, value: value)
    }

    private static func integer<T: FixedWidthInteger>(_ type: UInt16, _ value: T) -> STUNAttribute {
        var bytes = [UInt8]()
        bytes.appendBigEndian(value)
        return STUNAttribute(type: type, value: bytes)
    }
}
