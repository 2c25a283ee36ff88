// SPDX-License-Identifier: Apache-2.0
// The clocks of the load generator.
import Glibc

enum LoadClock {
    /// ns of CLOCK_MONOTONIC.
    static func now() -> Int64 { read(CLOCK_MONOTONIC) }
    /// What is to be taken off a time of CLOCK_REALTIME (the kernel's arrival times) to get one of CLOCK_MONOTONIC.
    static func realtimeOffset() -> Int64 { read(CLOCK_REALTIME) - read(CLOCK_MONOTONIC) }
    /// ns of processor time that this thread has used.
    static func thread() -> Int64 { read(CLOCK_THREAD_CPUTIME_ID) }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
}
