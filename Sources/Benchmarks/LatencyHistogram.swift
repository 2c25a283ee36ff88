// SPDX-License-Identifier: Apache-2.0
// Times in logarithmic buckets: bounded memory for any number of samples, percentiles within 3 %.

/// A histogram of durations in nanoseconds. A plain value; one writer at a time.
public struct LatencyHistogram: Sendable {
    /// 32 buckets to each doubling.
    private static let fine = 5
    private static let buckets = 40 << fine
    private var counts = [UInt64](repeating: 0, count: buckets)
    public private(set) var count: UInt64 = 0
    /// The longest time recorded, ns.
    public private(set) var maximum: Int64 = 0

    public init() {}

    /// Negative times (clocks read in the wrong order) count as zero.
    public mutating func record(_ nanoseconds: Int64) {
        counts[Self.bucket(max(0, nanoseconds))] += 1
        count += 1
        maximum = max(maximum, nanoseconds)
    }

    public mutating func merge(_ other: LatencyHistogram) {
        for i in counts.indices { counts[i] += other.counts[i] }
        count += other.count
        maximum = max(maximum, other.maximum)
    }

    /// The time that `fraction` (0…1) of the samples don't exceed, ns; `nil` without samples.
    public func percentile(_ fraction: Double) -> Double? {
        guard count > 0 else { return nil }
        let wanted = max(1, UInt64((Double(count) * fraction).rounded(.up)))
        var seen: UInt64 = 0
        for (i, n) in counts.enumerated() {
            seen += n
            if seen >= wanted { return min(Self.middle(i), Double(maximum)) }
        }
        return Double(maximum)
    }

    private static func bucket(_ value: Int64) -> Int {
        if value < 1 << fine { return Int(value) }
        let shift = 63 - value.leadingZeroBitCount - fine
        return min(buckets - 1, (shift + 1) << fine | Int(value >> Int64(shift)) & (1 << fine - 1))
    }

    private static func middle(_ bucket: Int) -> Double {
        if bucket < 1 << fine { return Double(bucket) }
        let shift = bucket >> fine - 1
        return (Double((1 << fine) | bucket & (1 << fine - 1)) + 0.5) * Double(1 << shift)
    }
}
