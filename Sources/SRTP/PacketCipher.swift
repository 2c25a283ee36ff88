// SPDX-License-Identifier: Apache-2.0
// The cryptography of one direction and one protocol: a cipher whose key is set once, the session salt and, for counter
// mode, the authenticator. A trivial value inside SRTPSender's and SRTPReceiver's state, which own the cipher.
import COpenSSL

/// Encrypts or decrypts the packets of one direction. Nothing here allocates after `init`.
struct PacketCipher {
    // Exactly one of the two, by profile.
    private let aead: UnsafeMutablePointer<martlet_aead>?
    private let counterMode: OpaquePointer?
    let tagLength: Int
    private let saltHigh: UInt64
    private let saltLow: UInt64
    private let authenticator: SHA1Authenticator

    var isAEAD: Bool { aead != nil }

    init(profile: SRTPProfile, keys: SessionKeys, encrypting: Bool) throws(SRTPError) {
        guard keys.encryption.count == profile.keyLength else {
            throw .keyLength(expected: profile.keyLength, actual: keys.encryption.count)
        }
        guard keys.salt.count == profile.saltLength else {
            throw .saltLength(expected: profile.saltLength, actual: keys.salt.count)
        }
        if profile.isAEAD {
            let name = profile == .aeadAES256GCM ? "AES-256-GCM" : "AES-128-GCM"
            guard let aead = martlet_aead_new(name, keys.encryption, keys.encryption.count, encrypting ? 1 : 0)
            else { throw .cryptography(name) }
            self.aead = aead
            counterMode = nil
        } else {
            guard let context = EVP_CIPHER_CTX_new() else { throw .cryptography("a cipher context") }
            // Counter mode decrypts by encrypting.
            guard EVP_EncryptInit_ex(context, EVP_aes_128_ctr(), nil, keys.encryption, nil) == 1 else {
                EVP_CIPHER_CTX_free(context)
                throw .cryptography("AES-128-CTR")
            }
            counterMode = context
            aead = nil
        }
        tagLength = profile.rtpTagLength
        let salt = keys.salt + [UInt8](repeating: 0, count: 16 - keys.salt.count)
        saltHigh = salt[0..<8].reduce(0) { $0 << 8 | UInt64($1) }
        saltLow = salt[8..<16].reduce(0) { $0 << 8 | UInt64($1) }
        authenticator = SHA1Authenticator(key: keys.authentication)
    }

    func destroy() {
        martlet_aead_free(aead)
        EVP_CIPHER_CTX_free(counterMode)
    }

    /// AEAD: encrypts `count` bytes from `input` to `output` (which may be the same) and writes 16 bytes of tag.
    /// `second` is a further piece of associated data (the SRTCP index word).
    @inline(__always)
    func seal(
        ssrc: UInt32, index: UInt64, associated: UnsafeRawPointer, associatedCount: Int, second: UInt32? = nil,
        input: UnsafeRawPointer, count: Int, output: UnsafeMutableRawPointer, tag: UnsafeMutableRawPointer
    ) -> Bool {
        withAEADIV(ssrc: ssrc, index: index) { iv in
            guard var word = second?.bigEndian else {
                return martlet_aead_seal(aead, iv, associated, associatedCount, nil, input, count, output, tag) == 1
            }
            return martlet_aead_seal(aead, iv, associated, associatedCount, &word, input, count, output, tag) == 1
        }
    }

    /// AEAD: decrypts `count` bytes in place and says whether the tag behind fits. The bytes are garbage when it doesn't.
    @inline(__always)
    func open(
        ssrc: UInt32, index: UInt64, associated: UnsafeRawPointer, associatedCount: Int, second: UInt32? = nil,
        bytes: UnsafeMutableRawPointer, count: Int, tag: UnsafeMutableRawPointer
    ) -> Bool {
        withAEADIV(ssrc: ssrc, index: index) { iv in
            guard var word = second?.bigEndian else {
                return martlet_aead_open(aead, iv, associated, associatedCount, nil, bytes, count, tag) == 1
            }
            return martlet_aead_open(aead, iv, associated, associatedCount, &word, bytes, count, tag) == 1
        }
    }

    /// RFC 7714 §8.1: 16 zero bits, SSRC and 48-bit index (31-bit for RTCP), XORed with the salt.
    @inline(__always)
    private func withAEADIV(ssrc: UInt32, index: UInt64, _ body: (UnsafePointer<UInt8>) -> Bool) -> Bool {
        withIV(UInt64(ssrc) << 16 | index >> 32, index << 32, body)
    }

    @inline(__always)
    private func withIV(_ high: UInt64, _ low: UInt64, _ body: (UnsafePointer<UInt8>) -> Bool) -> Bool {
        var iv = ((high ^ saltHigh).bigEndian, (low ^ saltLow).bigEndian)
        return withUnsafeBytes(of: &iv) { body($0.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: UInt8.self)) }
    }

    /// Counter mode: XORs the key stream of the packet over `count` bytes; its own inverse.
    @inline(__always)
    func crypt(
        ssrc: UInt32, index: UInt64, input: UnsafeRawPointer, count: Int, output: UnsafeMutableRawPointer
    ) -> Bool {
        // RFC 3711 §4.1.1: 32 zero bits, SSRC, 48-bit index and 16-bit block counter, XORed with the salt.
        withIV(UInt64(ssrc), index << 16) { iv in
            var written: Int32 = 0
            return EVP_EncryptInit_ex(counterMode, nil, nil, nil, iv) == 1
                && (count == 0 || EVP_EncryptUpdate(
                    counterMode, output.assumingMemoryBound(to: UInt8.self), &written,
                    input.assumingMemoryBound(to: UInt8.self), Int32(truncatingIfNeeded: count)) == 1)
        }
    }

    /// Counter mode: writes the 10-byte tag over `count` bytes (and the rollover counter, for RTP) to `output`.
    @inline(__always)
    func authenticate(_ bytes: UnsafeRawPointer, count: Int, rollover: UInt32?, output: UnsafeMutableRawPointer) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) {
            let tag = $0.baseAddress.unsafelyUnwrapped
            authenticator.compute(bytes, count: count, trailer: rollover, tag: tag)
            output.copyMemory(from: tag, byteCount: SHA1Authenticator.tagLength)
        }
    }

    /// Counter mode: whether the 10 bytes at `expected` are the tag of the bytes; in constant time.
    @inline(__always)
    func verify(_ bytes: UnsafeRawPointer, count: Int, rollover: UInt32?, expected: UnsafeRawPointer) -> Bool {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) {
            let tag = $0.baseAddress.unsafelyUnwrapped
            authenticator.compute(bytes, count: count, trailer: rollover, tag: tag)
            return CRYPTO_memcmp(tag, expected, SHA1Authenticator.tagLength) == 0
        }
    }
}
