// SPDX-License-Identifier: Apache-2.0
// Keeps some file descriptors free. A process that runs out of them can't accept a connection even to close it, so its listeners
// stand still, or spin; and it can't open a file or start a worker. Listeners ask before they keep what they have accepted.
import Glibc

public enum DescriptorReserve {
    /// Descriptors that connections don't get: for files, workers, and for accepting what is then closed.
    public static let size: Int32 = 32

    /// Whether a connection that was just accepted is to be closed, because its descriptor is one of the last that the process may
    /// have. By its number: the system gives the lowest that is free, so however many are accepted at once, those kept lie below.
    public static func includes(_ descriptor: Int32) -> Bool {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return false }
        return includes(descriptor, limit: Int32(clamping: limit.rlim_cur))
    }

    /// - Parameter limit: descriptors that the process may have open.
    static func includes(_ descriptor: Int32, limit: Int32) -> Bool { descriptor >= limit - min(size, limit / 4) }
}
