// SPDX-License-Identifier: Apache-2.0
// Why a datagram is not an acceptable STUN message. Thrown by STUNMessage's parser, counted by ICEAgent.

/// What is wrong with a datagram that was taken for a STUN message (RFC 8489 §5, §14).
public enum STUNError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Shorter than the header, or the length field does not equal the datagram's size.
    case wrongLength
    /// The two leading bits are set or the magic cookie is missing: this is another protocol.
    case notSTUN
    /// An attribute runs over the end of the message.
    case truncatedAttribute(type: UInt16)
    /// More attributes than any agent sends.
    case tooManyAttributes
    /// The FINGERPRINT does not match the bytes, or something follows it.
    case wrongFingerprint
    /// The attribute's value has an impossible size.
    case malformedAttribute(type: UInt16)

    public var description: String {
        switch self {
        case .wrongLength: "The STUN length field does not fit the datagram."
        case .notSTUN: "The datagram is not STUN: the magic cookie is missing."
        case .truncatedAttribute(let type): "The STUN attribute 0x\(String(type, radix: 16)) is cut off."
        case .tooManyAttributes: "The STUN message has more than \(STUNMessage.maximumAttributes) attributes."
        case .wrongFingerprint: "The STUN fingerprint does not match the message."
        case .malformedAttribute(let type): "The STUN attribute 0x\(String(type, radix: 16)) has an impossible size."
        }
    }
}
