// Keeps some file descriptors free. A process that runs out of them can't accept a connection even to close it, so its listeners
// stand still, or spin; and it can't open a file or start a worker. Listeners ask before they keep what they have accepted.
import Glibc

public enum DescriptorReserve {
    /// Descriptors that connections don't get: for files, workers, and for accepting what is then closed.
    public static let size: Int32 = 32

    /// Whether less than the reserve is free. Then close what has just been accepted. Any thread; two system calls.
    public static var isNeeded: Bool {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return false }
        return isNeeded(limit: Int32(clamping: limit.rlim_cur))
    }

    /// - Parameter limit: descriptors that the process may have open.
    static func isNeeded(limit: Int32) -> Bool {
        // The system gives the lowest free number: it tells how many are taken at least, and nearly how many exactly.
        let lowest = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)
        guard lowest >= 0 else { return errno == EMFILE || errno == ENFILE }
        close(lowest)
        return lowest >= limit - min(size, limit / 4)
    }
}
