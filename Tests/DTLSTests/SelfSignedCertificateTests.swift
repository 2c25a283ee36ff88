// SPDX-License-Identifier: Apache-2.0
// What browsers and openssl find in the certificates.
import DTLS
import Foundation
import Testing

struct SelfSignedCertificateTests {
    @Test("PEM for the web server has the names asked for, in a key of its own")
    func pem() throws {
        let (certificate, key) = try SelfSignedCertificate.makePEM(
            commonName: "media.example.org", hosts: ["media.example.org", "*.example.org", "192.0.2.7", "2001:db8::7"], days: 90)
        #expect(certificate.hasPrefix("-----BEGIN CERTIFICATE-----\n"))
        #expect(key.hasPrefix("-----BEGIN PRIVATE KEY-----\n"))
        let der = try #require(Data(base64Encoded: certificate.split(separator: "\n").dropFirst().dropLast().joined()))
        for name in ["media.example.org", "*.example.org"] { #expect(der.range(of: Data(name.utf8)) != nil) }
        #expect(der.range(of: Data([0x87, 4, 192, 0, 2, 7])) != nil)
        #expect(der.range(of: Data([0x87, 16, 0x20, 1, 0x0d, 0xb8])) != nil)
        #expect(try SelfSignedCertificate.makePEM(commonName: "a", hosts: [], days: 1).privateKeyPEM != key)
    }

    @Test("a host that could be mistaken for something else is refused by name", arguments: ["a,DNS:evil", "", "a b", "dns:x/y"])
    func hosts(host: String) {
        let error = #expect(throws: DTLSSetupError.self) {
            try SelfSignedCertificate.makePEM(commonName: "a", hosts: [host], days: 1)
        }
        #expect(error?.description.contains("'\(host)'") == true)
    }

    @Test("each DTLS certificate has its own fingerprint of 32 bytes")
    func fingerprints() throws {
        let one = try DTLSCertificate.selfSigned(commonName: "one"), two = try DTLSCertificate.selfSigned(commonName: "one")
        #expect(one.fingerprintSHA256.count == 32)
        #expect(one.fingerprintSHA256 != two.fingerprintSHA256)
    }
}
