// SPDX-License-Identifier: Apache-2.0
// HMAC-SHA1 over STUN messages, on OpenSSL's one-shot function; used by STUNMessage only.
internal import COpenSSL

/// The MESSAGE-INTEGRITY computation of RFC 8489 §14.5.
enum MessageIntegrity {
    /// Bytes of an HMAC-SHA1.
    static let length = 20

    /// HMAC-SHA1 of `bytes` under `key`; `nil` only when OpenSSL has no SHA-1 (e.g. forbidden by policy).
    static func compute(over bytes: [UInt8], key: [UInt8]) -> [UInt8]? {
        var digest = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var digestLength: UInt32 = 0
        // An empty key is legal for HMAC, but OpenSSL takes a null key pointer for "reuse the previous one".
        let material = key.isEmpty ? [0] : key
        guard HMAC(EVP_sha1(), material, Int32(key.count), bytes, bytes.count, &digest, &digestLength) != nil,
            digestLength == length
        else { return nil }
        digest.removeLast(digest.count - length)
        return digest
    }

    /// Compares in constant time, so that timing tells nothing about the right value.
    static func equal(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        a.count == b.count && CRYPTO_memcmp(a, b, a.count) == 0
    }
}
