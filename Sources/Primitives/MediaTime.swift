// SPDX-License-Identifier: Apache-2.0
// A point on a source's own time line: what its RTP or RTMP timestamps say, counted on beyond their 32 bits. Never compared with arrivals
// (Instant) or the time of day (WallTime) without a conversion that says how far the clocks are apart.

/// A point on the media time line of a source, in nanoseconds from an arbitrary start. Arithmetic saturates. Trivial, 8 bytes.
@frozen public struct MediaTime: Comparable, Hashable, Sendable {
    public var nanoseconds: Int64

    @inlinable public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }
    @inlinable public init(milliseconds: Int64) { nanoseconds = milliseconds.multipliedSaturating(by: 1_000_000) }
    @inlinable public init(microseconds: Int64) { nanoseconds = microseconds.multipliedSaturating(by: 1000) }
    /// - Parameter clockRate: Hz, of the codec.
    @inlinable public init(ticks: Int64, clockRate: Int) { nanoseconds = TimeSpan(ticks: ticks, clockRate: clockRate).nanoseconds }

    public static let zero = MediaTime(nanoseconds: 0)

    @inlinable public var milliseconds: Int64 { nanoseconds / 1_000_000 }
    @inlinable public var microseconds: Int64 { nanoseconds / 1000 }
    @inlinable public func ticks(clockRate: Int) -> Int64 { TimeSpan(nanoseconds: nanoseconds).ticks(clockRate: clockRate) }

    @inlinable public static func < (a: MediaTime, b: MediaTime) -> Bool { a.nanoseconds < b.nanoseconds }
    @inlinable public static func - (a: MediaTime, b: MediaTime) -> TimeSpan { TimeSpan(nanoseconds: a.nanoseconds.subtractingSaturating(b.nanoseconds)) }
    @inlinable public static func + (a: MediaTime, b: TimeSpan) -> MediaTime { MediaTime(nanoseconds: a.nanoseconds.addingSaturating(b.nanoseconds)) }
    @inlinable public static func - (a: MediaTime, b: TimeSpan) -> MediaTime { MediaTime(nanoseconds: a.nanoseconds.subtractingSaturating(b.nanoseconds)) }
}
