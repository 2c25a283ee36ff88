// SPDX-License-Identifier: Apache-2.0
// Session keys from the master key and salt (RFC 3711 §4.3, RFC 7714 §11).
// Runs a handful of times per connection, by the initialisers of SRTPSender and SRTPReceiver.
import COpenSSL

/// The AES-CM pseudo-random function with a key derivation rate of zero.
enum KeyDerivation {
    /// RFC 3711 §4.3.2: what a derived key is for.
    enum Label: UInt8 {
        case rtpEncryption = 0, rtpAuthentication, rtpSalt, rtcpEncryption, rtcpAuthentication, rtcpSalt
    }

    /// `count` bytes derived for `label`. A 96-bit salt (RFC 7714) counts as a 112-bit one with 16 zero bits at its end.
    static func derive(_ label: Label, key: [UInt8], salt: [UInt8], count: Int) throws(SRTPError) -> [UInt8] {
        var counter = [UInt8](repeating: 0, count: 16)
        for (i, byte) in salt.prefix(14).enumerated() { counter[i] = byte }
        counter[7] ^= label.rawValue

        guard let context = EVP_CIPHER_CTX_new() else { throw .cryptography("a cipher context") }
        defer { EVP_CIPHER_CTX_free(context) }
        let cipher = key.count == 32 ? EVP_aes_256_ctr() : EVP_aes_128_ctr()
        var output = [UInt8](repeating: 0, count: count)
        let zeros = output
        var written: Int32 = 0
        guard EVP_EncryptInit_ex(context, cipher, nil, key, counter) == 1,
              EVP_EncryptUpdate(context, &output, &written, zeros, Int32(count)) == 1, Int(written) == count
        else { throw .cryptography("AES counter mode") }
        return output
    }
}

/// The keys of one direction and one protocol (RTP or RTCP).
struct SessionKeys {
    var encryption: [UInt8]
    var salt: [UInt8]
    /// Empty for the AEAD profiles.
    var authentication: [UInt8]

    enum Use { case rtp, rtcp }

    static func derive(_ use: Use, profile: SRTPProfile, key: [UInt8], salt: [UInt8]) throws(SRTPError) -> SessionKeys {
        guard key.count == profile.keyLength else {
            throw .keyLength(expected: profile.keyLength, actual: key.count)
        }
        guard salt.count == profile.saltLength else {
            throw .saltLength(expected: profile.saltLength, actual: salt.count)
        }
        let isRTP = use == .rtp
        return SessionKeys(
            encryption: try KeyDerivation.derive(
                isRTP ? .rtpEncryption : .rtcpEncryption, key: key, salt: salt, count: profile.keyLength),
            salt: try KeyDerivation.derive(isRTP ? .rtpSalt : .rtcpSalt, key: key, salt: salt, count: profile.saltLength),
            authentication: profile.isAEAD
                ? []
                : try KeyDerivation.derive(
                    isRTP ? .rtpAuthentication : .rtcpAuthentication, key: key, salt: salt, count: 20))
    }
}
