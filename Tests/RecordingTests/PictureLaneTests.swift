// SPDX-License-Identifier: Apache-2.0
import Primitives
import RTP
import Testing

@testable import Recording

@Suite("Pictures of a recording") struct PictureLaneTests {
    private static let sps: [UInt8] = [0x67, 0x42, 0xc0, 0x0d, 0xd9, 0x01, 0xb1, 0xfe, 0x4f], pps: [UInt8] = [0x68, 0xcb, 0x83, 0xcb, 0x20]
    private static let recovery: [UInt8] = [0x06, 0x06, 0x01, 0xc4, 0x80], i: [UInt8] = [0x61, 0xb0, 0x02], b: [UInt8] = [0x41, 0x9a, 0x02]

    @Test("a part that begins in the middle begins without the pictures that lead up to its first one")
    func leadingPictures() throws {
        let lane = try PictureLane(track: 0, codec: .h264, parameterSets: [])
        var timeline = StreamTimeline(clockRates: [90_000], weighsArrivals: false)
        var sequence: UInt16 = 0
        func send(_ place: UInt32, _ units: [UInt8]...) {
            for unit in units {
                sequence += 1
                let timestamp = place * 3600, bytes: [UInt8] =
                    [0x80, unit == units.last ? 0xe0 : 0x60, UInt8(sequence >> 8), UInt8(sequence & 0xff)]
                    + withUnsafeBytes(of: timestamp.bigEndian, Array.init) + [0, 0, 0, 1] + unit
                bytes.withUnsafeBytes { bytes in
                    guard let view = RTPView(bytes) else { return }
                    let arrival = Instant(milliseconds: 1000 + Int64(sequence) * 10)
                    timeline.note(timestamp, track: 0, arrival: arrival)
                    lane.push(view, orientation: 0xff, at: arrival)
                }
            }
        }
        for group in 0..<3 as Range<UInt32> {
            send(group * 6 + 3, Self.sps, Self.pps, Self.recovery, Self.i)
            for place in [1, 2, 6, 4, 5] as [UInt32] { send(group * 6 + place, Self.b) }
        }
        lane.advance(to: Instant(milliseconds: 5000))
        #expect(lane.begin() != nil)
        let second: UInt32 = 9 * 3600
        func places(_ samples: [RecordedSample]) -> [Int64] { samples.map { $0.time / 40_000 } }
        var origin = try #require(lane.firstTime(&timeline))
        var samples = lane.finish(&timeline, origin: origin, before: second, now: Instant(milliseconds: 5000), end: 0)
        #expect(samples.count == 4 && samples[0].isKeyFrame, "of the first group what leads up to its entry is left out")
        #expect(lane.begin() != nil)
        origin = try #require(lane.firstTime(&timeline))
        samples = lane.finish(&timeline, origin: origin, now: Instant(milliseconds: 5000), end: 0)
        #expect(places(samples) == [0, 3, 1, 2, 6, 4, 5, 9, 7, 8], "the second part's first group, and the third group whole")
    }
}
