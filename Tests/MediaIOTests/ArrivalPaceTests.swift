// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing

@testable import MediaIO

@Suite("Whether packets come as they are made") struct ArrivalPaceTests {
    private var pace = ArrivalPace(), now = Instant(milliseconds: 9000), timestamp: UInt32 = 4_294_960_000

    private mutating func frames(_ count: Int, every milliseconds: Int64, media: UInt32 = 40) -> [Bool] {
        (0..<count).map { _ in
            now += .milliseconds(milliseconds)
            timestamp &+= media * 90
            pace.note(timestamp, clockRate: 90_000, at: now)
            return pace.isLive
        }
    }

    @Test("live pictures are known after a window, at any rate", arguments: [5, 40, 100, 1000] as [Int64])
    mutating func live(every milliseconds: Int64) {
        let seen = frames(100, every: milliseconds, media: UInt32(milliseconds))
        #expect(seen.dropFirst(Int(200 / milliseconds) + 2).allSatisfy { $0 } && !seen[0])
    }

    @Test("the past in front of a live stream is not, in one go or by a slow line, and what comes behind is", arguments: [0, 4, 15] as [Int64])
    mutating func burst(every milliseconds: Int64) {
        #expect(!frames(75, every: milliseconds).contains(true))
        #expect(frames(20, every: 40).suffix(10).allSatisfy { $0 })
    }

    @Test("the first packet of the past behind a pause is not, whatever its timestamp")
    mutating func pause() {
        _ = frames(50, every: 40)
        now += .seconds(5)
        timestamp &+= 3 * 90_000
        #expect(!frames(50, every: 0).contains(true))
    }

    @Test("a clock that never runs as time does is taken as it is after a while")
    mutating func wrongRate() {
        let seen = frames(250, every: 40, media: 120)
        #expect(!seen.prefix(100).contains(true) && seen.suffix(100).allSatisfy { $0 })
    }

    @Test("after a line has stood its packets are not, until they come as they are made")
    mutating func stall() {
        _ = frames(50, every: 40)
        now += .seconds(8)
        #expect(!frames(200, every: 0).contains(true))
        #expect(frames(20, every: 40).suffix(10).allSatisfy { $0 })
    }
}
