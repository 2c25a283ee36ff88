// SPDX-License-Identifier: Apache-2.0
// What the receiver refuses, and that refusing leaves no trace.
import Primitives
import SRTP
import Testing

@Suite struct SRTPReceiverTests {
    private func pair(_ profile: SRTPProfile) throws -> (SRTPSender, SRTPReceiver) {
        (try SRTPSender(profile), try SRTPReceiver(profile))
    }

    @Test("a packet is accepted once", arguments: SRTPProfile.allCases)
    func replay(profile: SRTPProfile) throws {
        let (sender, receiver) = try pair(profile)
        defer { sender.destroy(); receiver.destroy() }
        let packets = try (0..<50).map { try sender.protect(TestPacket(index: UInt64($0))) }
        for packet in packets { _ = try receiver.unprotect(packet) }
        for packet in packets { #expect(throws: SRTPFailure.replayed) { try receiver.unprotect(packet) } }
        let report = try sender.protectRTCP(receiverReport())
        _ = try receiver.unprotectRTCP(report)
        #expect(throws: SRTPFailure.replayed) { try receiver.unprotectRTCP(report) }
    }

    @Test("a packet may be 1023 places late, and no more")
    func window() throws {
        let (sender, receiver) = try pair(.aeadAES128GCM)
        defer { sender.destroy(); receiver.destroy() }
        _ = try receiver.unprotect(try sender.protect(TestPacket(index: 5000)))
        _ = try receiver.unprotect(try sender.protect(TestPacket(index: 5000 - 1023)))
        #expect(throws: SRTPFailure.replayed) { try receiver.unprotect(try sender.protect(TestPacket(index: 5000 - 1024))) }
        // A jump by more than the window forgets the old places, whatever stood there.
        _ = try receiver.unprotect(try sender.protect(TestPacket(index: 8000)))
        for index in UInt64(8000 - 1023)..<8000 { _ = try receiver.unprotect(try sender.protect(TestPacket(index: index))) }
        #expect(throws: SRTPFailure.replayed) { try receiver.unprotect(try sender.protect(TestPacket(index: 7500))) }
    }

    @Test("a changed bit anywhere is noticed, and the original still passes", arguments: SRTPProfile.allCases)
    func tampering(profile: SRTPProfile) throws {
        let (sender, receiver) = try pair(profile)
        defer { sender.destroy(); receiver.destroy() }
        let plain = TestPacket(index: 9, payload: 40, extensionWords: 1)
        let packet = try sender.protect(plain)
        for position in packet.indices {
            var bad = packet
            bad[position] ^= 1 << UInt8(position % 8)
            #expect(throws: SRTPFailure.self) { try receiver.unprotect(bad) }
        }
        #expect(receiver.sourceCount == 0)
        #expect(try receiver.unprotect(packet) == plain.plain)

        let report = receiverReport()
        let protected = try sender.protectRTCP(report)
        for position in protected.indices {
            var bad = protected
            bad[position] ^= 1 << UInt8(position % 8)
            #expect(throws: SRTPFailure.self) { try receiver.unprotectRTCP(bad) }
        }
        #expect(try receiver.unprotectRTCP(protected) == report)
    }

    @Test("a forged packet far ahead doesn't move the window", arguments: SRTPProfile.allCases)
    func forgedJump(profile: SRTPProfile) throws {
        let (sender, receiver) = try pair(profile)
        defer { sender.destroy(); receiver.destroy() }
        _ = try receiver.unprotect(try sender.protect(TestPacket(index: 10)))
        var forged = try sender.protect(TestPacket(index: 30_000))
        forged[forged.count - 1] ^= 1
        #expect(throws: SRTPFailure.authentication) { try receiver.unprotect(forged) }
        #expect(try receiver.unprotect(try sender.protect(TestPacket(index: 11))) == TestPacket(index: 11).plain)
    }

    @Test("another key, another salt or a wrong rollover counter is an authentication failure", arguments: SRTPProfile.allCases)
    func wrongKey(profile: SRTPProfile) throws {
        var key = profile.testKey, salt = profile.testSalt
        key[0] ^= 1
        salt[3] ^= 1
        let receiver = try SRTPReceiver(profile)
        defer { receiver.destroy() }
        for sender in [
            try SRTPSender(profile: profile, key: key, salt: profile.testSalt),
            try SRTPSender(profile: profile, key: profile.testKey, salt: salt),
        ] {
            defer { sender.destroy() }
            let rtp = try sender.protect(TestPacket(index: 1)), rtcp = try sender.protectRTCP(receiverReport())
            #expect(throws: SRTPFailure.authentication) { try receiver.unprotect(rtp) }
            #expect(throws: SRTPFailure.authentication) { try receiver.unprotectRTCP(rtcp) }
        }
        let sender = try SRTPSender(profile)
        defer { sender.destroy() }
        let late = try sender.protect(TestPacket(index: 5 << 16))
        #expect(throws: SRTPFailure.authentication) { try receiver.unprotect(late) }
    }

    @Test("every truncation and random noise are refused without a crash", arguments: SRTPProfile.allCases)
    func truncation(profile: SRTPProfile) throws {
        let (sender, receiver) = try pair(profile)
        defer { sender.destroy(); receiver.destroy() }
        let rtp = try sender.protect(TestPacket(index: 1, payload: 60, extensionWords: 2, csrcs: 3))
        let rtcp = try sender.protectRTCP(receiverReport(blocks: 2))
        for count in 0..<rtp.count { #expect(throws: SRTPFailure.self) { try receiver.unprotect(Array(rtp.prefix(count))) } }
        for count in 0..<rtcp.count {
            #expect(throws: SRTPFailure.self) { try receiver.unprotectRTCP(Array(rtcp.prefix(count))) }
        }
        var random = RandomSource.seeded(3)
        for _ in 0..<2000 {
            var noise = random.bytes(Int.random(in: 0..<120, using: &random))
            if !noise.isEmpty { noise[0] = noise[0] & 0x3f | 0x80 }
            #expect(throws: SRTPFailure.self) { try receiver.unprotect(noise) }
            #expect(throws: SRTPFailure.self) { try receiver.unprotectRTCP(noise) }
        }
        #expect(receiver.sourceCount == 0)
    }

    @Test("a 65th source is refused, the others go on")
    func sourceBound() throws {
        let (sender, receiver) = try pair(.aeadAES128GCM)
        defer { sender.destroy(); receiver.destroy() }
        for ssrc in 1...UInt32(SRTPReceiver.maximumSources) {
            _ = try receiver.unprotect(try sender.protect(TestPacket(index: 1, ssrc: ssrc)))
        }
        let extra = try sender.protect(TestPacket(index: 1, ssrc: 1000))
        let extraReport = try sender.protectRTCP(receiverReport(ssrc: 1001))
        #expect(throws: SRTPFailure.tooManySources) { try receiver.unprotect(extra) }
        #expect(throws: SRTPFailure.tooManySources) { try receiver.unprotectRTCP(extraReport) }
        for ssrc in 1...UInt32(SRTPReceiver.maximumSources) {
            let packet = TestPacket(index: 2, ssrc: ssrc)
            #expect(try receiver.unprotect(try sender.protect(packet)) == packet.plain)
        }
    }

    @Test("RTCP that is only authenticated is refused")
    func unencryptedRTCP() throws {
        let (sender, receiver) = try pair(.aes128CMSHA1_80)
        defer { sender.destroy(); receiver.destroy() }
        var packet = try sender.protectRTCP(receiverReport())
        packet[packet.count - 14] &= 0x7f
        #expect(throws: SRTPFailure.malformed) { try receiver.unprotectRTCP(packet) }
    }
}
