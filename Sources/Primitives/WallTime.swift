// SPDX-License-Identifier: Apache-2.0
// The time of day, ours or a sender's: what sender reports carry (RFC 3550 §4).

/// A point in time of day, in nanoseconds since 1970. Arithmetic saturates. Trivial, 8 bytes.
@frozen public struct WallTime: Comparable, Hashable, Sendable {
    public var nanoseconds: Int64

    @inlinable public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }
    @inlinable public init(milliseconds: Int64) { nanoseconds = milliseconds.multipliedSaturating(by: 1_000_000) }

    /// Whole milliseconds, rounded towards zero.
    @inlinable public var milliseconds: Int64 { nanoseconds / 1_000_000 }

    /// Seconds from the beginning of 1900, where NTP counts from, to that of 1970.
    public static let ntpEpochSeconds: Int64 = 2_208_988_800

    /// - Parameter ntp: seconds since 1900 in the upper, fractions of one in the lower 32 bits.
    public init(ntp: UInt64) {
        let seconds = Int64(ntp >> 32) - Self.ntpEpochSeconds
        // Both terms fit: |seconds| < 2^32, and the fraction is below one second.
        nanoseconds = seconds * 1_000_000_000 + Int64(((ntp & 0xffff_ffff) * 1_000_000_000) >> 32)
    }

    /// As an NTP timestamp; years outside of 1900…2036 end at those bounds.
    public var ntp: UInt64 {
        var (seconds, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        if rest < 0 { (seconds, rest) = (seconds - 1, rest + 1_000_000_000) }
        let since1900 = seconds + Self.ntpEpochSeconds
        guard since1900 >= 0 else { return 0 }
        guard since1900 <= Int64(UInt32.max) else { return .max }
        return UInt64(since1900) << 32 | (UInt64(rest) << 32) / 1_000_000_000
    }

    @inlinable public static func < (a: WallTime, b: WallTime) -> Bool { a.nanoseconds < b.nanoseconds }
    @inlinable public static func - (a: WallTime, b: WallTime) -> TimeSpan { TimeSpan(nanoseconds: a.nanoseconds.subtractingSaturating(b.nanoseconds)) }
    @inlinable public static func + (a: WallTime, b: TimeSpan) -> WallTime { WallTime(nanoseconds: a.nanoseconds.addingSaturating(b.nanoseconds)) }
    @inlinable public static func - (a: WallTime, b: TimeSpan) -> WallTime { WallTime(nanoseconds: a.nanoseconds.subtractingSaturating(b.nanoseconds)) }
}
