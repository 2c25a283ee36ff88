// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing

@testable import Recording

struct DecodingTimesTests {
    private func picture(_ time: Int64) -> RecordedSample {
        RecordedSample(kind: .picture, time: time, duration: 40_000, isKeyFrame: false, bytes: [])
    }

    private func take(_ times: [Int64], inPieces size: Int, mayReorder: Bool = true) -> [(decoding: Int64, picture: RecordedSample)] {
        var decodingTimes = DecodingTimes(mayReorder: mayReorder), found: [(decoding: Int64, picture: RecordedSample)] = []
        for start in stride(from: 0, to: times.count, by: size) {
            let end = min(start + size, times.count)
            found += decodingTimes.take(times[start..<end].map(picture), isLast: end == times.count)
        }
        return found
    }

    /// Groups of a P picture and three B pictures that refer to each other.
    private static let pyramid = (0..<60 as Range<Int64>).flatMap { group in [4, 2, 1, 3].map { (group * 4 + $0) * 40_000 } }

    @Test("pictures in decoding order stay in it, each decoded before it is shown and behind the one before", arguments: [16, 25, 240])
    func reordered(size: Int) {
        let times = [0] + Self.pyramid, found = take(times, inPieces: size)
        #expect(found.map(\.picture.time) == times)
        for (before, after) in zip(found, found.dropFirst()) { #expect(before.decoding < after.decoding) }
        #expect(found.allSatisfy { $0.decoding <= $0.picture.time })
        for (before, after) in zip(found, found.dropFirst()) { #expect(before.picture.duration == after.decoding - before.decoding) }
    }

    @Test("pictures that are shown as they come are decoded when they are shown, and one is held back", arguments: [true, false])
    func inOrder(mayReorder: Bool) {
        let times = (0..<100 as Range<Int64>).map { $0 * 40_000 }
        var decodingTimes = DecodingTimes(mayReorder: mayReorder)
        for time in times { #expect(decodingTimes.take([picture(time)], isLast: false).map(\.decoding) == (time == 0 ? [] : [time - 40_000])) }
    }

    @Test("at a picture a second, all but the first group are decoded in time")
    func slow() {
        let times = [0] + Self.pyramid.map { $0 * 25 }, found = take(times, inPieces: 1)
        #expect(found.map(\.picture.time) == times && found.dropFirst(5).allSatisfy { $0.decoding <= $0.picture.time })
    }

    @Test("whatever the times are, the order stays", arguments: 1...20 as ClosedRange<UInt64>, [true, false])
    func noise(seed: UInt64, mayReorder: Bool) {
        var random = RandomSource.seeded(seed)
        let times = (0..<500).map { _ in Int64.random(in: 0...100_000_000, using: &random) }
        let found = take(times, inPieces: 20, mayReorder: mayReorder)
        #expect(found.map(\.picture.isKeyFrame) == times.map { _ in false } && found.count == times.count)
        for (before, after) in zip(found, found.dropFirst()) { #expect(before.decoding < after.decoding) }
    }

    @Test("groups that are shown in another order once in a while stay in it", arguments: [1, 20])
    func sparse(inPieces size: Int) {
        // Each second one B picture behind the P picture that it refers to.
        let times = (0..<10 as Range<Int64>).flatMap { second in
            (0..<50 as Range<Int64>).map { place in (second * 50 + (place == 40 ? 41 : place == 41 ? 40 : place)) * 20_000 }
        }
        let found = take(times, inPieces: size)
        #expect(found.map(\.picture.time) == times && found.dropFirst(60).allSatisfy { $0.decoding <= $0.picture.time })
    }

    @Test("a clock that is set back now and then shuffles no pictures", arguments: [60_000, 300_000, 480_000], [1, 20, 240])
    func setBack(by step: Int64, inPieces size: Int) {
        let times = (0..<600 as Range<Int64>).map { $0 * 40_000 - $0 / 60 * step }
        let found = take(times, inPieces: size)
        #expect(found.count == times.count)
        for (before, after) in zip(found, found.dropFirst()) {
            #expect(before.picture.time < after.picture.time && before.decoding < after.decoding && after.decoding <= after.picture.time)
        }
        // As they come, but for those until the clock is where it was.
        let moved = zip(times, found).count { $0 != $1.picture.time }
        #expect(moved <= 9 * Int(step / 40_000 + 1))
    }
}
