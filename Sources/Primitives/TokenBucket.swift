// SPDX-License-Identifier: Apache-2.0
// An allowance that fills with time. For bounds on what one peer may make the server do per second; owned by whoever does the work.

/// Holds up to `burst` tokens and gets `rate` of them a second. Trivial; the caller's clock.
@frozen public struct TokenBucket: Sendable {
    @usableFromInline let rate: Double
    @usableFromInline let burst: Double
    @usableFromInline var tokens: Double
    @usableFromInline var filledAt = Instant.distantPast

    /// - Parameters:
    ///   - rate: tokens a second.
    ///   - burst: tokens that it may save up; it begins with so many.
    @inlinable public init(rate: Double, burst: Double) {
        self.rate = rate
        self.burst = max(1, burst)
        tokens = self.burst
    }

    /// Takes a token; false when there is none.
    @inlinable public mutating func take(at now: Instant) -> Bool {
        if now > filledAt {
            tokens = min(burst, tokens + now.span(since: filledAt).seconds * rate)
            filledAt = now
        }
        guard tokens >= 1 else { return false }
        tokens -= 1
        return true
    }

    /// Nothing has been taken for long enough to forget that anything was.
    @inlinable public func isFull(at now: Instant) -> Bool {
        tokens + max(.zero, now.span(since: filledAt)).seconds * rate >= burst
    }
}
