// The cryptography of one direction and one protocol: an EVP context whose key is set once, the session salt and,
// for counter mode, the authenticator. A trivial value inside SenderState and ReceiverState, which own the EVP context.
import COpenSSL

/// Encrypts or decrypts the packets of one direction. Nothing here allocates after `init`.
struct PacketCipher {
    private let context: OpaquePointer
    let isAEAD: Bool
    let tagLength: Int
    private let saltHigh: UInt64
    private let saltLow: UInt64
    let authenticator: SHA1Authenticator

    init(profile: SRTPProfile, keys: SessionKeys, encrypting: Bool) throws(SRTPError) {
        guard keys.encryption.count == profile.keyLength else {
            throw .keyLength(expected: profile.keyLength, actual: keys.encryption.count)
        }
        guard keys.salt.count == profile.saltLength else {
            throw .saltLength(expected: profile.saltLength, actual: keys.salt.count)
        }
        let cipher = switch profile {
        case .aeadAES128GCM: EVP_aes_128_gcm()
        case .aeadAES256GCM: EVP_aes_256_gcm()
        case .aes128CMSHA1_80: EVP_aes_128_ctr()
        }
        guard let context = EVP_CIPHER_CTX_new() else { throw .cryptography("a cipher context") }
        // Counter mode decrypts by encrypting.
        let direction: Int32 = encrypting || !profile.isAEAD ? 1 : 0
        guard EVP_CipherInit_ex(context, cipher, nil, keys.encryption, nil, direction) == 1 else {
            EVP_CIPHER_CTX_free(context)
            throw .cryptography("the cipher of the SRTP profile")
        }
        self.context = context
        isAEAD = profile.isAEAD
        tagLength = profile.rtpTagLength
        var salt = keys.salt
        salt.append(contentsOf: [UInt8](repeating: 0, count: 16 - salt.count))
        saltHigh = salt[0..<8].reduce(0) { $0 << 8 | UInt64($1) }
        saltLow = salt[8..<16].reduce(0) { $0 << 8 | UInt64($1) }
        authenticator = SHA1Authenticator(key: keys.authentication)
    }

    func destroy() { EVP_CIPHER_CTX_free(context) }

    /// Starts a packet: sets the IV made of SSRC and packet index (48 bits for RTP, 31 for RTCP).
    @inline(__always)
    private func begin(ssrc: UInt32, index: UInt64) -> Bool {
        // RFC 7714 §8.1: 16 zero bits, SSRC, 48-bit index. RFC 3711 §4.1.1: 32 zero bits, SSRC, 48-bit index, 16-bit counter.
        let high = isAEAD ? UInt64(ssrc) << 16 | index >> 32 : UInt64(ssrc)
        let low = isAEAD ? index << 32 : index << 16
        var iv = ((high ^ saltHigh).bigEndian, (low ^ saltLow).bigEndian)
        return withUnsafeBytes(of: &iv) {
            // -1: the direction stays as it is.
            EVP_CipherInit_ex(
                context, nil, nil, nil, $0.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: UInt8.self), -1) == 1
        }
    }

    @inline(__always)
    private func update(_ output: UnsafeMutableRawPointer?, _ input: UnsafeRawPointer, _ count: Int) -> Bool {
        if count == 0 { return true }
        var written: Int32 = 0
        return EVP_CipherUpdate(
            context, output?.assumingMemoryBound(to: UInt8.self), &written,
            input.assumingMemoryBound(to: UInt8.self), Int32(truncatingIfNeeded: count)) == 1
    }

    /// AEAD: encrypts `count` bytes from `input` to `output` (which may be the same) and writes 16 bytes of tag.
    /// `second` is a further piece of associated data (the SRTCP index word).
    @inline(__always)
    func seal(
        ssrc: UInt32, index: UInt64, associated: UnsafeRawPointer, associatedCount: Int, second: UInt32? = nil,
        input: UnsafeRawPointer, count: Int, output: UnsafeMutableRawPointer, tag: UnsafeMutableRawPointer
    ) -> Bool {
        guard begin(ssrc: ssrc, index: index), update(nil, associated, associatedCount) else { return false }
        if var word = second?.bigEndian, !update(nil, &word, 4) { return false }
        guard update(output, input, count) else { return false }
        var written: Int32 = 0
        return EVP_CipherFinal_ex(context, tag.assumingMemoryBound(to: UInt8.self), &written) == 1
            && martlet_aead_tag(context, tag) == 1
    }

    /// AEAD: decrypts `count` bytes in place and says whether the tag behind fits. The bytes are garbage when it doesn't.
    @inline(__always)
    func open(
        ssrc: UInt32, index: UInt64, associated: UnsafeRawPointer, associatedCount: Int, second: UInt32? = nil,
        bytes: UnsafeMutableRawPointer, count: Int, tag: UnsafeMutableRawPointer
    ) -> Bool {
        guard begin(ssrc: ssrc, index: index), update(nil, associated, associatedCount) else { return false }
        if var word = second?.bigEndian, !update(nil, &word, 4) { return false }
        guard update(bytes, bytes, count) else { return false }
        var written: Int32 = 0
        return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, tag) == 1
            && EVP_CipherFinal_ex(context, tag.assumingMemoryBound(to: UInt8.self), &written) == 1
    }

    /// Counter mode: XORs the key stream of the packet over `count` bytes; its own inverse.
    @inline(__always)
    func crypt(
        ssrc: UInt32, index: UInt64, input: UnsafeRawPointer, count: Int, output: UnsafeMutableRawPointer
    ) -> Bool {
        begin(ssrc: ssrc, index: index) && update(output, input, count)
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
