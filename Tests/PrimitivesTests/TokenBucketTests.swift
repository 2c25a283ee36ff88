// SPDX-License-Identifier: Apache-2.0
// An allowance that fills with time.
import Primitives
import Testing

@Suite("Token bucket")
struct TokenBucketTests {
    private func taken(_ bucket: inout TokenBucket, _ count: Int, at ms: Int64) -> Int {
        (0..<count).count { _ in bucket.take(at: Instant(milliseconds: ms)) }
    }

    @Test("the burst is there at once, then the rate, and what nobody took isn't saved beyond the burst")
    func rates() {
        var bucket = TokenBucket(rate: 10, burst: 5)
        #expect(taken(&bucket, 100, at: 0) == 5)
        #expect(taken(&bucket, 100, at: 50) == 0)
        #expect(taken(&bucket, 100, at: 100) == 1)
        #expect(taken(&bucket, 100, at: 500) == 4)
        #expect(taken(&bucket, 100, at: 3_600_000) == 5)
    }

    @Test("one that is asked all the time gives its rate, not less")
    func steady() {
        var bucket = TokenBucket(rate: 125, burst: 1)
        let taken = (0..<10_000 as Range<Int64>).count { bucket.take(at: Instant(milliseconds: $0)) }
        #expect(taken == 1_250)
    }

    @Test("a clock that stands still or goes back gives nothing")
    func oddClocks() {
        var bucket = TokenBucket(rate: 1_000, burst: 3)
        #expect(taken(&bucket, 10, at: 1_000) == 3)
        #expect(taken(&bucket, 10, at: 1_000) == 0)
        #expect(taken(&bucket, 10, at: 0) == 0)
        #expect(taken(&bucket, 10, at: 1_001) == 1)
        // The ends of time.
        var wide = TokenBucket(rate: 1, burst: 2)
        let late = wide.take(at: .distantFuture), early = wide.take(at: Instant(nanoseconds: .min))
        #expect(late && early)
    }

    @Test("a burst of less than one is one, so that something can be had at all")
    func smallBurst() {
        var bucket = TokenBucket(rate: 0.5, burst: 0)
        #expect(taken(&bucket, 3, at: 0) == 1)
        #expect(taken(&bucket, 3, at: 1_000) == 0)
        #expect(taken(&bucket, 3, at: 2_000) == 1)
    }

    @Test("it is full again when everything taken has come back")
    func fullness() {
        var bucket = TokenBucket(rate: 10, burst: 10)
        #expect(bucket.isFull(at: .zero))
        #expect(taken(&bucket, 4, at: 0) == 4)
        #expect(!bucket.isFull(at: Instant(milliseconds: 399)))
        #expect(bucket.isFull(at: Instant(milliseconds: 400)))
    }
}
