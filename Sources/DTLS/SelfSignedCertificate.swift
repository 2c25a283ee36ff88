// SPDX-License-Identifier: Apache-2.0
// The self-signed pair that HTTPS and WSS start with when no certificate is configured. Called once at first start.
import COpenSSL
import Primitives

/// Makes certificates for the web server.
public enum SelfSignedCertificate {
    /// A new ECDSA P-256 key and a server certificate for `hosts`, both in PEM (the key as unencrypted PKCS #8).
    ///
    /// - Parameters:
    ///   - hosts: DNS names (a leading "*." is allowed) and literal IP addresses for the subject alternative names.
    ///   - days: validity from now.
    /// - Throws: a `DTLSSetupError`, also for a host that is neither a DNS name nor an address.
    public static func makePEM(
        commonName: String, hosts: [String], days: Int
    ) throws -> (certificatePEM: String, privateKeyPEM: String) {
        var extensions: [(nid: Int32, value: String)] = [
            (NID_basic_constraints, "critical,CA:FALSE"),
            (NID_key_usage, "critical,digitalSignature,keyCertSign"),
            (NID_ext_key_usage, "serverAuth"),
        ]
        let names = try hosts.map(alternativeName)
        if !names.isEmpty { extensions.append((NID_subject_alt_name, names.joined(separator: ","))) }
        let pair = try X509Pair.selfSigned(commonName: commonName, days: days, extensions: extensions)
        defer { pair.free() }
        let certificate = try pem { PEM_write_bio_X509($0, pair.certificate) }
        let key = try pem { PEM_write_bio_PKCS8PrivateKey($0, pair.key, nil, nil, 0, nil, nil) }
        return (certificate, key)
    }

    /// Checked strictly: the names end up in OpenSSL's configuration syntax, where a comma would start something else.
    private static func alternativeName(_ host: String) throws -> String {
        if SocketAddress(host, port: 0) != nil { return "IP:\(host)" }
        let isName = !host.isEmpty && host.utf8.count <= 253 && host.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                 UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                 UInt8(ascii: "*"): true
            default: false
            }
        }
        guard isName else { throw DTLSSetupError("'\(host)' is neither a DNS name nor an IP address") }
        return "DNS:\(host)"
    }

    private static func pem(_ write: (OpaquePointer) -> Int32) throws -> String {
        guard let bio = BIO_new(BIO_s_mem()) else { throw DTLSSetupError("no memory for PEM") }
        defer { BIO_free(bio) }
        guard write(bio) == 1 else { throw DTLSSetupError("no PEM") }
        var bytes = [UInt8](repeating: 0, count: BIO_ctrl_pending(bio))
        guard BIO_read(bio, &bytes, Int32(bytes.count)) == Int32(bytes.count) else { throw DTLSSetupError("no PEM") }
        return String(decoding: bytes, as: UTF8.self)
    }
}
