// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing
@testable import MartletServer

struct AudioPaceTests {
    /// A frame of AAC at 48 kHz.
    private let length = TimeSpan(ticks: 1024, clockRate: 48_000)

    private func milliseconds(_ time: TimeSpan) -> MediaTime { MediaTime.zero + .milliseconds(time.nanoseconds / 1_000_000) }

    @Test("whole milliseconds, and times that never lie before those of video, come out where the frames belong")
    func raised() {
        var pace = AudioPace()
        for index in 0..<500 as Range<Int64> {
            let exact = TimeSpan(ticks: index * 1024, clockRate: 48_000)
            // The video message in front of it: 25 frames a second, the newest comes 10 ms before its time.
            let video = TimeSpan.milliseconds((exact.milliseconds + 10) / 40 * 40)
            let found = pace.time(of: milliseconds(max(exact, video)), length: length) - MediaTime.zero
            #expect((found - exact).magnitude <= .milliseconds(index < 2 ? 10 : 1), "\(index): \(found - exact)")
        }
    }

    @Test("audio that is missing moves what follows, at once when much is missing")
    func gaps() {
        for (gap, frames) in [(5 as Int64, 0), (1, 2 * AudioPace.patience)] {
            var pace = AudioPace()
            for index in 0..<200 as Range<Int64> {
                let exact = TimeSpan(ticks: (index < 100 ? index : index + gap) * 1024, clockRate: 48_000)
                let found = pace.time(of: milliseconds(exact), length: length) - MediaTime.zero
                if index < 100 || index >= 100 + Int64(frames) { #expect((found - exact).magnitude <= .milliseconds(2), "\(index): \(found - exact)") }
            }
        }
    }

    @Test("times that stand, run away, fall or wrap pass as far as they are no rounding, and never fall behind them by more", arguments: 0..<20 as Range<UInt64>)
    func noise(seed: UInt64) {
        var random = RandomSource.seeded(seed), pace = AudioPace(), time = MediaTime.zero
        for _ in 0..<2000 {
            time = time + .nanoseconds(Int.random(in: 0..<10, using: &random) == 0 ? Int64.random(in: .min ... .max, using: &random) : Int64.random(in: -50_000_000...50_000_000, using: &random))
            let found = pace.time(of: time, length: .nanoseconds(.random(in: 0...100_000_000, using: &random)))
            #expect((found - time).magnitude <= AudioPace.tolerance)
        }
    }
}
