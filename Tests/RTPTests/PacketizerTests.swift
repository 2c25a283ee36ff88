// SPDX-License-Identifier: Apache-2.0
import Primitives
import RTP
import Testing

@Suite struct PacketizerTests {
    /// Sends `frame` through packetiser and assembler of `codec`; the payloads and what came out.
    private func pass(_ frames: [[UInt8]], codec: CodecKind, maximum: Int) throws -> (payloads: [[[UInt8]]], frames: [EncodedFrame]) {
        var packetizer = try #require(FramePacketizer(codec: codec, maximumPayload: maximum))
        var assembler = try #require(FrameAssembler(codec: codec))
        var sequence: UInt16 = 65_000
        var all: [[[UInt8]]] = []
        var out: [EncodedFrame] = []
        for (i, frame) in frames.enumerated() {
            let payloads = frame.view { packetizer.packetize($0) }
            all.append(payloads)
            for (k, payload) in payloads.enumerated() {
                let packet = Samples.rtp(
                    sequence: sequence, timestamp: UInt32(i) * 3000, marker: k == payloads.count - 1, payload: payload)
                sequence &+= 1
                try packet.view { out += assembler.push(try #require(RTPView($0)), at: .zero) }
            }
        }
        return (all, out)
    }

    @Test("H.264 access units of any shape come out as they went in", arguments: 1...12 as ClosedRange<UInt64>)
    func h264(seed: UInt64) throws {
        var random = RandomSource.seeded(seed)
        let maximum = Int.random(in: 100...1400, using: &random)
        let frames = (0..<40).map { i -> [UInt8] in
            var units: [(header: UInt8, length: Int)] = i % 10 == 0 ? [(0x67, 25), (0x68, 6), (0x06, 40)] : []
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                units.append((i % 10 == 0 ? 0x65 : 0x41, Int.random(in: 2...6000, using: &random)))
            }
            return Samples.accessUnit(units, random: &random)
        }
        let (payloads, out) = try pass(frames, codec: .h264, maximum: maximum)
        #expect(out.map(\.bytes) == frames)
        #expect(out.map(\.isKeyFrame) == frames.indices.map { $0 % 10 == 0 })
        #expect(out.allSatisfy { $0.isComplete && !$0.followsLoss })
        #expect(payloads.joined().allSatisfy { $0.count <= maximum })
        for first in stride(from: 0, to: 40, by: 10) {
            #expect(payloads[first][0].view { PayloadInspector.isKeyFrameStart(codec: .h264, payload: $0) })
        }
    }

    @Test("parameter sets travel together, a long slice in fragments of one size")
    func h264Shape() throws {
        var random = RandomSource.seeded(7)
        let frame = Samples.accessUnit([(0x09, 2), (0x67, 25), (0x68, 6), (0x65, 5000)], random: &random)
        let (payloads, out) = try pass([frame], codec: .h264, maximum: 1180)
        #expect(payloads[0][0][0] == 0x78)
        #expect(payloads[0][0].count == 1 + 2 + 25 + 2 + 6)
        let fragments = payloads[0].dropFirst()
        #expect(fragments.count == 5)
        #expect(fragments.allSatisfy { $0[0] == 0x7c })
        #expect(fragments.map { $0[1] } == [0x85, 0x05, 0x05, 0x05, 0x45])
        let sizes = fragments.map(\.count)
        #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= 1)
        // All but the delimiter.
        #expect(out[0].bytes == Array(frame.dropFirst(6)))
    }

    @Test("both lengths of start codes are understood, bytes without any give nothing")
    func annexB() {
        let stream = [UInt8](hex: "ff 000001 6701 00000001 6802 0000 000001 6503")
        let units = stream.view { bytes in AnnexB.units(in: bytes).map { Array(bytes[$0]) } }
        #expect(units == [[0x67, 1], [0x68, 2], [0x65, 3]])
        #expect([UInt8](hex: "65 88 84").view { AnnexB.units(in: $0) }.isEmpty)
        #expect([UInt8](hex: "000001").view { AnnexB.units(in: $0) }.isEmpty)
    }

    @Test("VP8 and VP9 frames come out as they went in, in packets of one size",
          arguments: [CodecKind.vp8, .vp9], 1...6 as ClosedRange<UInt64>)
    func vpx(codec: CodecKind, seed: UInt64) throws {
        var random = RandomSource.seeded(seed)
        let maximum = Int.random(in: 100...1400, using: &random)
        let key = [UInt8](hex: codec == .vp8 ? PayloadInspectorTests.vp8Key : PayloadInspectorTests.vp9Key)
        let delta = [UInt8](hex: codec == .vp8 ? PayloadInspectorTests.vp8Delta : PayloadInspectorTests.vp9Delta)
        let frames = (0..<40).map { (i: Int) -> [UInt8] in
            (i % 8 == 0 ? key : delta) + random.bytes(Int.random(in: 0...9000, using: &random))
        }
        let (payloads, out) = try pass(frames, codec: codec, maximum: maximum)
        #expect(out.map(\.bytes) == frames)
        #expect(out.map(\.isKeyFrame) == frames.indices.map { $0 % 8 == 0 })
        #expect(out.allSatisfy { $0.isComplete })
        for (i, packets) in payloads.enumerated() {
            let sizes = packets.map(\.count)
            #expect((sizes.max() ?? 0) <= maximum)
            #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= 1)
            for (k, packet) in packets.enumerated() {
                packet.view {
                    #expect(PayloadInspector.isFrameStart(codec: codec, payload: $0) == (k == 0))
                    #expect(PayloadInspector.isKeyFrameStart(codec: codec, payload: $0) == (k == 0 && i % 8 == 0))
                }
            }
        }
        #expect(payloads[0][0].view { PayloadInspector.videoSize(codec: codec, payload: $0)?.width } == 426)
    }

    private func obu(_ type: UInt8, _ payload: [UInt8], layer: UInt8? = nil) -> [UInt8] {
        var size: [UInt8] = []
        var rest = payload.count
        repeat {
            size.append(UInt8(rest & 0x7f) | (rest > 0x7f ? 0x80 : 0))
            rest >>= 7
        } while rest > 0
        return [type << 3 | (layer == nil ? 0x02 : 0x06)] + (layer.map { [$0] } ?? []) + size + payload
    }

    @Test("AV1 temporal units come out as they went in", arguments: 1...12 as ClosedRange<UInt64>)
    func av1(seed: UInt64) throws {
        var random = RandomSource.seeded(seed)
        let maximum = Int.random(in: 100...1400, using: &random)
        let frames = (0..<40).map { i -> [UInt8] in
            var unit = obu(2, [])
            if i % 10 == 0 { unit += obu(1, Array([UInt8](hex: PayloadInspectorTests.av1Sequence).dropFirst())) }
            for k in 0..<Int.random(in: 0...5, using: &random) { unit += obu(5, random.bytes(Int.random(in: 1...200, using: &random)), layer: UInt8(k)) }
            unit += obu(6, [i % 10 == 0 ? 0x10 : 0x30] + random.bytes(Int.random(in: 0...9000, using: &random)))
            return unit
        }
        let (payloads, out) = try pass(frames, codec: .av1, maximum: maximum)
        #expect(out.map(\.bytes) == frames)
        #expect(out.map(\.isKeyFrame) == frames.indices.map { $0 % 10 == 0 })
        #expect(out.allSatisfy { $0.isComplete })
        #expect(payloads.joined().allSatisfy { $0.count <= maximum })
        for (i, packets) in payloads.enumerated() {
            let starts = packets.indices.filter { k in
                packets[k].view { PayloadInspector.isKeyFrameStart(codec: .av1, payload: $0) }
            }
            #expect(starts == (i % 10 == 0 ? [0] : []))
        }
    }

    @Test("an AV1 frame of one OBU is cut evenly")
    func av1Shape() throws {
        let frame = obu(2, []) + obu(6, [UInt8](repeating: 0x30, count: 5000))
        let (payloads, _) = try pass([frame], codec: .av1, maximum: 1180)
        let sizes = payloads[0].map(\.count)
        #expect(sizes.count == 5)
        #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= 1)
        #expect(payloads[0].map { $0[0] } == [0x50, 0xd0, 0xd0, 0xd0, 0x90])
    }

    @Test("an audio frame is a packet")
    func audio() throws {
        let (payloads, out) = try pass([[0xfc, 1, 2], [0xfc, 3]], codec: .opus, maximum: 1180)
        #expect(payloads == [[[0xfc, 1, 2]], [[0xfc, 3]]])
        #expect(out.map(\.bytes) == [[0xfc, 1, 2], [0xfc, 3]])
    }

    @Test("nothing to send gives no packets", arguments: CodecKind.allCases)
    func empty(codec: CodecKind) {
        var packetizer = FramePacketizer(codec: codec)
        #expect(packetizer?.packetize(UnsafeRawBufferPointer(start: nil, count: 0)).isEmpty ?? true)
    }

    @Test("audio counted by the byte leaves in pieces of 20 ms where a frame is long, each with its own time", arguments: [CodecKind.pcmu, .pcma, .g722])
    func longAudio(codec: CodecKind) throws {
        var random = RandomSource.seeded(1)
        var sender = try #require(RTPFrameSender(codec: codec, payloadType: 0, random: &random))
        func timesAndLengths(_ packets: [[UInt8]]) -> [[Int]] {
            packets.map { (packet: [UInt8]) -> [Int] in packet.withUnsafeBytes { bytes in RTPView(bytes).map { [Int($0.timestamp), $0.payload.count] } ?? [] } }
        }
        let long = sender.packets(frame: [UInt8](repeating: 7, count: 1000), timestamp: 0xffff_ff60)
        #expect(timesAndLengths(long) == [[0xffff_ff60, 160], [0, 160], [160, 160], [320, 160], [480, 160], [640, 160], [800, 40]])
        let short = sender.packets(frame: [UInt8](repeating: 7, count: 480), timestamp: 840)
        #expect(timesAndLengths(short) == [[840, 480]])
        let numbers = (long + short).map { (packet: [UInt8]) -> UInt16 in UInt16(packet[2]) << 8 | UInt16(packet[3]) }
        #expect(zip(numbers, numbers.dropFirst()).allSatisfy { $1 == $0 &+ 1 })
    }
}
