import Codecs
import Testing

@testable import Recording

struct OpusTimelineTests {
    private let packet: [UInt8] = [0xfc, 1, 2, 3]
    private func time(_ samples: Int64) -> Int64 { 1_000 + samples * 1_000_000_000 / 48_000 }

    @Test("packets that follow on lie end to end, whatever a few milliseconds say")
    func contiguous() {
        var timeline = OpusTimeline(origin: 1_000)
        for index in Int64(0)..<50 {
            let pieces = timeline.lay(packet, at: time(index * 960 + [0, 200, -200][Int(index % 3)]))
            #expect(pieces == [.init(bytes: packet, position: index * 960, samples: 960)])
        }
    }

    @Test("what is missing becomes silent packets")
    func gap() {
        var timeline = OpusTimeline(origin: 1_000)
        _ = timeline.lay(packet, at: time(0))
        let pieces = timeline.lay(packet, at: time(960 * 6))
        #expect(pieces.map(\.position) == [960, 1920, 2880, 3840, 4800, 5760])
        #expect(pieces.dropLast().allSatisfy { $0.bytes == OpusTimeline.silence[1] } && pieces.last?.bytes == packet)
    }

    @Test("what lies in the past is left out, and a malformed packet is nothing")
    func past() {
        var timeline = OpusTimeline(origin: 1_000)
        _ = timeline.fill(to: time(48_000))
        #expect(timeline.lay(packet, at: time(4800)).isEmpty && timeline.lay([], at: time(48_000)).isEmpty)
    }
}

struct SoundTimelineTests {
    private let piece = [Float](repeating: 0.5, count: 960)
    private func time(_ samples: Double) -> Int64 { Int64(samples * 1e9 / 48_000) }

    @Test("drift is stretched away without a gap")
    func drift() {
        var timeline = SoundTimeline(channels: 1, origin: 0)
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
        var timeline = SoundTimeline(channels: 1, origin: 0)
        _ = timeline.lay(piece, at: 0, missing: 0)
        let laid = timeline.lay(piece, at: time(960 * 3), missing: 1920)
        #expect(laid.count == 1920 + 960 && laid.prefix(1920).allSatisfy { $0 == 0 } && timeline.position == 960 * 4)
    }

    @Test("a beginning that is late is silence first, one that is early is cut")
    func beginning() {
        var late = SoundTimeline(channels: 2, origin: 0)
        #expect(late.lay(piece, at: time(4800), missing: 0).count == 9600 + 960)
        var early = SoundTimeline(channels: 1, origin: time(480))
        #expect(early.lay(piece, at: 0, missing: 0).count == 480)
    }
}
