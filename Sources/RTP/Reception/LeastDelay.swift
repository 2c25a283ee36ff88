// SPDX-License-Identifier: Apache-2.0
// Follows the smallest difference between arrival and sending, which is the one that no queue has added to. Owned by StreamTimeline.
import Primitives

/// The offset from a remote clock to ours: found at the beginning, and from then on only followed as far as the clocks drift apart.
struct LeastDelay: Sendable {
    /// Minima over so long are compared.
    static let bucket = TimeSpan.seconds(10)
    /// The offset moves by one part in so many of the time that passes, at most: 500 ppm, more than any two clocks drift apart.
    static let slewDivisor: Int64 = 2000

    private var base: TimeSpan?
    private var correction = TimeSpan.zero
    private var isSettled: Bool
    /// The smallest difference of the first bucket after the beginning, and of the newest whole one and the one that fills.
    private var reference: TimeSpan?
    private var newest: TimeSpan?
    private var filling = TimeSpan.max
    private var bucketStart = Instant.zero
    private var last = Instant.zero

    /// - Parameter isSettled: the first value counts; there is no time to look for a better one.
    init(isSettled: Bool = false) { self.isSettled = isSettled }

    /// To be added to the remote clock; `nil` before the first packet.
    var value: TimeSpan? { base.map { $0 + correction } }

    /// Places have been given out by the offset: it jumps no more.
    mutating func settle() { isSettled = true }

    /// - Parameters:
    ///   - difference: arrival (our clock) less sending time (theirs).
    ///   - now: arrival.
    mutating func note(_ difference: TimeSpan, at now: Instant) {
        guard let base else {
            self.base = difference
            (bucketStart, last) = (now, now)
            return
        }
        guard isSettled else {
            self.base = min(base, difference)
            (bucketStart, last) = (now, now)
            return
        }
        filling = min(filling, difference)
        if now.span(since: bucketStart) >= Self.bucket {
            newest = filling
            if reference == nil { reference = filling }
            filling = .max
            bucketStart = now
        }
        if let reference, let newest {
            let step = max(.zero, now.span(since: last)) / Self.slewDivisor
            correction += min(step, max(-step, newest - reference - correction))
        }
        last = max(last, now)
    }
}
