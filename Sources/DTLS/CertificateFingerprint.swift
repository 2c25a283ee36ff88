// SPDX-License-Identifier: Apache-2.0
// Certificate fingerprints as in `a=fingerprint` (RFC 8122), used by DTLSCertificate and DTLSSession.
import COpenSSL

enum CertificateFingerprint {
    /// The supported hash functions, strongest first.
    static let algorithms = ["sha-512", "sha-384", "sha-256", "sha-1"]

    /// The digest over the DER form; `nil` for an algorithm that isn't supported.
    static func digest(of certificate: OpaquePointer, algorithm: String) -> [UInt8]? {
        let function: OpaquePointer? = switch algorithm.lowercased() {
        case "sha-512": EVP_sha512()
        case "sha-384": EVP_sha384()
        case "sha-256": EVP_sha256()
        case "sha-1": EVP_sha1()
        default: nil
        }
        guard let function else { return nil }
        var bytes = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var length: UInt32 = 0
        guard X509_digest(certificate, function, &bytes, &length) == 1 else { return nil }
        return Array(bytes.prefix(Int(length)))
    }

    /// RFC 8122 §5: only the fingerprints of the strongest hash function given count, and one of them must fit.
    static func matches(_ certificate: OpaquePointer, anyOf expected: [(algorithm: String, bytes: [UInt8])]) -> Bool {
        for algorithm in algorithms {
            let candidates = expected.filter { $0.algorithm.lowercased() == algorithm }
            if candidates.isEmpty { continue }
            guard let actual = digest(of: certificate, algorithm: algorithm) else { return false }
            return candidates.contains { $0.bytes == actual }
        }
        return false
    }
}
