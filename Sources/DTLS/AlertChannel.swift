// SPDX-License-Identifier: Apache-2.0
// What is left of an association once both sides have their SRTP keys: telling the end, and hearing of it. A hundred bytes instead
// of the 70 KiB that OpenSSL keeps of a handshake. Owned by DTLSSession, which hands over to it in `settle()`.
import COpenSSL

/// Protected alerts of an established DTLS 1.2 association with AES-GCM (RFC 6347 §4.1, RFC 5288). Everything else that comes is
/// ignored: media has keys of its own, and strangers can say nothing here that counts.
struct AlertChannel {
    private static let header = 13, explicitNonce = 8, alertType: UInt8 = 21
    private static let closeNotify: [UInt8] = [1, 0]
    /// Nonce, two bytes, tag.
    private static let alertLength = explicitNonce + 2 + Int(MARTLET_AEAD_TAG)
    /// Our records continue far behind those of OpenSSL, of which nobody knows how many there were.
    private static let firstSequence: UInt64 = 1 << 32

    private let sendKey, receiveKey, sendSalt, receiveSalt: [UInt8]
    private let cipher: String

    /// Takes over from an established session; `nil` when its cipher isn't AES-GCM.
    init?(_ ssl: OpaquePointer?, role: DTLSSession.Role) {
        var block = [UInt8](repeating: 0, count: 72)
        let length = Int(martlet_dtls_record_keys(ssl, &block))
        guard length > 0 else { return nil }
        let keys = [Array(block[..<length]), Array(block[length..<2 * length])]
        let salts = [Array(block[(2 * length)..<(2 * length + 4)]), Array(block[(2 * length + 4)..<(2 * length + 8)])]
        let own = role == .client ? 0 : 1
        (sendKey, receiveKey, sendSalt, receiveSalt) = (keys[own], keys[1 - own], salts[own], salts[1 - own])
        cipher = length == 16 ? "AES-128-GCM" : "AES-256-GCM"
    }

    /// The datagram that says close_notify; empty when OpenSSL fails. To be sent once.
    func closing() -> [UInt8] {
        guard let aead = martlet_aead_new(cipher, sendKey, sendKey.count, 1) else { return [] }
        defer { martlet_aead_free(aead) }
        let sequence = Self.bytes(1 << 48 | Self.firstSequence)
        let count = Self.closeNotify.count
        var sealed = [UInt8](repeating: 0, count: count + Int(MARTLET_AEAD_TAG))
        let done = sealed.withUnsafeMutableBytes { output in
            martlet_aead_seal(
                aead, sendSalt + sequence, Self.associated(sequence, count), Self.header, nil, Self.closeNotify, count,
                output.baseAddress, output.baseAddress! + count)
        }
        guard done == 1 else { return [] }
        let length = Self.explicitNonce + sealed.count
        return [Self.alertType, 0xfe, 0xfd] + sequence + [UInt8(length >> 8), UInt8(length & 0xff)] + sequence + sealed
    }

    /// Whether a record of the datagram is the peer's own word that it is over: close_notify or a fatal alert.
    func isEnd(_ datagram: UnsafeRawBufferPointer) -> Bool {
        var rest = datagram[...]
        while rest.count >= Self.header {
            let record = UnsafeRawBufferPointer(rebasing: rest)
            let length = Int(record[11]) << 8 | Int(record[12])
            guard record.count >= Self.header + length else { return false }
            // Epoch 1 is the only one with keys: there is no renegotiation. Of several the first counts: each costs a key schedule, and anybody
            // can send them.
            if record[0] == Self.alertType, record[3] == 0, record[4] == 1 {
                guard length == Self.alertLength, let alert = open(UnsafeRawBufferPointer(rebasing: record[..<(Self.header + length)])) else { return false }
                return alert[0] == 2 || alert[1] == 0
            }
            rest = rest.dropFirst(Self.header + length)
        }
        return false
    }

    private func open(_ record: UnsafeRawBufferPointer) -> [UInt8]? {
        let count = record.count - Self.header - Self.explicitNonce - Int(MARTLET_AEAD_TAG)
        guard count > 0, let aead = martlet_aead_new(cipher, receiveKey, receiveKey.count, 0) else { return nil }
        defer { martlet_aead_free(aead) }
        let nonce = record[Self.header..<(Self.header + Self.explicitNonce)]
        var body = Array(record[(Self.header + Self.explicitNonce)...])
        let fits = body.withUnsafeMutableBytes { body in
            martlet_aead_open(
                aead, receiveSalt + nonce, Self.associated(Array(record[3..<11]), count), Self.header, nil, body.baseAddress, count,
                body.baseAddress! + count)
        }
        return fits == 1 ? Array(body[..<count]) : nil
    }

    /// RFC 5246 §6.2.3.3: epoch and sequence number, type, version, length of the plain text.
    private static func associated(_ sequence: [UInt8], _ count: Int) -> [UInt8] {
        sequence + [alertType, 0xfe, 0xfd, UInt8(count >> 8), UInt8(count & 0xff)]
    }

    private static func bytes(_ number: UInt64) -> [UInt8] { withUnsafeBytes(of: number.bigEndian) { Array($0) } }
}
