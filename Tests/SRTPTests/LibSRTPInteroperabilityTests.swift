// SPDX-License-Identifier: Apache-2.0
// Every profile against libsrtp2, in both directions.
import CSRTP
import Primitives
import SRTP
import Testing

struct LibSRTPInteroperabilityTests {
    static let shapes: [TestPacket] = [
        TestPacket(index: 100),
        TestPacket(index: 101, payload: 0),
        TestPacket(index: 102, payload: 1),
        TestPacket(index: 103, payload: 1188),
        TestPacket(index: 104, payload: 300, extensionWords: 3),
        TestPacket(index: 105, payload: 300, extensionWords: 60, csrcs: 2),
        TestPacket(index: 106, payload: 77, csrcs: 15),
        TestPacket(index: 107, payload: 500, padding: 4),
        TestPacket(index: 108, payload: 0, padding: 255, extensionWords: 1),
        TestPacket(index: 109, payload: 33, padding: 1),
    ]

    @Test("libsrtp reads what we send: extensions, CSRCs, padding, empty payloads", arguments: SRTPProfile.allCases)
    func sending(profile: SRTPProfile) throws {
        let sender = try SRTPSender(profile)
        defer { sender.destroy() }
        let judge = try LibSRTP(profile, .receiving)
        for packet in Self.shapes {
            let protected = try sender.protect(packet)
            #expect(protected.count == packet.plain.count + profile.rtpTagLength)
            #expect(try judge.unprotect(protected) == packet.plain)
        }
    }

    @Test("we read what libsrtp sends: extensions, CSRCs, padding, empty payloads", arguments: SRTPProfile.allCases)
    func receiving(profile: SRTPProfile) throws {
        let receiver = try SRTPReceiver(profile)
        defer { receiver.destroy() }
        let judge = try LibSRTP(profile, .sending)
        for packet in Self.shapes {
            #expect(try receiver.unprotect(try judge.protect(packet.plain)) == packet.plain)
        }
    }

    /// Around two rollovers, with packets swapped across them, and some lost.
    static let order: [UInt64] = [
        65_530, 65_533, 65_531, 65_536, 65_534, 65_535, 65_539, 65_537, 65_538, 65_532,
        90_000, 110_000, 131_071, 131_073, 131_072, 131_070, 131_074, 150_000, 180_000, 196_607, 196_608,
    ]

    @Test("libsrtp follows our rollover counter, with reordering across it", arguments: SRTPProfile.allCases)
    func rolloverSending(profile: SRTPProfile) throws {
        let sender = try SRTPSender(profile)
        defer { sender.destroy() }
        let judge = try LibSRTP(profile, .receiving)
        for index in Self.order {
            let packet = TestPacket(index: index, extensionWords: 1)
            #expect(try judge.unprotect(try sender.protect(packet)) == packet.plain)
        }
    }

    @Test("we follow libsrtp's rollover counter, with reordering across it", arguments: SRTPProfile.allCases)
    func rolloverReceiving(profile: SRTPProfile) throws {
        let receiver = try SRTPReceiver(profile)
        defer { receiver.destroy() }
        let judge = try LibSRTP(profile, .sending)
        // libsrtp counts rollovers itself, so it has to protect in order.
        var protected: [UInt64: [UInt8]] = [:]
        for index in Self.order.sorted() { protected[index] = try judge.protect(TestPacket(index: index).plain) }
        for index in Self.order {
            #expect(try receiver.unprotect(try #require(protected[index])) == TestPacket(index: index).plain)
        }
    }

    @Test("a long stream with seeded reordering arrives whole", arguments: SRTPProfile.allCases)
    func shuffled(profile: SRTPProfile) throws {
        let receiver = try SRTPReceiver(profile)
        defer { receiver.destroy() }
        let judge = try LibSRTP(profile, .sending)
        var random = RandomSource.seeded(7)
        var packets = try (65_000..<66_500).map { (UInt64($0), try judge.protect(TestPacket(index: UInt64($0), payload: 40).plain)) }
        for start in stride(from: 0, to: packets.count, by: 60) {
            packets[start..<min(start + 60, packets.count)].shuffle(using: &random)
        }
        for (index, bytes) in packets {
            #expect(try receiver.unprotect(bytes) == TestPacket(index: index, payload: 40).plain)
        }
    }

    @Test("RTCP goes both ways, for several senders", arguments: SRTPProfile.allCases)
    func rtcp(profile: SRTPProfile) throws {
        let sender = try SRTPSender(profile)
        let receiver = try SRTPReceiver(profile)
        defer { sender.destroy(); receiver.destroy() }
        let judgeIn = try LibSRTP(profile, .receiving), judgeOut = try LibSRTP(profile, .sending)
        for round in 0..<20 {
            let report = receiverReport(ssrc: UInt32(1 + round % 3), blocks: round % 5)
            let protected = try sender.protectRTCP(report)
            #expect(protected.count == report.count + profile.rtcpOverhead)
            #expect(try judgeIn.unprotectRTCP(protected) == report)
            #expect(try receiver.unprotectRTCP(try judgeOut.protectRTCP(report)) == report)
        }
    }
}
