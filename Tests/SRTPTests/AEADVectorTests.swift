// SPDX-License-Identifier: Apache-2.0
// RFC 7714 §16.1.1, §16.2.1 (SRTP) and §17.1, §17.3 (SRTCP): encryption and decryption with given session keys.
import Testing
@testable import SRTP

struct AEADVectorTests {
    struct Vector: Sendable, CustomTestStringConvertible {
        let profile: SRTPProfile
        let srtp: [UInt8]
        let srtcp: [UInt8]
        var testDescription: String { "\(profile)" }
        var keys: SessionKeys {
            SessionKeys(
                encryption: (0..<profile.keyLength).map { UInt8($0) }, salt: Array("Quid pro quo".utf8), authentication: [])
        }
    }

    static let vectors = [
        Vector(
            profile: .aeadAES128GCM,
            srtp: hex("""
                8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b
                36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce
                """),
            srtcp: hex("""
                81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46
                86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4
                """)),
        Vector(
            profile: .aeadAES256GCM,
            srtp: hex("""
                8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f
                1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13
                """),
            srtcp: hex("""
                81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be 8415f658
                c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4
                """)),
    ]
    private let rtpHeader = hex("8040f17b 8041f8d3 5501a0b2")
    private let rtpPayload = Array("Gallia est omnis divisa in partes tres".utf8)
    private let rtcp = hex("""
        81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef deadbeef deadbeef
        """)

    @Test("RTP is sealed and opened as in RFC 7714 §16", arguments: vectors)
    func rtp(vector: Vector) throws {
        let sender = try SRTPSender(profile: vector.profile, rtp: vector.keys, rtcp: vector.keys)
        let receiver = try SRTPReceiver(profile: vector.profile, rtp: vector.keys, rtcp: vector.keys)
        defer { sender.destroy(); receiver.destroy() }
        var packet = TestPacket(index: 0xf17b, ssrc: 0x5501_a0b2)
        packet.header = rtpHeader
        packet.payload = rtpPayload
        #expect(try sender.protect(packet) == vector.srtp)
        #expect(try receiver.unprotect(vector.srtp) == rtpHeader + rtpPayload)
    }

    @Test("RTCP is sealed and opened as in RFC 7714 §17", arguments: vectors)
    func rtcp(vector: Vector) throws {
        let sender = try SRTPSender(profile: vector.profile, rtp: vector.keys, rtcp: vector.keys)
        let receiver = try SRTPReceiver(profile: vector.profile, rtp: vector.keys, rtcp: vector.keys)
        defer { sender.destroy(); receiver.destroy() }
        sender.state.pointee.rtcpIndex = 0x5d4
        #expect(try sender.protectRTCP(rtcp) == vector.srtcp)
        #expect(try receiver.unprotectRTCP(vector.srtcp) == rtcp)
    }
}
