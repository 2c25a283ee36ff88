// SPDX-License-Identifier: Apache-2.0
import Primitives
import RTP
import Testing

@Suite struct FrameAssemblerTests {
    private func at(_ ms: Int64) -> Instant { Instant(milliseconds: ms) }

    private func push(_ assembler: inout FrameAssembler, _ packet: [UInt8], at now: Instant = .zero) -> [EncodedFrame] {
        packet.view { bytes in RTPView(bytes).map { assembler.push($0, at: now) } ?? [] }
    }

    /// Packets of `count` VP8 frames, the first a key frame.
    private func stream(frames count: Int, codec: CodecKind = .vp8, random: inout RandomSource) -> (packets: [[UInt8]], frames: [[UInt8]]) {
        var packetizer = VP8Packetizer(maximumPayload: 200)
        var sequence: UInt16 = 65_500
        var packets: [[UInt8]] = []
        var frames: [[UInt8]] = []
        for i in 0..<count {
            let frame = [i == 0 ? 0x10 : 0x11] + random.bytes(Int.random(in: 10...1500, using: &random))
            frames.append(frame)
            let payloads = frame.view { packetizer.packetize($0) }
            for (k, payload) in payloads.enumerated() {
                packets.append(
                    Samples.rtp(sequence: sequence, timestamp: UInt32(i) * 3000, marker: k == payloads.count - 1, payload: payload))
                sequence &+= 1
            }
        }
        return (packets, frames)
    }

    @Test("packets shuffled within the window and repeated give the frames in order", arguments: 1...10 as ClosedRange<UInt64>)
    func reordering(seed: UInt64) throws {
        var random = RandomSource.seeded(seed)
        let (packets, frames) = stream(frames: 100, random: &random)
        var assembler = try #require(FrameAssembler(codec: .vp8))
        // The first packet tells where the stream begins; the others move by up to ten places.
        let order = [0] + packets.indices.dropFirst().map { ($0, $0 + Int.random(in: 0...10, using: &random)) }
            .sorted { ($0.1, $0.0) < ($1.1, $1.0) }.map(\.0)
        var out: [EncodedFrame] = []
        for i in order {
            out += push(&assembler, packets[i])
            if Bool.random(using: &random) { out += push(&assembler, packets[i]) }
        }
        #expect(out.map(\.bytes) == frames)
        #expect(out.allSatisfy { $0.isComplete && !$0.followsLoss })
        #expect(assembler.lostPackets == 0)
        #expect(assembler.nextDeadline == nil)
    }

    @Test("a packet that never comes is waited for, then its frame is marked and the stream goes on")
    func loss() throws {
        var random = RandomSource.seeded(1)
        let (packets, frames) = stream(frames: 6, random: &random)
        var assembler = try #require(FrameAssembler(codec: .vp8, patience: .milliseconds(100)))
        // Loses the last packet of frame 2.
        let starts = packets.indices.filter { i in packets[i].view { RTPView($0)?.marker ?? false } }
        var out: [EncodedFrame] = []
        for i in packets.indices where i != starts[2] { out += push(&assembler, packets[i], at: at(10)) }
        #expect(out.count == 2)
        #expect(assembler.nextDeadline == at(110))
        #expect(assembler.advance(to: at(109)).isEmpty)
        out += assembler.advance(to: at(110))
        #expect(out.filter(\.isComplete).map(\.bytes) == [0, 1, 3, 4, 5].map { frames[$0] })
        #expect(out.first { $0.timestamp == 9000 }?.followsLoss == true)
        #expect(out.first { $0.timestamp == 12_000 }?.followsLoss == false)
        #expect(assembler.lostPackets == 1)
        #expect(assembler.nextDeadline == nil)
    }

    @Test("under random loss no damaged frame is called complete", arguments: [CodecKind.vp8, .h264, .vp9, .av1])
    func randomLoss(codec: CodecKind) throws {
        for seed in 1...3 as ClosedRange<UInt64> {
            var random = RandomSource.seeded(seed)
            var packetizer = try #require(FramePacketizer(codec: codec, maximumPayload: 150))
            var assembler = try #require(FrameAssembler(codec: codec, maximumPackets: 64))
            var sent: [UInt32: [UInt8]] = [:]
            var sequence: UInt16 = 1
            var out: [EncodedFrame] = []
            for i in 0..<300 {
                let body = random.bytes(Int.random(in: 1...900, using: &random)).map { $0 | 1 }
                let frame: [UInt8] =
                    switch codec {
                    case .h264: [0, 0, 0, 1, 0x41, 0x9a] + body
                    case .av1: [0x12, 0, 0x32, UInt8((body.count + 1) & 0x7f) | 0x80, UInt8((body.count + 1) >> 7), 0x30] + body
                    case .vp9: [0x86] + body
                    default: [0x11] + body
                    }
                sent[UInt32(i)] = frame
                let payloads = frame.view { packetizer.packetize($0) }
                for (k, payload) in payloads.enumerated() {
                    if i == 0 || Int.random(in: 0..<20, using: &random) > 0 {
                        out += push(&assembler, Samples.rtp(sequence: sequence, timestamp: UInt32(i), marker: k == payloads.count - 1, payload: payload))
                    }
                    sequence &+= 1
                }
            }
            out += assembler.finish()
            let complete = out.filter(\.isComplete)
            #expect(complete.allSatisfy { canonical($0.bytes, codec) == canonical(sent[$0.timestamp] ?? [], codec) })
            #expect(complete.count > 100 && complete.count < 300)
            #expect(zip(out, out.dropFirst()).allSatisfy { $0.timestamp < $1.timestamp })
        }
    }

    /// AV1 sizes may be written in more bytes than needed; what comes out has the shortest form.
    private func canonical(_ frame: [UInt8], _ codec: CodecKind) -> [UInt8] {
        guard codec == .av1, frame.count > 4, frame[3] & 0x80 != 0, frame[4] == 0 else { return frame }
        return Array(frame[..<3]) + [frame[3] & 0x7f] + Array(frame[5...])
    }

    @Test("a sender that sets no marker is understood by its timestamps")
    func noMarker() throws {
        var assembler = try #require(FrameAssembler(codec: .h264))
        var out: [EncodedFrame] = []
        for i in 0..<3 as Range<UInt16> {
            out += push(&assembler, Samples.rtp(sequence: i, timestamp: UInt32(i) * 3000, payload: [0x65, 0x88, UInt8(i)]))
        }
        out += assembler.finish()
        #expect(out.map(\.bytes) == (0..<3).map { [0, 0, 0, 1, 0x65, 0x88, UInt8($0)] })
        #expect(out.map(\.isComplete) == [true, true, false])
    }

    @Test("fragments whose last has no end bit, or whose timestamps differ by a tick, are one unit as long as none is missing", arguments: [false, true])
    func looseFragments(isLossy: Bool) throws {
        var assembler = try #require(FrameAssembler(codec: .h264))
        var out: [EncodedFrame] = []
        for picture in 0..<4 as Range<UInt16> {
            for part in 0..<3 as Range<UInt16> where !(isLossy && picture == 2 && part == 1) {
                let payload: [UInt8] = [0x7c, part == 0 ? 0x85 : 0x05, 0x80 | UInt8(picture), UInt8(part)]
                out += push(&assembler, Samples.rtp(
                    sequence: picture * 3 + part, timestamp: UInt32(picture) * 3000 + UInt32(part), marker: part == 2, payload: payload))
            }
        }
        out += assembler.finish()
        let whole = (0..<4 as Range<UInt8>).map { (number: UInt8) -> [UInt8] in
            let mark: UInt8 = 0x80 | number
            return [0, 0, 0, 1, 0x65, mark, 0, mark, 1, mark, 2]
        }
        #expect(out.filter(\.isComplete).map(\.bytes) == (isLossy ? [whole[0], whole[1], whole[3]] : whole))
        #expect(out.filter(\.isComplete).map(\.timestamp) == (isLossy ? [0, 3000, 9000] : [0, 3000, 6000, 9000]))
    }

    @Test("pictures of several slices whose fragments have no end bits are whole", arguments: [false, true])
    func looseSlices(isLossy: Bool) throws {
        var assembler = try #require(FrameAssembler(codec: .h264))
        var out: [EncodedFrame] = []
        let payloads: [[UInt8]] = [[0x7c, 0x85, 0x88], [0x7c, 0x05, 1], [0x7c, 0x85, 0x44], [0x7c, 0x05, 2], [0x65, 0x33, 3]]
        for picture in 0..<4 as Range<UInt16> {
            for (part, payload) in payloads.enumerated() where !(isLossy && picture == 1 && part == 1) {
                out += push(&assembler, Samples.rtp(
                    sequence: picture * 5 + UInt16(part), timestamp: UInt32(picture) * 3000, marker: part == 4 && picture < 2, payload: payload))
            }
        }
        out += assembler.finish()
        let whole = [0, 0, 0, 1, 0x65, 0x88, 1, 0, 0, 0, 1, 0x65, 0x44, 2, 0, 0, 0, 1, 0x65, 0x33, 3] as [UInt8]
        #expect(out.filter(\.isComplete).map(\.timestamp) == (isLossy ? [0, 6000] : [0, 3000, 6000]))
        #expect(out.filter(\.isComplete).allSatisfy { $0.bytes == whole })
    }

    @Test("packets that only pad belong to no frame")
    func padding() throws {
        var assembler = try #require(FrameAssembler(codec: .opus))
        var padded = Samples.rtp(sequence: 2, payload: [0, 0, 0, 4])
        padded[0] |= 0x20
        var out = push(&assembler, Samples.rtp(sequence: 1, payload: [1]))
        out += push(&assembler, padded)
        out += push(&assembler, Samples.rtp(sequence: 3, payload: [3]))
        #expect(out.map(\.bytes) == [[1], [3]])
        #expect(!out[1].followsLoss)
    }

    @Test("a new SSRC or numbers that begin anew don't stop the stream")
    func restarts() throws {
        var assembler = try #require(FrameAssembler(codec: .opus))
        var out = push(&assembler, Samples.rtp(sequence: 30_000, payload: [1]))
        out += push(&assembler, Samples.rtp(sequence: 5, ssrc: 2, payload: [2]))
        #expect(out.map(\.bytes) == [[1], [2]])
        var revived = try #require(FrameAssembler(codec: .opus))
        _ = push(&revived, Samples.rtp(sequence: 30_000, payload: [1]))
        let after = (0..<100 as Range<UInt16>).flatMap { push(&revived, Samples.rtp(sequence: 5 + $0, payload: [2])) }
        #expect(after.count > 30)
    }

    @Test("hostile packets neither trap nor pile up", arguments: CodecKind.allCases)
    func fuzz(codec: CodecKind) {
        guard var assembler = FrameAssembler(codec: codec, maximumPackets: 64) else { return }
        var random = RandomSource.seeded(UInt64(codec.rawValue) + 1)
        var now: Int64 = 0
        var sequence: UInt16 = 0
        for _ in 0..<4000 {
            now += Int64.random(in: 0...5, using: &random)
            sequence &+= Int.random(in: 0..<50, using: &random) == 0 ? UInt16.random(in: 0...65_535, using: &random) : UInt16.random(in: 0...3, using: &random)
            var payload = random.bytes(Int.random(in: 0...30, using: &random))
            if codec == .h264, !payload.isEmpty, Bool.random(using: &random) { payload[0] = [0x78, 0x7c, 0x65, 0x41].randomElement(using: &random) ?? 0 }
            if codec == .av1, !payload.isEmpty, Bool.random(using: &random) { payload[0] &= 0xf8 }
            for frame in push(
                &assembler,
                Samples.rtp(
                    sequence: sequence, timestamp: UInt32.random(in: 0...3, using: &random), marker: Int.random(in: 0..<5, using: &random) == 0,
                    payload: payload), at: at(now))
            { #expect(!frame.bytes.isEmpty) }
        }
        _ = assembler.finish()
        #expect(assembler.nextDeadline == nil)
    }
}
