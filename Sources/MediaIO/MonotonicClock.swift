// The clock of the reactors, by which every packet's arrival is told. The same in all processes of a machine, workers among them.
import Glibc

public enum MonotonicClock {
    /// ns since some start, never set back. Any thread.
    @inline(__always)
    public static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
}
