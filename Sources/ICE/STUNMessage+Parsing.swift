// SPDX-License-Identifier: Apache-2.0
// From datagram to STUNMessage: strict, because everything here comes from strangers.

extension STUNMessage {
    /// Parses a whole datagram.
    ///
    /// A FINGERPRINT is checked when present; MESSAGE-INTEGRITY is only located, see `hasValidIntegrity(in:key:)`.
    /// Attributes behind MESSAGE-INTEGRITY are ignored, as RFC 8489 §14.5 wants: nothing protects them.
    /// - Throws: `STUNError` with the reason; such a datagram deserves no answer.
    public init(parsing datagram: UnsafeRawBufferPointer) throws(STUNError) {
        guard datagram.count >= Self.headerLength else { throw .wrongLength }
        guard datagram[0] & 0xc0 == 0, datagram.bigEndian32(at: 4) == Self.magicCookie else { throw .notSTUN }
        let length = Int(datagram.bigEndian16(at: 2))
        guard length % 4 == 0, length + Self.headerLength == datagram.count else { throw .wrongLength }

        // The class bits C1 C0 sit in the middle of the method: M11-M7 C1 M6-M4 C0 M3-M0.
        let type = datagram.bigEndian16(at: 0)
        let classBits = UInt8(type >> 7 & 2 | type >> 4 & 1)
        self.init(
            MessageClass(rawValue: classBits) ?? .request, method: type >> 2 & 0xf80 | type >> 1 & 0x70 | type & 0xf,
            transactionID: STUNTransactionID(high: datagram.bigEndian32(at: 8), low: datagram.bigEndian64(at: 12)))

        var offset = Self.headerLength
        var count = 0
        while offset < datagram.count {
            guard !hasFingerprint else { throw .wrongFingerprint }
            count += 1
            guard count <= Self.maximumAttributes else { throw .tooManyAttributes }
            guard offset + 4 <= datagram.count else { throw .truncatedAttribute(type: 0) }
            let type = datagram.bigEndian16(at: offset)
            let size = Int(datagram.bigEndian16(at: offset + 2))
            let end = offset + 4 + size
            guard end <= datagram.count else { throw .truncatedAttribute(type: type) }
            switch type {
            case STUNAttribute.Kind.messageIntegrity:
                guard size == MessageIntegrity.length else { throw .malformedAttribute(type: type) }
                if integrityOffset == nil { integrityOffset = offset }
            case STUNAttribute.Kind.fingerprint:
                guard size == 4 else { throw .malformedAttribute(type: type) }
                let expected = CRC32.checksum(datagram[..<offset]) ^ Self.fingerprintMask
                guard datagram.bigEndian32(at: offset + 4) == expected else { throw .wrongFingerprint }
                hasFingerprint = true
            default:
                if integrityOffset == nil {
                    attributes.append(STUNAttribute(type: type, value: Array(datagram[(offset + 4)..<end])))
                }
            }
            offset = end + (4 - size % 4) % 4
        }
        // The header's length is a multiple of four, so padding can't run over the end.
    }

    /// What the CRC-32 is XORed with, so that it can't be confused with another protocol's CRC (RFC 8489 §14.7).
    static let fingerprintMask: UInt32 = 0x5354_554e

    /// Whether the MESSAGE-INTEGRITY of the datagram this message was parsed from is right under `key`
    /// (for ICE the password's UTF-8 bytes). `false` when there is none.
    public func hasValidIntegrity(in datagram: UnsafeRawBufferPointer, key: [UInt8]) -> Bool {
        guard let offset = integrityOffset, offset + 4 + MessageIntegrity.length <= datagram.count else { return false }
        // The HMAC covers everything before the attribute, with a length field that ends right behind it.
        var covered = Array(datagram[..<offset])
        let length = UInt16(offset + 4 + MessageIntegrity.length - Self.headerLength)
        covered[2] = UInt8(length >> 8)
        covered[3] = UInt8(length & 0xff)
        guard let expected = MessageIntegrity.compute(over: covered, key: key) else { return false }
        let value = datagram[(offset + 4)..<(offset + 4 + MessageIntegrity.length)]
        return MessageIntegrity.equal(expected, Array(value))
    }

    /// The receiver's ufrag (the part of USERNAME before the colon) of a Binding request, found without parsing or
    /// verifying the rest: for a demultiplexer that has to find the agent a first check is meant for.
    /// `nil` for anything that is not a Binding request with such a name.
    public static func usernameUfrag(of datagram: UnsafeRawBufferPointer) -> String? {
        usernameBytes(of: datagram).flatMap { String(validating: $0, as: UTF8.self) }
    }

    /// The same as `ICECredentials.routingKey` of that ufrag, without making a string of it.
    public static func routingKey(of datagram: UnsafeRawBufferPointer) -> UInt64? {
        usernameBytes(of: datagram).map { ICECredentials.routingKey($0) }
    }

    private static func usernameBytes(of datagram: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        guard datagram.count > headerLength, datagram.bigEndian16(at: 0) == binding,
            datagram.bigEndian32(at: 4) == magicCookie, Int(datagram.bigEndian16(at: 2)) + headerLength == datagram.count
        else { return nil }
        var offset = headerLength
        for _ in 0..<maximumAttributes where offset + 4 <= datagram.count {
            let size = Int(datagram.bigEndian16(at: offset + 2))
            guard offset + 4 + size <= datagram.count else { return nil }
            if datagram.bigEndian16(at: offset) == STUNAttribute.Kind.username {
                let name = datagram[(offset + 4)..<(offset + 4 + size)]
                guard let colon = name.firstIndex(of: UInt8(ascii: ":")), colon > name.startIndex,
                    colon - name.startIndex <= ICECredentials.maximumLength
                else { return nil }
                return UnsafeRawBufferPointer(rebasing: name[..<colon])
            }
            offset += 4 + size + (4 - size % 4) % 4
        }
        return nil
    }
}

extension UnsafeRawBufferPointer {
    // Callers have checked the bounds; the buffer is not aligned.
    func bigEndian16(at offset: Int) -> UInt16 { UInt16(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt16.self)) }
    func bigEndian32(at offset: Int) -> UInt32 { UInt32(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt32.self)) }
    func bigEndian64(at offset: Int) -> UInt64 { UInt64(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt64.self)) }
}
