// The real clocks, for the pipelines' threads only; everything below them is told the time.
import Glibc
import Primitives

/// Nanoseconds since 1970 (UTC): what burnt-in clocks and arrivals are measured with.
public enum WallClock {
    public static func now() -> Instant { read(CLOCK_REALTIME) }

    /// A time of this clock in NTP form (RFC 5905 §6): seconds since 1900 in the upper, fractions in the lower 32 bits.
    public static func ntp(_ time: Instant) -> UInt64 {
        let (seconds, rest) = UInt64(max(0, time.nanoseconds)).quotientAndRemainder(dividingBy: 1_000_000_000)
        return (seconds + 2_208_988_800) << 32 | (rest << 32) / 1_000_000_000
    }
}

/// Nanoseconds since some start, never set back: what pacing is measured with.
public enum SteadyClock {
    public static func now() -> Instant { read(CLOCK_MONOTONIC) }
}

private func read(_ clock: clockid_t) -> Instant {
    var time = timespec()
    clock_gettime(clock, &time)
    return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
}
