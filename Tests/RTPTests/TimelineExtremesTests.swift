// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing

@testable import RTP

/// Rows of timestamps, reports and arrivals that no clock makes. Seeds replay.
@Suite("Time lines of sources that make no sense") struct TimelineExtremesTests {
    private static func step(_ random: inout RandomSource) -> UInt32 {
        switch Int.random(in: 0..<6, using: &random) {
        case 0: UInt32.random(in: 0...UInt32.max, using: &random)
        case 1: 0x7fff_ffff
        case 2: 0x8000_0000
        case 3: 0xffff_ffff
        case 4: 0
        default: 160
        }
    }

    @Test("a million timestamps that jump trap no counter, at any clock rate", arguments: [Int.min, -1, 0, 1, 8000, 48_000, 90_000, Int.max])
    func ticks(rate: Int) {
        var ticks = MediaTicks(clockRate: rate), ahead = MediaTicks(clockRate: rate, reference: .max), timestamp: UInt32 = 0
        for step in 0..<125_000 {
            timestamp &+= 0x7fff_ffff
            let time = ticks.time(ticks.count(timestamp))
            if step % 1000 == 0 { _ = (time - MediaTime.zero, time.milliseconds, ahead.time(ahead.count(timestamp))) }
        }
        #expect(ticks.last ?? 0 > 1 << 47)
        #expect(ahead.last == 1 << 53)
    }

    @Test("a million random packets and reports trap no time line", arguments: 1...8 as ClosedRange<UInt64>)
    func timeline(seed: UInt64) {
        var random = RandomSource.seeded(seed)
        let rates = [[8000, 90_000], [1, 1], [48_000], [0, Int.max]][Int(seed) % 4]
        var timeline = StreamTimeline(clockRates: rates, weighsArrivals: seed % 2 == 0)
        var timestamps = rates.map { _ in UInt32.random(in: 0...UInt32.max, using: &random) }
        var arrival = Instant(nanoseconds: Int64.random(in: 0...1 << 60, using: &random)), placed = 0
        for number in 0..<125_000 {
            let track = number % rates.count
            timestamps[track] &+= Self.step(&random)
            if number % 500 == 0 { timestamps[track] = UInt32.random(in: 0...UInt32.max, using: &random) }
            switch Int.random(in: 0..<1000, using: &random) {
            case 0: arrival = Instant(nanoseconds: Int64.random(in: .min ... .max, using: &random))
            case 1: arrival = [Instant(nanoseconds: .min), Instant(nanoseconds: .max)][number / 2 % 2]
            case 2: timeline.restart()
            case 3: timeline.settle()
            case 4..<20:
                let ntp = [0, 1, .max, .max / 2, UInt64.random(in: 0...UInt64.max, using: &random)].randomElement(using: &random) ?? 0
                timeline.report(ntp: ntp, timestamp: Bool.random(using: &random) ? timestamps[track] : Self.step(&random), track: track, arrival: arrival)
            default:
                arrival = arrival + .milliseconds(Int64.random(in: -5...40, using: &random))
                timeline.note(timestamps[track], track: track, arrival: arrival)
            }
            if timeline.time(timeline.media(timestamps[track], track: track), track: track) != nil { placed += 1 }
        }
        #expect(placed > 100_000)
    }

    @Test("doubles of any size become spans")
    func doubles() {
        for value in [Double.nan, .infinity, -.infinity, 0x1p63, -0x1p63, 0x1p64, 1e300, -1e300, 0.4, -0.6] { _ = TimeSpan(roundedNanoseconds: value) }
        #expect(TimeSpan(roundedNanoseconds: 0x1p63) == .max && TimeSpan(roundedNanoseconds: -1e300) == .min)
        #expect(TimeSpan(roundedNanoseconds: .nan) == .zero && TimeSpan(roundedNanoseconds: -0.6) == .nanoseconds(-1))
    }
}
