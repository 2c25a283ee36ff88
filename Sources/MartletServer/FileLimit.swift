// SPDX-License-Identifier: Apache-2.0
// Open files: every connection is one, and systems give a program fewer than it may have.
import Glibc

public enum FileLimit {
    /// Raises the bound of this process to the highest that it is allowed.
    public static func raise() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
