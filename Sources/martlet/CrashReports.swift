// SPDX-License-Identifier: Apache-2.0
// What happens when the process crashes. Swift's runtime stops it for as long as making a backtrace takes, up to half a minute on a
// large program; meanwhile its ports accept and nobody answers, and no supervisor starts it anew.
import Glibc

enum CrashReports {
    /// The signals of a crash, which the runtime takes.
    private static let signals = [SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGQUIT, SIGSEGV, SIGTRAP]

    /// Lets a crash end the process at once. Who sets SWIFT_BACKTRACE gets what he asks for. Before other handlers are installed.
    static func leaveOutBacktraces() {
        guard getenv("SWIFT_BACKTRACE") == nil else { return }
        for number in signals { signal(number, SIG_DFL) }
    }
}
