// SPDX-License-Identifier: Apache-2.0
// HMAC-SHA1-80 for the counter mode profile, as a trivial value inside the sender's and the receiver's storage.
// Uses OpenSSL's low-level SHA1_* functions on purpose: the EVP ones copy a keyed context by allocating a new one
// for each packet, these by copying 96 bytes.
import COpenSSL

/// A keyed HMAC-SHA1 (RFC 2104) whose two key blocks are hashed once.
struct SHA1Authenticator {
    static let tagLength = 10
    private let inner: SHA_CTX
    private let outer: SHA_CTX

    /// `key` may be empty: the value is then not used (AEAD profiles).
    init(key: [UInt8]) {
        func keyed(_ pad: UInt8) -> SHA_CTX {
            var block = [UInt8](repeating: pad, count: 64)
            for (i, byte) in key.prefix(64).enumerated() { block[i] ^= byte }
            var context = SHA_CTX()
            SHA1_Init(&context)
            SHA1_Update(&context, block, 64)
            return context
        }
        inner = keyed(0x36)
        outer = keyed(0x5c)
    }

    /// The MAC of `bytes` followed by the 32-bit word `trailer` when there is one (the rollover counter of RFC 3711 §4.2),
    /// written to `tag` (20 bytes, of which the first 10 go on the wire).
    @inline(__always)
    func compute(_ bytes: UnsafeRawPointer, count: Int, trailer: UInt32?, tag: UnsafeMutablePointer<UInt8>) {
        var context = inner
        SHA1_Update(&context, bytes, count)
        if let trailer {
            var word = trailer.bigEndian
            SHA1_Update(&context, &word, 4)
        }
        SHA1_Final(tag, &context)
        context = outer
        SHA1_Update(&context, tag, 20)
        SHA1_Final(tag, &context)
    }
}
