// SPDX-License-Identifier: Apache-2.0
// A sum over the last seconds. Owned by a play engine.
import Primitives

/// Adds up amounts over a sliding window of buckets; bounded, no clock of its own.
struct RateMeter {
    private static let bucket = TimeSpan.milliseconds(100)
    private static let bucketCount = 20
    private var buckets = [Double](repeating: 0, count: bucketCount)
    private var newest: Int64?
    private var first: Int64 = 0

    /// Adds `amount` at `now`; times before the newest bucket count into the newest.
    mutating func add(_ amount: Double, at now: Instant) {
        move(to: now)
        guard let newest else { return }
        buckets[Int(newest % Int64(Self.bucketCount))] += amount
    }

    /// Amount per second over the window that ends `now` (or over the time there has been, if shorter).
    mutating func rate(at now: Instant) -> Double {
        guard newest != nil else { return 0 }
        move(to: now)
        guard let newest else { return 0 }
        // The newest bucket is only partly over; a tenth of a second at least, so that a first packet gives no giant rate.
        let whole = min(Int64(Self.bucketCount), newest - first + 1) - 1
        let part = min(Self.bucket, max(.zero, now.span(since: .zero + Self.bucket * newest)))
        let spanned = max(Self.bucket, Self.bucket * whole + part)
        return buckets.reduce(0, +) / spanned.seconds
    }

    private mutating func move(to now: Instant) {
        let bucket = max(0, now.nanoseconds / Self.bucket.nanoseconds)
        guard let newest else {
            self.newest = bucket
            first = bucket
            return
        }
        guard bucket > newest else { return }
        for passed in 1...min(Int64(Self.bucketCount), bucket - newest) {
            buckets[Int((newest + passed) % Int64(Self.bucketCount))] = 0
        }
        if bucket - newest >= Int64(Self.bucketCount) {
            for index in buckets.indices { buckets[index] = 0 }
        }
        self.newest = bucket
    }
}
