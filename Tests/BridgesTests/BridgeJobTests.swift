// SPDX-License-Identifier: Apache-2.0
import Codecs
import MediaIO
import MediaTools
import Primitives
import RTP
import Synchronization
import Testing

@testable import Bridges
@testable import Workers

/// What a job has given out.
private final class Collected: Sendable {
    private let outputs = Mutex<[BridgeOutput]>([])
    var output: WorkerOutput {
        WorkerOutput { bytes in
            guard let output = try? BridgeOutput(decoding: bytes) else { return }
            self.outputs.withLock { $0.append(output) }
        }
    }
    var frames: [(ticks: Int64, isKeyFrame: Bool)] {
        outputs.withLock { $0.compactMap { if case .frame(let ticks, _, let isKeyFrame, _) = $0 { (ticks, isKeyFrame) } else { nil } } }
    }
}

struct BridgeJobTests {
    private func input(_ packets: [[UInt8]], at arrival: Int64) -> [UInt8] {
        packets.reduce(into: [BridgeInput.tapped]) {
            $0 += TapRecord(track: 0, arrival: Instant(nanoseconds: arrival), content: .packet(orientation: 0xff, audioLevel: 0xff, rtp: $1[...])).encoded
        }
    }

    @Test("sound that has waited for the worker is not given out: what comes begins with the present, in its place")
    func sound() throws {
        let encoder = try AudioEncoder(.init(codec: .aac, sampleRate: 48_000, channels: 2))
        let format = try #require(SourceTrack.aac(config: encoder.extradata).format)
        var random = RandomSource.seeded(1)
        var sender = try #require(RTPFrameSender(codec: .aac, payloadType: 97, random: &random))
        // The worker is ready half a second after the first packet.
        let job = try SoundBridgeJob(BridgeFormats.order(from: format, to: .opus), now: { Instant(milliseconds: 10_500) })
        let collected = Collected()
        var tone = Tone(channels: 2)
        for _ in 0..<100 {
            for packet in try encoder.encode(tone.next(960)) {
                let arrival = 10_000_000_000 + packet.timestamp * 1_000_000_000 / 48_000
                try job.receive(input(sender.packets(frame: packet.bytes, timestamp: UInt32(packet.timestamp)), at: arrival), output: collected.output)
            }
        }
        let ticks = collected.frames.map { $0.ticks - (1 << 32) }
        let first = try #require(ticks.first)
        #expect(first >= 24_000 - 960 && first < 24_000 + 2048, "\(first)")
        #expect(ticks.count > 70)
        #expect(Set(zip(ticks.dropFirst(), ticks).map { $0 - $1 }) == [960])
    }

    @Test("of pictures that have waited for the worker only the newest is given out, as a key frame; all that follow are")
    func pictures() throws {
        let encoder = try VideoEncoder(.init(codec: .vp8, width: 160, height: 120, frameRate: 25))
        let pattern = try TestPattern(width: 160, height: 120)
        let format = try #require(SourceTrack.vp8.format)
        var random = RandomSource.seeded(2)
        var sender = try #require(RTPFrameSender(codec: .vp8, payloadType: 96, random: &random))
        let job = try PictureBridgeJob(BridgeFormats.order(from: format, to: .h264), now: { Instant(milliseconds: 10_500) })
        let collected = Collected()
        var backlog: [UInt8] = [BridgeInput.tapped]
        for index in 0..<25 {
            let frame = try pattern.frame(unixMilliseconds: Int64(index) * 40, timestamp: Int64(index) * 3600)
            for packet in try encoder.encode(frame) {
                let arrival = 10_000_000_000 + Int64(index) * 40_000_000
                let one = input(sender.packets(frame: packet.bytes, timestamp: UInt32(packet.timestamp)), at: arrival)
                if arrival < 10_500_000_000 {
                    backlog += one.dropFirst()
                } else {
                    if !backlog.isEmpty { try job.receive(backlog, output: collected.output) }
                    backlog = []
                    try job.receive(one, output: collected.output)
                }
            }
        }
        let frames = collected.frames
        #expect(frames.first?.isKeyFrame == true)
        #expect(frames.map { ($0.ticks - (1 << 32)) / 3600 } == Array(12...24))
    }
}
