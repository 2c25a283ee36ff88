// SPDX-License-Identifier: Apache-2.0
// RFC 3711 Appendix B.2 and B.3.
import Testing
@testable import SRTP

struct KeyDerivationTests {
    private let key = hex("E1F97A0D3E018BE0D64FA32C06DE4139")
    private let salt = hex("0EC675AD498AFEEBB6960B3AABE6")

    @Test("session keys are those of RFC 3711 B.3")
    func sessionKeys() throws {
        #expect(try KeyDerivation.derive(.rtpEncryption, key: key, salt: salt, count: 16)
            == hex("C61E7A93744F39EE10734AFE3FF7A087"))
        #expect(try KeyDerivation.derive(.rtpSalt, key: key, salt: salt, count: 14) == hex("30CBBC08863D8C85D49DB34A9AE1"))
        #expect(try KeyDerivation.derive(.rtpAuthentication, key: key, salt: salt, count: 94) == hex("""
            CEBE321F6FF7716B6FD4AB49AF256A15 6D38BAA48F0A0ACF3C34E2359E6CDBCE E049646C43D9327AD175578EF7227098
            6371C10C9A369AC2F94A8C5FBCDDDC25 6D6E919A48B610EF17C2041E47403576 6B68642C59BBFC2F34DB60DBDFB2
            """))
    }

    @Test("RTCP keys differ from RTP keys of the same master key")
    func separation() throws {
        let rtp = try SessionKeys.derive(.rtp, profile: .aes128CMSHA1_80, key: key, salt: salt)
        let rtcp = try SessionKeys.derive(.rtcp, profile: .aes128CMSHA1_80, key: key, salt: salt)
        #expect(rtp.encryption != rtcp.encryption)
        #expect(rtp.salt != rtcp.salt)
        #expect(rtp.authentication != rtcp.authentication)
    }

    @Test("the key stream of a packet is that of RFC 3711 B.2")
    func keyStream() throws {
        // Session salt F0F1…FD, SSRC and index 0, so that the IV is the one of the vector.
        let keys = SessionKeys(
            encryption: hex("2B7E151628AED2A6ABF7158809CF4F3C"), salt: hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD"),
            authentication: [UInt8](repeating: 0, count: 20))
        let sender = try SRTPSender(profile: .aes128CMSHA1_80, rtp: keys, rtcp: keys)
        defer { sender.destroy() }
        var packet = TestPacket(index: 0, ssrc: 0, payload: 0)
        // The vector's further blocks lie beyond the longest packet.
        packet.payload = [UInt8](repeating: 0, count: 48)
        #expect(Array(try sender.protect(packet)[12..<60]) == hex("""
            E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0
            """))
    }

    @Test("keys and salts of a wrong length are refused with the lengths", arguments: SRTPProfile.allCases)
    func lengths(profile: SRTPProfile) {
        #expect(throws: SRTPError.keyLength(expected: profile.keyLength, actual: 5)) {
            try SRTPSender(profile: profile, key: [1, 2, 3, 4, 5], salt: profile.testSalt).destroy()
        }
        #expect(throws: SRTPError.saltLength(expected: profile.saltLength, actual: 0)) {
            try SRTPReceiver(profile: profile, key: profile.testKey, salt: []).destroy()
        }
    }
}
