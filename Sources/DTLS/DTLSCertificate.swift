// SPDX-License-Identifier: Apache-2.0
// The certificate a process identifies itself with in DTLS, together with the OpenSSL contexts that are shared by all
// sessions using it. Made at start (or once per agent), lives as long as any session.
import COpenSSL

/// A self-signed ECDSA P-256 certificate with its private key.
// @unchecked: the OpenSSL objects are only written in `init`; afterwards sessions take references by SSL_new, which
// OpenSSL makes atomic.
public final class DTLSCertificate: @unchecked Sendable {
    /// SHA-256 over the DER form, for the `a=fingerprint` line.
    public let fingerprintSHA256: [UInt8]
    let clientContext: OpaquePointer
    let serverContext: OpaquePointer

    private init(pair: X509Pair) throws {
        guard let fingerprint = CertificateFingerprint.digest(of: pair.certificate, algorithm: "sha-256") else {
            throw DTLSSetupError("no SHA-256")
        }
        fingerprintSHA256 = fingerprint
        clientContext = try Self.makeContext(pair)
        do { serverContext = try Self.makeContext(pair) } catch {
            SSL_CTX_free(clientContext)
            throw error
        }
    }

    deinit {
        SSL_CTX_free(clientContext)
        SSL_CTX_free(serverContext)
    }

    /// A new key pair and certificate. The validity of ten years is of no weight: peers compare the fingerprint.
    public static func selfSigned(commonName: String) throws -> DTLSCertificate {
        let pair = try X509Pair.selfSigned(commonName: commonName, days: 3650)
        defer { pair.free() }
        return try DTLSCertificate(pair: pair)
    }

    private static func makeContext(_ pair: X509Pair) throws -> OpaquePointer {
        ERR_clear_error()
        guard let context = SSL_CTX_new(DTLS_method()) else { throw DTLSSetupError("no DTLS context") }
        let profiles = "SRTP_AEAD_AES_128_GCM:SRTP_AEAD_AES_256_GCM:SRTP_AES128_CM_SHA1_80"
        guard martlet_dtls_context_defaults(context) == 1,
              SSL_CTX_use_certificate(context, pair.certificate) == 1,
              SSL_CTX_use_PrivateKey(context, pair.key) == 1,
              // Forward secrecy always; CBC suites last, for old Java stacks.
              SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES") == 1,
              SSL_CTX_set_tlsext_use_srtp(context, profiles) == 0
        else {
            SSL_CTX_free(context)
            throw DTLSSetupError("the DTLS context can't be set up")
        }
        // Any certificate will do here; DTLSSession compares its fingerprint before it reports a connection.
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT) { _, _ in 1 }
        return context
    }
}
