// SPDX-License-Identifier: Apache-2.0
// A STUN message as a value: header and attributes. Parsed and built by ICEAgent; the demultiplexer only peeks.

/// A STUN message (RFC 8489). MESSAGE-INTEGRITY and FINGERPRINT are not among `attributes`: the parser checks the
/// fingerprint, `hasValidIntegrity(in:key:)` the integrity, and `serialized(integrityKey:)` adds both.
///
///      0                   1                   2                   3
///     |0 0|     message type (14)     |  length without header (16)   |
///     |                     magic cookie 0x2112A442                   |
///     |                    transaction identifier (96)                |
///     |  attribute: type (16), length (16), value, padding to 4 bytes |
public struct STUNMessage: Equatable, Sendable {
    /// The two class bits of the message type.
    public enum MessageClass: UInt8, Sendable { case request, indication, success, error }

    /// Binding, the only method ICE uses.
    public static let binding: UInt16 = 0x001
    static let magicCookie: UInt32 = 0x2112_a442
    static let headerLength = 20
    /// More than any implementation sends; what has more is refused before memory is spent on it.
    static let maximumAttributes = 32

    public var messageClass: MessageClass
    /// 12 bits.
    public var method: UInt16
    public var transactionID: STUNTransactionID
    public var attributes: [STUNAttribute]
    /// Where MESSAGE-INTEGRITY begins in the parsed datagram; `nil` when it has none.
    public internal(set) var integrityOffset: Int?
    /// Whether a (correct) FINGERPRINT was there.
    public internal(set) var hasFingerprint = false

    public init(
        _ messageClass: MessageClass, method: UInt16 = STUNMessage.binding, transactionID: STUNTransactionID,
        attributes: [STUNAttribute] = []
    ) {
        self.messageClass = messageClass
        self.method = method
        self.transactionID = transactionID
        self.attributes = attributes
    }

    /// The value of the first attribute of that type (RFC 8489 §14: later duplicates are ignored).
    public func value(of type: UInt16) -> [UInt8]? {
        attributes.first { $0.type == type }?.value
    }

    /// Type numbers of attributes which a receiver must understand and we don't.
    public var uncomprehendedTypes: [UInt16] {
        attributes.filter { !$0.isComprehended }.map(\.type)
    }
}
