// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing

@testable import MediaTools

@Suite("Rate meter")
struct RateMeterTests {
    @Test("a steady flow has its rate, from early on, and none two seconds after it ends")
    func steady() {
        var meter = RateMeter()
        var now = Instant(milliseconds: 1_763_707_500_017)
        for index in 1...300 {
            meter.add(1, at: now)
            now = now.advanced(byMilliseconds: 10)
            if index >= 30 { #expect(abs(meter.rate(at: now) - 100) < 10, "after \(index * 10) ms") }
        }
        #expect(meter.rate(at: now.advanced(byMilliseconds: 1000)) < 60)
        #expect(meter.rate(at: now.advanced(byMilliseconds: 2100)) == 0)
    }

    @Test("percentiles are nearest ranks")
    func percentiles() {
        #expect(Percentile.of([], 0.5) == nil)
        #expect(Percentile.of([3, 1, 2], 0.5) == 2)
        #expect(Percentile.of((1...100).map(Double.init), 0.95) == 95)
        #expect(Percentile.of([7], 1) == 7)
    }
}
