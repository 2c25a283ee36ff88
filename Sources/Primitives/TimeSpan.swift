// SPDX-License-Identifier: Apache-2.0
// A length of time between two points of one clock. What a peer's numbers may reach is counted in it, so its arithmetic can't trap.

/// A signed length of time in nanoseconds. Sums, differences and products stop at ±292 years. Trivial, 8 bytes.
@frozen public struct TimeSpan: Comparable, Hashable, Sendable {
    public var nanoseconds: Int64

    @inlinable public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    public static let zero = TimeSpan(nanoseconds: 0)
    public static let max = TimeSpan(nanoseconds: .max)
    public static let min = TimeSpan(nanoseconds: .min)

    @inlinable public static func nanoseconds(_ value: Int64) -> TimeSpan { TimeSpan(nanoseconds: value) }
    @inlinable public static func microseconds(_ value: Int64) -> TimeSpan { TimeSpan(nanoseconds: value.multipliedSaturating(by: 1000)) }
    @inlinable public static func milliseconds(_ value: Int64) -> TimeSpan { TimeSpan(nanoseconds: value.multipliedSaturating(by: 1_000_000)) }
    @inlinable public static func seconds(_ value: Int64) -> TimeSpan { TimeSpan(nanoseconds: value.multipliedSaturating(by: 1_000_000_000)) }

    /// A number of clock ticks as a length of time, rounded towards zero.
    /// - Parameter clockRate: Hz, of the codec; what is below 1 is taken for 1.
    @inlinable
    public init(ticks: Int64, clockRate: Int) {
        let rate = Int64(Swift.max(1, clockRate))
        let (seconds, rest) = ticks.quotientAndRemainder(dividingBy: rate)
        let whole = seconds.multipliedSaturating(by: 1_000_000_000)
        // |rest| < rate, so the quotient below is less than 10^9 for any rate; the product is taken in full width.
        let product = rest.magnitude.multipliedFullWidth(by: 1_000_000_000)
        let part = Int64(rate.magnitude.dividingFullWidth(product).quotient)
        nanoseconds = whole.addingSaturating(rest < 0 ? -part : part)
    }

    /// The nearest whole number of nanoseconds; the type's bounds for what lies beyond them, zero for what is no number.
    @inlinable
    public init(roundedNanoseconds value: Double) {
        if value.isNaN { nanoseconds = 0 } else if value >= 0x1p63 { nanoseconds = .max } else if value < -0x1p63 { nanoseconds = .min } else {
            // Within the bounds of Int64, which the branches before have seen to; rounding can't leave them: doubles that large are whole.
            nanoseconds = Int64(value.rounded())
        }
    }

    /// The number of whole clock ticks in this span, rounded towards zero.
    /// - Parameter clockRate: Hz, of the codec; what is below 1 is taken for 1.
    @inlinable
    public func ticks(clockRate: Int) -> Int64 {
        let rate = Int64(Swift.max(1, clockRate))
        let (seconds, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        let product = rest.magnitude.multipliedFullWidth(by: rate.magnitude)
        let part = Int64(UInt64(1_000_000_000).dividingFullWidth(product).quotient)
        return seconds.multipliedSaturating(by: rate).addingSaturating(rest < 0 ? -part : part)
    }

    /// Whole milliseconds, rounded towards zero.
    @inlinable public var milliseconds: Int64 { nanoseconds / 1_000_000 }
    /// Whole microseconds, rounded towards zero.
    @inlinable public var microseconds: Int64 { nanoseconds / 1000 }
    /// With what is left of one.
    @inlinable public var fractionalMilliseconds: Double { Double(nanoseconds) / 1e6 }
    @inlinable public var seconds: Double { Double(nanoseconds) / 1e9 }
    @inlinable public var magnitude: TimeSpan { nanoseconds < 0 ? -self : self }
    @inlinable public var duration: Duration { .nanoseconds(nanoseconds) }

    @inlinable public static func < (a: TimeSpan, b: TimeSpan) -> Bool { a.nanoseconds < b.nanoseconds }
    @inlinable public static func + (a: TimeSpan, b: TimeSpan) -> TimeSpan { TimeSpan(nanoseconds: a.nanoseconds.addingSaturating(b.nanoseconds)) }
    @inlinable public static func - (a: TimeSpan, b: TimeSpan) -> TimeSpan { TimeSpan(nanoseconds: a.nanoseconds.subtractingSaturating(b.nanoseconds)) }
    @inlinable public static prefix func - (a: TimeSpan) -> TimeSpan { zero - a }
    @inlinable public static func * (a: TimeSpan, factor: Int64) -> TimeSpan { TimeSpan(nanoseconds: a.nanoseconds.multipliedSaturating(by: factor)) }
    /// - Parameter divisor: a constant of ours above zero, never a peer's number.
    @inlinable public static func / (a: TimeSpan, divisor: Int64) -> TimeSpan { TimeSpan(nanoseconds: a.nanoseconds / divisor) }
    @inlinable public static func += (a: inout TimeSpan, b: TimeSpan) { a = a + b }
    @inlinable public static func -= (a: inout TimeSpan, b: TimeSpan) { a = a - b }
}
