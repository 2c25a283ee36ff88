// SPDX-License-Identifier: Apache-2.0
// Self-signed ECDSA P-256 certificates; shared by DTLSCertificate (for media) and SelfSignedCertificate (for HTTPS).
import COpenSSL

/// A key pair and its certificate. Whoever builds it owns both and frees them.
struct X509Pair {
    let certificate: OpaquePointer
    let key: OpaquePointer

    func free() {
        X509_free(certificate)
        EVP_PKEY_free(key)
    }

    /// - Parameters:
    ///   - extensions: NID and value in OpenSSL's configuration syntax; the caller vouches for the syntax.
    static func selfSigned(
        commonName: String, days: Int, extensions: [(nid: Int32, value: String)] = []
    ) throws -> X509Pair {
        ERR_clear_error()
        guard let key = martlet_generate_p256() else { throw DTLSSetupError("no P-256 key") }
        guard let certificate = X509_new() else {
            EVP_PKEY_free(key)
            throw DTLSSetupError("no certificate")
        }
        let pair = X509Pair(certificate: certificate, key: key)
        do {
            try pair.fill(commonName: commonName, days: days, extensions: extensions)
        } catch {
            pair.free()
            throw error
        }
        return pair
    }

    private func fill(commonName: String, days: Int, extensions: [(nid: Int32, value: String)]) throws {
        // 63 random bits: a positive serial number of at most 8 bytes (RFC 5280 §4.1.2.2).
        let serial = UInt64.random(in: 1...UInt64(Int64.max))
        let name = X509_NAME_new()
        defer { X509_NAME_free(name) }
        // RFC 5280 bounds a common name to 64 characters.
        let common = Array(String(commonName.prefix(64)).utf8)
        guard X509_set_version(certificate, 2) == 1,
              ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial) == 1,
              // A day back, for peers whose clock is behind.
              X509_gmtime_adj(X509_getm_notBefore(certificate), -86_400) != nil,
              X509_time_adj_ex(X509_getm_notAfter(certificate), Int32(clamping: days), 0, nil) != nil,
              X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, common, Int32(common.count), -1, 0) == 1,
              X509_set_subject_name(certificate, name) == 1,
              X509_set_issuer_name(certificate, name) == 1,
              X509_set_pubkey(certificate, key) == 1
        else { throw DTLSSetupError("the certificate for '\(commonName)' can't be filled in") }
        for (nid, value) in extensions {
            guard let ext = X509V3_EXT_conf_nid(nil, nil, nid, value) else {
                throw DTLSSetupError("the certificate extension '\(value)' is refused")
            }
            defer { X509_EXTENSION_free(ext) }
            guard X509_add_ext(certificate, ext, -1) == 1 else { throw DTLSSetupError("no certificate extension") }
        }
        guard X509_sign(certificate, key, EVP_sha256()) > 0 else { throw DTLSSetupError("the certificate can't be signed") }
    }
}
