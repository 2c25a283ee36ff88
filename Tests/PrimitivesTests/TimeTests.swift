// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing

@Suite("Media time, wall time and spans")
struct TimeTests {
    static let extremes: [Int64] = [.min, .min + 1, -1_000_000_007, -1, 0, 1, 90_000, 1 << 53, .max - 1, .max]

    @Test("no arithmetic on extreme numbers traps, and sums stop at the bounds")
    func saturates() {
        for a in Self.extremes {
            for b in Self.extremes {
                let (x, y) = (TimeSpan(nanoseconds: a), TimeSpan(nanoseconds: b))
                _ = (x + y, x - y, -x, x * b, x.magnitude, x.milliseconds)
                _ = (MediaTime(nanoseconds: a) - MediaTime(nanoseconds: b), MediaTime(nanoseconds: a) + y, MediaTime(milliseconds: a))
                _ = (WallTime(nanoseconds: a) + y, WallTime(nanoseconds: a).ntp)
            }
            for rate in [-1, 0, 1, 8000, 90_000, 1_000_000, Int.max] {
                _ = TimeSpan(ticks: a, clockRate: rate)
                _ = TimeSpan(nanoseconds: a).ticks(clockRate: rate)
            }
        }
        #expect(TimeSpan.max + .nanoseconds(1) == .max)
        #expect(TimeSpan.min - .nanoseconds(1) == .min)
        #expect(-TimeSpan.min == .max)
        #expect(TimeSpan.seconds(.max) == .max)
    }

    @Test("ticks and spans agree both ways", arguments: [8000, 44_100, 48_000, 90_000])
    func ticks(rate: Int) {
        for seconds in [-86_400, -1, 0, 1, 3600, 10_000_000] as [Int64] {
            #expect(TimeSpan(ticks: seconds * Int64(rate), clockRate: rate) == .seconds(seconds))
            #expect(TimeSpan.seconds(seconds).ticks(clockRate: rate) == seconds * Int64(rate))
        }
        #expect(TimeSpan(ticks: 1, clockRate: 90_000).nanoseconds == 11_111)
        #expect(TimeSpan(ticks: -1, clockRate: 90_000).nanoseconds == -11_111)
    }

    @Test("wall time goes to NTP and back within a nanosecond")
    func ntp() {
        for nanoseconds in [0, 1, 999_999_999, 1_700_000_000_123_456_789, -2_208_988_800_000_000_000] as [Int64] {
            let back = WallTime(ntp: WallTime(nanoseconds: nanoseconds).ntp)
            #expect(abs(back.nanoseconds - nanoseconds) <= 1)
        }
        #expect(WallTime(nanoseconds: 0).ntp == UInt64(2_208_988_800) << 32)
        #expect(WallTime(nanoseconds: .min).ntp == 0)
        #expect(WallTime(nanoseconds: .max).ntp == .max)
    }
}
