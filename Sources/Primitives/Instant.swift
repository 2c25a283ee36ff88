// SPDX-License-Identifier: Apache-2.0
// The one notion of time inside the protocol modules. Nothing below MediaIO reads a clock:
// every call that depends on time is given the current Instant.

/// A point on a monotonic time line, in nanoseconds since an arbitrary start. Trivial, 8 bytes.
@frozen public struct Instant: Comparable, Hashable, Sendable {
    public var nanoseconds: Int64

    @inlinable public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }
    @inlinable public init(milliseconds: Int64) { nanoseconds = milliseconds.multipliedSaturating(by: 1_000_000) }

    public static let zero = Instant(nanoseconds: 0)
    public static let distantFuture = Instant(nanoseconds: .max)
    /// Before anything that has happened: any span since then has passed.
    public static let distantPast = Instant(nanoseconds: .min)

    @inlinable public static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }

    @inlinable public func advanced(byMilliseconds ms: Int64) -> Instant {
        Instant(nanoseconds: nanoseconds &+ ms &* 1_000_000)
    }
    @inlinable public func advanced(byNanoseconds ns: Int64) -> Instant { Instant(nanoseconds: nanoseconds &+ ns) }

    /// Milliseconds from `earlier` to this instant; negative when `earlier` lies later.
    @inlinable public func milliseconds(since earlier: Instant) -> Int64 {
        (nanoseconds &- earlier.nanoseconds) / 1_000_000
    }
    @inlinable public func nanoseconds(since earlier: Instant) -> Int64 { nanoseconds &- earlier.nanoseconds }

    /// The time from `earlier` to this instant; negative when `earlier` lies later.
    @inlinable public func span(since earlier: Instant) -> TimeSpan { TimeSpan(nanoseconds: nanoseconds.subtractingSaturating(earlier.nanoseconds)) }
    @inlinable public static func + (a: Instant, b: TimeSpan) -> Instant { Instant(nanoseconds: a.nanoseconds.addingSaturating(b.nanoseconds)) }
    @inlinable public static func - (a: Instant, b: TimeSpan) -> Instant { Instant(nanoseconds: a.nanoseconds.subtractingSaturating(b.nanoseconds)) }
    @inlinable public static func += (a: inout Instant, b: TimeSpan) { a = a + b }

    public static func + (a: Instant, b: Duration) -> Instant { Instant(nanoseconds: a.nanoseconds &+ b.inNanoseconds) }
    public static func - (a: Instant, b: Instant) -> Duration { .nanoseconds(a.nanoseconds &- b.nanoseconds) }
}

extension Duration {
    /// The duration in whole nanoseconds (±292 years).
    public var inNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }
    public var inMilliseconds: Int64 { inNanoseconds / 1_000_000 }
}
