// SPDX-License-Identifier: Apache-2.0
import Primitives
import RTP
import Testing

@Suite struct RTCPTests {
    private func parse(_ hex: String) throws -> [RTCPPacket] { try [UInt8](hex: hex).view { try RTCP.parse($0) } }

    /// Reads `hex` as exactly `packet` and writes it the same.
    private func check(_ hex: String, _ packet: RTCPPacket) throws {
        #expect(try parse(hex) == [packet])
        #expect(RTCP.serialize([packet]) == [UInt8](hex: hex))
    }

    @Test("a sender report with a block is read and written as RFC 3550 draws it")
    func senderReport() throws {
        try check(
            """
            81 c8 000c 11223344 e1e2e3e4e5e6e7e8 0000a000 00000064 00002710
            55667788 40 fffffe 00010005 00000020 e3e4e5e6 00018000
            """,
            .senderReport(
                SenderReport(
                    senderSSRC: 0x1122_3344, ntpTimestamp: 0xe1e2_e3e4_e5e6_e7e8, rtpTimestamp: 0xa000, packetCount: 100,
                    octetCount: 10_000,
                    reports: [
                        ReportBlock(
                            ssrc: 0x5566_7788, fractionLost: 64, cumulativeLost: -2, highestSequence: 0x10005, jitter: 32,
                            lastSR: 0xe3e4_e5e6, delaySinceLastSR: 0x18000)
                    ])))
    }

    @Test("a kept sender report takes new figures and stays the same packet otherwise")
    func keptReport() {
        var packet = SenderReportPacket(ssrc: 0x1122_3344, cname: "martlet-7")
        for turn in 1...3 as ClosedRange<UInt32> {
            let report = SenderReport(
                senderSSRC: 0x1122_3344, ntpTimestamp: UInt64(turn) << 33 | 5, rtpTimestamp: turn &* 0x5555_5555, packetCount: turn, octetCount: .max - turn)
            packet.update(report)
            let long = RTCP.serialize([.senderReport(report), .sourceDescription(SourceDescription(ssrc: report.senderSSRC, cname: "martlet-7"))])
            #expect(packet.bytes == long)
        }
    }

    @Test("a request for many packets is cut into ones that fit a datagram, and asks for the same in all")
    func splitNACK() throws {
        let scattered = (0..<512).map { UInt16($0 &* 97) }
        let nack = NACK(senderSSRC: 1, mediaSSRC: 2, sequenceNumbers: scattered)
        let parts = nack.split()
        #expect(parts.count > 1 && parts.flatMap(\.sequenceNumbers) == scattered)
        #expect(parts.allSatisfy { RTCP.serialize([.receiverReport(ReceiverReport(senderSSRC: 1, reports: [])), .nack($0)]).count <= 1108 })
        // Numbers in a row need few entries, however many they are.
        #expect(NACK(senderSSRC: 1, mediaSSRC: 2, sequenceNumbers: (0..<512).map { UInt16($0) }).split().count == 1)
        #expect(NACK(senderSSRC: 1, mediaSSRC: 2, sequenceNumbers: [65_535, 0, 1]).split(maximumLength: 16).count == 1)
        #expect(NACK(senderSSRC: 1, mediaSSRC: 2, sequenceNumbers: [1, 100, 200]).split(maximumLength: 20).map(\.sequenceNumbers) == [[1, 100], [200]])
    }

    @Test("a reference time and its answer are read and written as RFC 3611 draws them")
    func roundTripReports() throws {
        try check("80 cf 0004 00000001 04 00 0002 1122334455667788", .extendedReport(.referenceTime(senderSSRC: 1, ntp: 0x1122_3344_5566_7788)))
        let reference = ExtendedReport.referenceTime(senderSSRC: 1, ntp: 0x1122_3344_5566_7788)
        #expect(reference.referenceTime == 0x1122_3344_5566_7788)
        let answer = ExtendedReport.answer(senderSSRC: 9, to: 1, referenceTime: 0x1122_3344_5566_7788)
        #expect(answer.answer(to: 1)?.reference == 0x3344_5566 && answer.answer(to: 1)?.delay == .zero)
        #expect(answer.answer(to: 2) == nil && reference.answer(to: 1) == nil && answer.referenceTime == nil)
        let late = ExtendedReport(senderSSRC: 9, blocks: [UInt8](hex: "04000002 0000000000000000 05000003 00000001 33445566 ffffffff"))
        #expect(late.answer(to: 1)?.delay == .nanoseconds(65_535_999_984_741))
    }

    @Test("blocks of extended reports that are cut off, empty or too long are left alone", arguments: [
        "", "05000003", "05000001 00000001", "05ffffff 00000001", "05000000", "04000001 00000001", "040000", "ff000000 05000003 00000001",
    ])
    func oddExtendedReports(hex: String) {
        let report = ExtendedReport(senderSSRC: 1, blocks: [UInt8](hex: hex))
        #expect(report.answer(to: 1) == nil && report.referenceTime == nil)
    }

    @Test("an empty receiver report is eight bytes")
    func receiverReport() throws {
        try check("80 c9 0001 00000001", .receiverReport(ReceiverReport(senderSSRC: 1, reports: [])))
    }

    @Test("a source description ends its items with zeros up to a word")
    func sourceDescription() throws {
        try check("81 ca 0003 00000001 01 04 61626364 0000", .sourceDescription(SourceDescription(ssrc: 1, cname: "abcd")))
        // Exactly full: a whole word of zeros follows.
        try check("81 ca 0004 00000001 01 06 616263646566 00000000", .sourceDescription(SourceDescription(ssrc: 1, cname: "abcdef")))
    }

    @Test("a goodbye is read with and without a reason")
    func goodbye() throws {
        try check("81 cb 0001 00000001", .goodbye(Goodbye(ssrcs: [1])))
        try check("82 cb 0003 00000001 00000002 03 627965", .goodbye(Goodbye(ssrcs: [1, 2], reason: "bye")))
    }

    @Test("a NACK packs up to 17 packets into one entry, over the wrap as well")
    func nack() throws {
        try check(
            "81 cd 0004 00000001 00000002 fffe 8003 0064 0000",
            .nack(NACK(senderSSRC: 1, mediaSSRC: 2, sequenceNumbers: [0xfffe, 0xffff, 0, 14, 100])))
    }

    @Test("key frame requests are read and written")
    func keyFrameRequests() throws {
        try check("81 ce 0002 00000001 00000002", .pictureLossIndication(senderSSRC: 1, mediaSSRC: 2))
        try check(
            "84 ce 0004 00000001 00000000 00000002 07000000",
            .fullIntraRequest(FullIntraRequest(senderSSRC: 1, entries: [.init(ssrc: 2, sequenceNumber: 7)])))
    }

    @Test("REMB keeps 18 significant bits")
    func remb() throws {
        try check(
            "8f ce 0005 00000001 00000000 52454d42 010bd090 00000002",
            .receiverEstimatedMaximumBitrate(ReceiverEstimatedMaximumBitrate(senderSSRC: 1, bitrate: 1_000_000, ssrcs: [2])))
        // An exponent that shifts everything out of 64 bits.
        let huge = try parse("8f ce 0005 00000001 00000000 52454d42 01ffffff 00000002")
        guard case .receiverEstimatedMaximumBitrate(let estimate) = huge[0] else { return #expect(Bool(false)) }
        #expect(estimate.bitrate == .max)
        // Some other application layer feedback.
        #expect(try parse("8f ce 0003 00000001 00000000 41424344") == [.unknown(type: 206)])
    }

    @Test("transport feedback tells each packet's fate")
    func transportFeedback() throws {
        // Two-bit vector: small, small, absent, large, small.
        try check(
            "8f cd 0006 00000001 00000002 000a 0005 000001 02 d490 04 08 fffc 01 00",
            .transportFeedback(
                TransportFeedback(
                    senderSSRC: 1, mediaSSRC: 2, feedbackCount: 2, referenceTime: 1,
                    packets: [
                        .init(sequenceNumber: 10, arrivalTicks: 260), .init(sequenceNumber: 11, arrivalTicks: 268),
                        .init(sequenceNumber: 12, arrivalTicks: nil), .init(sequenceNumber: 13, arrivalTicks: 264),
                        .init(sequenceNumber: 14, arrivalTicks: 265),
                    ])))
        // Run of three received, one-bit vector of the next (1 0 1 …), as other stacks may mix them.
        let mixed = try parse("8f cd 0007 00000001 00000002 ffff 0006 ffffff 00 2003 a800 01 01 01 01 01 000000")
        guard case .transportFeedback(let feedback) = mixed[0] else { return #expect(Bool(false)) }
        #expect(feedback.referenceTime == -1)
        #expect(feedback.packets.map(\.sequenceNumber) == [0xffff, 0, 1, 2, 3, 4])
        #expect(feedback.packets.map(\.arrivalTicks) == [-255, -254, -253, -252, nil, -251])
    }

    @Test("extended reports pass unread, unknown types are named")
    func opaque() throws {
        try check(
            "80 cf 0003 00000001 04000001 00000000", .extendedReport(ExtendedReport(senderSSRC: 1, blocks: [4, 0, 0, 1, 0, 0, 0, 0])))
        #expect(try parse("80 cc 0002 00000001 61626364") == [.unknown(type: 204)])
    }

    @Test("a compound datagram keeps its order, padding at the end is taken off")
    func compound() throws {
        #expect(
            try parse("80 c9 0001 00000001  81 ca 0003 00000001 0104 61626364 0000  a1 ce 0003 00000001 00000002 00000004")
                == [
                    .receiverReport(ReceiverReport(senderSSRC: 1, reports: [])),
                    .sourceDescription(SourceDescription(ssrc: 1, cname: "abcd")),
                    .pictureLossIndication(senderSSRC: 1, mediaSSRC: 2),
                ])
    }

    @Test("contradictions are refused", arguments: [
        "", "80 c9 00", "40 c9 0001 00000001", "80 c9 0002 00000001",  // header
        "a0 c9 0001 00000001", "a0 c9 0001 00000009",  // padding
        "81 c9 0001 00000001", "80 c8 0001 00000001",  // report blocks, sender info missing
        "81 ca 0002 00000001 01ff6162", "82 cb 0001 00000001", "81 cb 0002 00000001 ff616263",
        "81 ce 0001 00000001", "84 ce 0001 00000001",
        "8f ce 0004 00000001 00000000 52454d42 020bd090",
        "8f cd 0004 00000001 00000002 000a 0005 000001 02",  // no chunks
        "8f cd 0005 00000001 00000002 000a 0005 000001 02 2005 0000",  // deltas missing
        "8f cd 0005 00000001 00000002 000a 0005 000001 02 6005 0000",  // reserved symbol
        "8f cd 0005 00000001 00000002 000a 0005 000001 02 0000 0000",  // runs of nothing
        "8f cd 0005 00000001 00000002 000a 0000 000001 02 0000 0000",  // about no packet
        "8f cd 0005 00000001 00000002 000a ffff 000001 02 1fff 1fff",  // about too many
    ])
    func malformed(hex: String) {
        #expect(throws: RTCPError.self) { try parse(hex) }
    }

    @Test("what one datagram can make us store is bounded")
    func bounds() throws {
        #expect(throws: RTCPError.tooManyPackets) {
            try parse(String(repeating: "80 c9 0001 00000001", count: RTCP.maximumPackets + 1))
        }
        let entries = 16_000
        var nack = [UInt8](hex: "81 cd 0000 00000001 00000002") + [UInt8](repeating: 0xff, count: entries * 4)
        nack[2] = UInt8((entries + 2) >> 8)
        nack[3] = UInt8((entries + 2) & 255)
        guard case .nack(let read) = try nack.view({ try RTCP.parse($0) })[0] else { return #expect(Bool(false)) }
        #expect(read.sequenceNumbers.count < NACK.maximumSequenceNumbers + 17)
    }

    @Test("random and mutated datagrams end in packets or an error, never in a trap", arguments: 1...8 as ClosedRange<UInt64>)
    func fuzz(seed: UInt64) {
        var random = RandomSource.seeded(seed)
        let types: [UInt8] = [200, 201, 202, 203, 204, 205, 206, 207]
        for _ in 0..<3000 {
            let words = Int.random(in: 0...20, using: &random)
            var packet: [UInt8] = [0x80 | UInt8.random(in: 0...63, using: &random), types.randomElement(using: &random) ?? 200, 0, UInt8(words)]
            packet += random.bytes(words * 4)
            if Int.random(in: 0..<3, using: &random) == 0 { packet[0] = [0x81, 0x84, 0x8f].randomElement(using: &random) ?? 0x81 }
            if Int.random(in: 0..<4, using: &random) == 0, packet.count > 20 { packet[14...15] = [0, 30] }
            packet.view { bytes in
                guard let packets = try? RTCP.parse(bytes) else { return }
                // What was understood can be written and understood again.
                let again = RTCP.serialize(packets)
                if !again.isEmpty { #expect(throws: Never.self) { try again.view { try RTCP.parse($0) } } }
            }
        }
    }

    @Test("everything that can be said survives the wire", arguments: 1...10 as ClosedRange<UInt64>)
    func roundTrip(seed: UInt64) throws {
        var random = RandomSource.seeded(seed)
        func u32() -> UInt32 { UInt32.random(in: 0 ... .max, using: &random) }
        for _ in 0..<50 {
            let reports = (0..<Int.random(in: 0...31, using: &random)).map { _ in
                ReportBlock(
                    ssrc: u32(), fractionLost: UInt8.random(in: 0...255, using: &random),
                    cumulativeLost: Int32.random(in: -0x80_0000...0x7f_ffff, using: &random), highestSequence: u32(),
                    jitter: u32(), lastSR: u32(), delaySinceLastSR: u32())
            }
            var time = Int64(100) << 8
            var packets: [TransportFeedback.Packet] = []
            for i in 0..<Int.random(in: 1...300, using: &random) {
                var arrival: Int64?
                if Int.random(in: 0..<4, using: &random) > 0 {
                    time += Int64.random(in: Bool.random(using: &random) ? 0...255 : -3000...32_000, using: &random)
                    arrival = time
                }
                packets.append(.init(sequenceNumber: UInt16(truncatingIfNeeded: 65_500 + i), arrivalTicks: arrival))
            }
            let all: [RTCPPacket] = [
                .senderReport(
                    SenderReport(
                        senderSSRC: u32(), ntpTimestamp: random.next(), rtpTimestamp: u32(), packetCount: u32(),
                        octetCount: u32(), reports: reports)),
                .receiverReport(ReceiverReport(senderSSRC: u32(), reports: reports)),
                .sourceDescription(
                    SourceDescription(chunks: (0..<3).map { i in
                        .init(ssrc: u32(), items: [
                            .init(type: 1, text: random.iceCharacters(i * 5)), .init(type: 6, text: "martlet"),
                        ])
                    })),
                .nack(
                    NACK(
                        senderSSRC: u32(), mediaSSRC: u32(),
                        sequenceNumbers: (0..<60).map { UInt16(truncatingIfNeeded: 65_530 + $0 * $0) })),
                .transportFeedback(
                    TransportFeedback(
                        senderSSRC: u32(), mediaSSRC: u32(), feedbackCount: 9, referenceTime: 100, packets: packets)),
                .goodbye(Goodbye(ssrcs: [u32(), u32()], reason: random.iceCharacters(20))),
            ]
            #expect(try RTCP.serialize(all).view { try RTCP.parse($0) } == all)
        }
    }
}
