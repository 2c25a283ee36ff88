// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing

@testable import RTP

struct TrackClockTests {
    private static let start = WallTime(nanoseconds: 1_700_000_000_000_000_000)
    private func wallTime(_ nanoseconds: Int64) -> WallTime { Self.start + .nanoseconds(nanoseconds) }

    @Test("a timestamp is placed by the reports around it, over a wrap, within what their jitter leaves", arguments: [0.0, 0.0003, -0.0005])
    func drift(rate: Double) throws {
        var clock = TrackClock(clockRate: 48_000), random = RandomSource.seeded(7)
        let first = UInt32.max - 100_000
        func timestamp(_ elapsed: Int64) -> UInt32 { first &+ UInt32(truncatingIfNeeded: Int64(Double(elapsed) * (1 + rate) * 48_000 / 1e9)) }
        var worst: Int64 = 0
        for second in 0..<120 {
            let now = Int64(second) * 1_000_000_000
            _ = clock.media(timestamp(now))
            if second % 5 == 0 {
                clock.report(wallTime(now + Int64.random(in: -8_000_000...8_000_000, using: &random)), timestamp: timestamp(now))
            }
            let wall = try #require(clock.wall(clock.media(timestamp(now))))
            if second > 30 { worst = max(worst, abs((wall - Self.start).nanoseconds - now)) }
        }
        #expect(worst < 15_000_000, "\(worst)")
    }

    @Test("one report that is off by a second changes next to nothing")
    func outlier() throws {
        var clock = TrackClock(clockRate: 90_000)
        for second in 0..<20 {
            let now = Int64(second) * 1_000_000_000
            clock.report(wallTime(now + (second == 13 ? 1_000_000_000 : 0)), timestamp: UInt32(second * 90_000))
        }
        let wall = try #require(clock.wall(clock.media(19 * 90_000)))
        #expect(abs((wall - Self.start).nanoseconds - 19_000_000_000) < 1_000_000)
    }
}

struct LeastDelayTests {
    @Test("it jumps to the smallest delay until it is settled, and follows drift only after")
    func settling() {
        var delay = LeastDelay()
        delay.note(.nanoseconds(100), at: Instant(nanoseconds: 0))
        delay.note(.nanoseconds(40), at: Instant(nanoseconds: 1))
        #expect(delay.value == .nanoseconds(40))
        delay.settle()
        delay.note(.nanoseconds(10), at: Instant(nanoseconds: 2))
        #expect(delay.value == .nanoseconds(40))
    }

    @Test("a clock that drifts by 100 ppm is followed within a few milliseconds")
    func drift() throws {
        var delay = LeastDelay(), random = RandomSource.seeded(3)
        delay.note(.zero, at: .zero)
        delay.settle()
        for step in 0..<60_000 {
            let now = Int64(step) * 10_000_000
            delay.note(.nanoseconds(Int64(Double(now) * 0.0001) + Int64.random(in: 0...20_000_000, using: &random)), at: Instant(nanoseconds: now))
        }
        #expect((try #require(delay.value) - .milliseconds(60)).magnitude < .milliseconds(5), "\(delay.value ?? .zero)")
    }
}
