// SPDX-License-Identifier: Apache-2.0
// The clock of the reactors, by which every packet's arrival is told. The same in all processes of a machine, workers among them.
import Glibc
import Primitives

public enum MonotonicClock {
    /// The time since some start, never set back. Any thread.
    @inline(__always)
    public static func now() -> Instant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Instant(nanoseconds: Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec))
    }
}
