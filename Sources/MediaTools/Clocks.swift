// The real clocks, for the pipelines' threads only; everything below them is told the time.
import Glibc
import Primitives

/// Nanoseconds since 1970 (UTC): what burnt-in clocks and arrivals are measured with.
public enum WallClock {
    public static func now() -> Instant { read(CLOCK_REALTIME) }

    /// A time of this clock as sender reports tell it.
    public static func ntp(_ time: Instant) -> UInt64 {
        WallTime(nanoseconds: time.nanoseconds).ntp
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
