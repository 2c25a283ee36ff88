// SPDX-License-Identifier: Apache-2.0
// From STUNMessage to bytes.

extension STUNMessage {
    /// The message's bytes, with FINGERPRINT last.
    /// - Parameter integrityKey: adds MESSAGE-INTEGRITY under this key (for ICE the password's UTF-8 bytes).
    public func serialized(integrityKey: [UInt8]? = nil) -> [UInt8] {
        var bytes = [UInt8]()
        bytes.reserveCapacity(Self.headerLength + attributes.reduce(40) { $0 + $1.value.count + 7 })
        let classBits = UInt16(messageClass.rawValue)
        bytes.appendBigEndian(
            (method & 0xf80) << 2 | (method & 0x70) << 1 | method & 0xf | (classBits & 2) << 7 | (classBits & 1) << 4)
        bytes.appendBigEndian(UInt16(0))
        bytes.appendBigEndian(Self.magicCookie)
        bytes.appendBigEndian(transactionID.high)
        bytes.appendBigEndian(transactionID.low)
        for attribute in attributes { Self.append(attribute, to: &bytes) }

        if let integrityKey {
            Self.setLength(of: &bytes, adding: 4 + MessageIntegrity.length)
            // Without SHA-1 in OpenSSL the message goes out unprotected and the peer refuses it: a failed check.
            if let digest = MessageIntegrity.compute(over: bytes, key: integrityKey) {
                Self.append(STUNAttribute(type: STUNAttribute.Kind.messageIntegrity, value: digest), to: &bytes)
            }
        }
        Self.setLength(of: &bytes, adding: 8)
        let checksum = CRC32.checksum(bytes) ^ Self.fingerprintMask
        bytes.appendBigEndian(STUNAttribute.Kind.fingerprint)
        bytes.appendBigEndian(UInt16(4))
        bytes.appendBigEndian(checksum)
        return bytes
    }

    /// An error response to `request` that fits into `limit` bytes, so that refusing a forged request never
    /// amplifies; `nil` when even the shortest form is longer. The reason phrase is dropped first.
    static func refusal(
        of request: STUNMessage, code: Int, reason: String, limit: Int, integrityKey: [UInt8]? = nil,
        extra: [STUNAttribute] = []
    ) -> [UInt8]? {
        for phrase in [reason, ""] {
            var response = STUNMessage(.error, method: request.method, transactionID: request.transactionID)
            response.attributes = [.errorCode(code, reason: phrase)] + extra
            let bytes = response.serialized(integrityKey: integrityKey)
            if bytes.count <= limit { return bytes }
        }
        return nil
    }

    /// The answer of a demultiplexer to a Binding request whose ufrag it does not know: 401, never longer than the
    /// request. `nil` when `datagram` is not a well-formed request or is too short to be answered.
    public static func unauthenticatedResponse(to datagram: UnsafeRawBufferPointer) -> [UInt8]? {
        guard let request = try? STUNMessage(parsing: datagram), request.messageClass == .request else { return nil }
        return refusal(of: request, code: 401, reason: "Unauthenticated", limit: datagram.count)
    }

    private static func append(_ attribute: STUNAttribute, to bytes: inout [UInt8]) {
        bytes.appendBigEndian(attribute.type)
        bytes.appendBigEndian(UInt16(truncatingIfNeeded: attribute.value.count))
        bytes.append(contentsOf: attribute.value)
        bytes.append(contentsOf: repeatElement(0, count: (4 - attribute.value.count % 4) % 4))
    }

    /// Integrity and fingerprint are computed with a length field that already counts themselves.
    private static func setLength(of bytes: inout [UInt8], adding extra: Int) {
        let length = UInt16(truncatingIfNeeded: bytes.count - headerLength + extra)
        bytes[2] = UInt8(length >> 8)
        bytes[3] = UInt8(length & 0xff)
    }
}

extension [UInt8] {
    mutating func appendBigEndian<T: FixedWidthInteger>(_ value: T) {
        Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
    }
}
