// SPDX-License-Identifier: Apache-2.0
import RTP
import Testing

struct PacketSplitterTests {
    private func packet(_ sequence: UInt16, _ payload: [UInt8], marker: Bool = false, timestamp: UInt32 = 9000) -> [UInt8] {
        Samples.rtp(sequence: sequence, timestamp: timestamp, marker: marker, payload: payload)
    }

    private func unit(_ header: [UInt8], _ length: Int) -> [UInt8] {
        header + (0..<length - header.count).map { UInt8(truncatingIfNeeded: $0 &* 31 | 0x80) }
    }

    /// Units behind their lengths.
    private func aggregated(_ units: [[UInt8]]) -> [UInt8] {
        units.flatMap { (unit: [UInt8]) -> [UInt8] in [UInt8(unit.count >> 8), UInt8(unit.count & 0xff)] + unit }
    }

    private struct Seen: Equatable {
        var sequence: UInt16, timestamp: UInt32, marker: Bool, payload: [UInt8]
    }

    private func seen(_ packets: [[UInt8]]) -> [Seen] {
        packets.compactMap { packet in
            packet.withUnsafeBytes { bytes in
                RTPView(bytes).map { Seen(sequence: $0.sequenceNumber, timestamp: $0.timestamp, marker: $0.marker, payload: Array($0.payload)) }
            }
        }
    }

    /// What a decoder gets of them.
    private func frame(_ packets: [[UInt8]]) -> EncodedFrame? {
        var depacketizer = H264Depacketizer(), frame: EncodedFrame?
        for one in seen(packets) {
            one.payload.withUnsafeBytes { payload in
                frame = depacketizer.push(payload: payload, marker: one.marker, timestamp: one.timestamp, lost: false) ?? frame
            }
        }
        return frame
    }

    @Test("units, aggregates and fragments of H.264 of any length come out short, with numbers that follow each other and one marker")
    func h264() throws {
        let sps = unit([0x67], 20), pps = unit([0x68], 2), picture = unit([0x65], 40_000)
        let aggregate: [UInt8] = [0x78] + aggregated([sps, pps, picture])
        let halves: [[UInt8]] = [[0x7c, 0x85] + Array(picture[1..<20_000]), [0x7c, 0x45] + Array(picture[20_000...])]
        let whole: [UInt8] = [sps, pps, picture].flatMap { (unit: [UInt8]) -> [UInt8] in [0, 0, 0, 1] + unit }
        let all: [[[UInt8]]] = [[sps, pps, picture], [aggregate], [sps, pps] + halves]
        for payloads in all {
            var splitter = PacketSplitter(codec: .h264)
            let out = payloads.enumerated().flatMap { index, payload in
                splitter.take(packet(65_530 &+ UInt16(index), payload, marker: index == payloads.count - 1))
            }
            let found = seen(out)
            #expect(out.allSatisfy { $0.count <= 12 + PacketSplitter.longestPayload })
            #expect(found.map(\.sequence) == found.indices.map { 65_530 &+ UInt16($0) } && found.map(\.marker) == found.indices.map { $0 == found.count - 1 })
            let decoded = try #require(frame(out))
            #expect(decoded.isComplete && decoded.isKeyFrame && decoded.bytes == whole)
            // Numbers go on behind it.
            let next = seen(splitter.take(packet(65_530 &+ UInt16(payloads.count), [0x41, 0x9a, 1])))
            #expect(next.map(\.sequence) == [65_530 &+ UInt16(found.count)])
        }
    }

    @Test("units, aggregates and fragments of H.265 come out short as well")
    func h265() {
        let sps = unit([0x42, 1], 30), picture = unit([0x26, 1], 3_000)
        let aggregate: [UInt8] = [0x60, 1] + aggregated([sps, picture])
        var splitter = PacketSplitter(codec: .h265)
        let one = seen(splitter.take(packet(1, picture, marker: true)))
        #expect(one.map { Array($0.payload[0..<3]) } == [[0x62, 1, 0x93], [0x62, 1, 0x13], [0x62, 1, 0x53]])
        #expect(one.flatMap { Array($0.payload[3...]) } == Array(picture[2...]) && one.map(\.marker) == [false, false, true])
        let both = seen(splitter.take(packet(2, aggregate)))
        #expect(both.first?.payload == sps && both.map(\.sequence) == [4, 5, 6, 7] && both.dropFirst().flatMap { Array($0.payload[3...]) } == Array(picture[2...]))
        // In the middle of a unit there is neither a beginning nor an end.
        let middle = seen(splitter.take(packet(3, [0x62, 1, 0x13] + picture)))
        #expect(middle.allSatisfy { $0.payload[2] == 0x13 } && middle.flatMap { Array($0.payload[3...]) } == picture)
    }

    @Test("frames of AAC in one packet come out each with its time, and one that is too long in pieces")
    func aac() {
        let frames = [unit([1], 700), unit([2], 700), unit([3], 4_000)]
        let heads = frames.flatMap { (frame: [UInt8]) -> [UInt8] in [UInt8(frame.count >> 5), UInt8(frame.count << 3 & 0xff)] }
        let payload: [UInt8] = [0, 48] + heads + frames.flatMap { $0 }
        var splitter = PacketSplitter(codec: .aac), depacketizer = AACDepacketizer()
        let out = seen(splitter.take(packet(5, payload, marker: true)))
        let back = out.flatMap { one in
            one.payload.withUnsafeBytes { depacketizer.push(payload: $0, marker: one.marker, timestamp: one.timestamp, lost: false) }
        }
        #expect(out.allSatisfy { $0.payload.count <= PacketSplitter.longestPayload } && out.map(\.sequence) == [5, 6, 7, 8, 9, 10])
        #expect(back.map(\.bytes) == frames && back.map(\.timestamp) == [9000, 10_024, 11_048])
    }

    @Test("long packets of G.711 come out in pieces with their times")
    func samples() {
        var splitter = PacketSplitter(codec: .pcmu)
        let sound = unit([1], 3_000), out = seen(splitter.take(packet(5, sound)))
        #expect(out.flatMap(\.payload) == sound && out.map(\.timestamp) == [9000, 10_000, 11_000])
    }

    @Test("what is missing in front is missing behind, and what comes late goes where it belongs")
    func losses() {
        var splitter = PacketSplitter(codec: .h264)
        let small: [UInt8] = [0x41, 0x9a, 1], large = unit([0x41], 2_000)
        func numbers(_ sequence: UInt16, _ payload: [UInt8]) -> [UInt16] { seen(splitter.take(packet(sequence, payload))).map(\.sequence) }
        #expect(numbers(10, small) == [10] && numbers(12, large) == [12, 13] && numbers(15, large) == [16, 17] && numbers(16, small) == [18])
        #expect(numbers(11, small) == [11] && numbers(13, small) == [14] && numbers(14, small) == [15])
        // Twice the same has the same number; a late one that would become several stays one.
        #expect(numbers(16, small) == [18] && numbers(13, large) == [14])
        // A source that begins anew.
        #expect(numbers(60_000, large) == [60_002, 60_003] && numbers(60_001, small) == [60_004])
    }

    @Test("what is short, or can't be cut, is given back as it is")
    func untouched() {
        let short = packet(7, unit([0x41], 1_400), marker: true)
        var splitter = PacketSplitter(codec: .h264), other = PacketSplitter(codec: .vp8)
        #expect(splitter.take(short) == [short])
        let long = packet(8, unit([0x10], 5_000))
        #expect(other.take(long) == [long])
        // An aggregate whose lengths don't fit, and types that nobody sends.
        for bad in [unit([0x78, 0xff, 0xff], 5_000), unit([0x7d], 5_000), unit([0x60], 5_000)] {
            let broken = packet(9, bad)
            #expect(splitter.take(broken) == [broken])
        }
        #expect(splitter.take([1, 2, 3]) == [[1, 2, 3]])
    }

    @Test("no packet stops it", arguments: CodecKind.allCases)
    func anything(codec: CodecKind) {
        var splitter = PacketSplitter(codec: codec), random = SystemRandomNumberGenerator()
        for _ in 0..<300 {
            var bytes = (0..<Int.random(in: 0...4_000, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
            if !bytes.isEmpty { bytes[0] = 0x80 | bytes[0] & 0x31 }
            let out = splitter.take(bytes)
            #expect(!out.isEmpty)
        }
    }
}
