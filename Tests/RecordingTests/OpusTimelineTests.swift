// SPDX-License-Identifier: Apache-2.0
import Codecs
import Primitives
import RTP
import Testing

@testable import Recording

struct OpusTimelineTests {
    private let packet: [UInt8] = [0xfc, 1, 2, 3]
    private func time(_ samples: Int64) -> TimeSpan { SampleTime.span(of: samples) }

    @Test("packets that follow on lie end to end, whatever a few milliseconds say")
    func contiguous() {
        var timeline = OpusTimeline()
        for index in Int64(0)..<50 {
            let pieces = timeline.lay(packet, at: time(index * 960 + [0, 200, -200][Int(index % 3)]), followsOn: index > 0)
            #expect(pieces == [.init(bytes: packet, position: index * 960, samples: 960)])
        }
    }

    @Test("what is missing becomes silent packets of the same length, to 2.5 ms", arguments: [960 * 5, 960 * 2 + 720, 120, 100] as [Int64])
    func gap(missing: Int64) {
        var timeline = OpusTimeline()
        _ = timeline.lay(packet, at: time(0), followsOn: false)
        let pieces = timeline.lay(packet, at: time(960 + missing), followsOn: false)
        for (piece, next) in zip(pieces, pieces.dropFirst()) { #expect(piece.position + piece.samples == next.position) }
        #expect(pieces.dropLast().allSatisfy { OpusPacket.samples($0.bytes) == $0.samples && $0.bytes[0] & 4 != 0 && $0.bytes.dropFirst() == [0xff, 0xfe] })
        #expect(pieces.last?.bytes == packet && (0..<120).contains(960 + missing - (pieces.last?.position ?? 0)))
    }

    @Test("the first packet is put where it belongs")
    func beginning() {
        var timeline = OpusTimeline()
        #expect(timeline.lay(packet, at: time(1800), followsOn: false).last?.position == 1800)
    }

    @Test("clocks that drift apart cost a packet of 20 ms, or a silent one, now and then", arguments: [0.001, -0.001])
    func drift(rate: Double) {
        var timeline = OpusTimeline(), worst: Int64 = 0, odd = 0
        for index in 0..<5000 {
            let exact = Int64(Double(index * 960) * (1 + rate))
            let pieces = timeline.lay(packet, at: time(exact), followsOn: index > 0)
            odd += pieces.count == 1 ? 0 : 1
            if let last = pieces.last { worst = max(worst, abs(last.position - exact)) }
        }
        #expect((4...5).contains(odd) && worst <= 965, "\(odd) \(worst)")
    }

    @Test("every silence decodes to as much silence")
    func silences() throws {
        for (samples, bytes) in OpusTimeline.silences {
            for first in [bytes[0], bytes[0] | 4] {
                let decoder = try AudioDecoder(.opus, channels: 2)
                let frames = try decoder.decode([first] + bytes.dropFirst(), timestamp: 0)
                #expect(frames.reduce(0) { $0 + Int64($1.sampleCount) } == samples)
                #expect(frames.allSatisfy { $0.samples.allSatisfy { abs($0) < 1e-4 } })
            }
        }
    }

    @Test("what lies in the past is left out, and a malformed packet is nothing")
    func past() {
        var timeline = OpusTimeline()
        _ = timeline.fill(to: time(48_000))
        #expect(timeline.lay(packet, at: time(4800), followsOn: false).isEmpty && timeline.lay([], at: time(48_000), followsOn: false).isEmpty)
    }
}

struct SoundTimelineTests {
    private let piece = [Float](repeating: 0.5, count: 960)
    private func time(_ samples: Double) -> TimeSpan { .nanoseconds(Int64(samples * 1e9 / 48_000)) }

    @Test("drift is stretched away without a gap")
    func drift() {
        var timeline = SoundTimeline(channels: 1)
        var worst: Int64 = 0
        for index in 0..<5000 {
            let start = Double(index) * 960 * 1.0003
            let laid = timeline.lay(piece, at: time(start), missing: 0)
            #expect((950...970).contains(laid.count) && laid.allSatisfy { $0 > 0.49 })
            worst = max(worst, abs(timeline.position - Int64(start) - 960))
        }
        #expect(worst < 240, "\(worst)")
    }

    @Test("what is known to be missing becomes exactly as much silence")
    func missing() {
        var timeline = SoundTimeline(channels: 1)
        _ = timeline.lay(piece, at: .zero, missing: 0)
        let laid = timeline.lay(piece, at: time(960 * 3), missing: 1920)
        #expect(laid.count == 1920 + 960 && laid.prefix(1920).allSatisfy { $0 == 0 } && timeline.position == 960 * 4)
    }

    @Test("a beginning that is late is silence first, one that is early is cut")
    func beginning() {
        var late = SoundTimeline(channels: 2)
        #expect(late.lay(piece, at: time(4800), missing: 0).count == 9600 + 960)
        var early = SoundTimeline(channels: 1)
        #expect(early.lay(piece, at: time(-480), missing: 0).count == 480)
    }
}
