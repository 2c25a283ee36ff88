// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Benchmarks

@Suite("Latency histogram")
struct LatencyHistogramTests {
    @Test("percentiles are within three percent of the truth", arguments: [1, 1_000, 1_000_000, 5_000_000_000] as [Int64])
    func percentiles(scale: Int64) throws {
        var histogram = LatencyHistogram()
        for i in 1...1000 { histogram.record(Int64(i) * scale) }
        for fraction in [0.01, 0.5, 0.99, 0.999] {
            let truth = Double(scale) * (1000 * fraction).rounded(.up)
            let told = try #require(histogram.percentile(fraction))
            #expect(abs(told - truth) <= truth * 0.035 + 1)
        }
        #expect(histogram.maximum == 1000 * scale)
    }

    @Test("no sample, no percentile")
    func empty() { #expect(LatencyHistogram().percentile(0.5) == nil) }

    @Test("two merged histograms tell what one would have")
    func merging() {
        var a = LatencyHistogram(), b = LatencyHistogram(), both = LatencyHistogram()
        for i in 0..<5000 {
            let value = Int64(i * i)
            both.record(value)
            if i % 3 == 0 { a.record(value) } else { b.record(value) }
        }
        a.merge(b)
        #expect(a.count == both.count)
        #expect(a.percentile(0.9) == both.percentile(0.9))
        #expect(a.maximum == both.maximum)
    }

    @Test("a time before zero counts as none, one of days does not overflow")
    func extremes() {
        var histogram = LatencyHistogram()
        histogram.record(-5)
        histogram.record(.max)
        #expect(histogram.count == 2)
        #expect(histogram.percentile(0.5) == 0)
    }
}
