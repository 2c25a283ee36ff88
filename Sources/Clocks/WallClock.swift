// SPDX-License-Identifier: Apache-2.0
// The time of day: for what is told to others and for burnt-in clocks. It may be set at any time, so nothing waits by it.
import Glibc
import Primitives

public enum WallClock {
    /// The time of day. Any thread.
    public static func now() -> WallTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return WallTime(nanoseconds: Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec))
    }
}
