// SPDX-License-Identifier: Apache-2.0
// How much of what was sent arrives per second. Part of CongestionController.
import Primitives

/// Bytes by arrival time, in buckets of 50 ms over the last second.
struct DeliveredRate: Sendable {
    private static let bucket = TimeSpan.milliseconds(50)
    private static let count: Int64 = 20
    private var bytes = [Int32](repeating: 0, count: Int(count))
    /// Number of the newest bucket; `.min` before the first packet.
    private var newest = Int64.min
    private var first = Int64.min

    mutating func note(_ length: Int, arrival: TimeSpan) {
        let index = arrival.nanoseconds.dividedDown(by: Self.bucket.nanoseconds)
        if newest == .min || index > newest + Self.count * 10 || index < newest - Self.count {
            // The first packet, or one after a long silence or of another clock.
            for i in bytes.indices { bytes[i] = 0 }
            first = index
            newest = index
        }
        guard index > newest - Self.count else { return }
        while newest < index {
            newest += 1
            bytes[slot(newest)] = 0
        }
        bytes[slot(index)] &+= Int32(truncatingIfNeeded: length)
    }

    /// bit/s over the last `buckets` × 50 ms before the newest arrival, less at the beginning; `nil` until 150 ms have been seen.
    func rate(over buckets: Int64) -> Double? {
        // The newest bucket is still being filled: left out.
        guard newest != .min, newest - first >= 3 else { return nil }
        let buckets = min(buckets, newest - first)
        var sum = 0
        for index in newest - buckets..<newest { sum += Int(bytes[slot(index)]) }
        return Double(sum) * 8e9 / Double(buckets * Self.bucket.nanoseconds)
    }

    private func slot(_ index: Int64) -> Int { Int(((index % Self.count) + Self.count) % Self.count) }
}

extension Int64 {
    /// Quotient rounded towards minus infinity.
    func dividedDown(by divisor: Int64) -> Int64 {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}
