// SPDX-License-Identifier: Apache-2.0
// One type-length-value element of a STUN message, and the type numbers ICE knows.

/// An attribute as found on the wire, without its padding.
public struct STUNAttribute: Equatable, Sendable {
    /// The IANA number. Below 0x8000 a receiver that does not know it must refuse the request (RFC 8489 §14).
    public let type: UInt16
    /// The value, at most 65535 bytes; in practice bounded by the datagram.
    public let value: [UInt8]

    public init(type: UInt16, value: [UInt8]) {
        self.type = type
        self.value = value
    }

    /// Attribute type numbers (RFC 8489 §18.3, RFC 8445 §16.1).
    public enum Kind {
        public static let mappedAddress: UInt16 = 0x0001
        public static let username: UInt16 = 0x0006
        public static let messageIntegrity: UInt16 = 0x0008
        public static let errorCode: UInt16 = 0x0009
        public static let unknownAttributes: UInt16 = 0x000a
        public static let realm: UInt16 = 0x0014
        public static let nonce: UInt16 = 0x0015
        public static let messageIntegritySHA256: UInt16 = 0x001c
        public static let xorMappedAddress: UInt16 = 0x0020
        public static let priority: UInt16 = 0x0024
        public static let useCandidate: UInt16 = 0x0025
        public static let software: UInt16 = 0x8022
        public static let fingerprint: UInt16 = 0x8028
        public static let iceControlled: UInt16 = 0x8029
        public static let iceControlling: UInt16 = 0x802a
    }

    /// Whether a request that carries this attribute can be answered: it is optional or one we understand.
    var isComprehended: Bool {
        if type >= 0x8000 { return true }
        switch type {
        case Kind.mappedAddress, Kind.username, Kind.messageIntegrity, Kind.errorCode, Kind.unknownAttributes,
            Kind.realm, Kind.nonce, Kind.messageIntegritySHA256, Kind.xorMappedAddress, Kind.priority, Kind.useCandidate:
            return true
        default:
            return false
        }
    }
}
