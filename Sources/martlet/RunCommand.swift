// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import CMartlet
import Dispatch
import Glibc
import MartletServer

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "run", abstract: "Run the server until SIGTERM or Ctrl-C.")

    @OptionGroup var settings: SettingsOptions

    func run() async throws {
        let loaded = try settings.load()
        martlet_heap_give_back(Int32(clamping: max(2, sysconf(Int32(_SC_NPROCESSORS_ONLN)))))
        // Before the log, which installs the line that a crash leaves.
        CrashReports.leaveOutBacktraces()
        LogSetup.bootstrap(level: loaded.settings.logLevel, format: loaded.settings.logFormat)
        // A peer or a log reader that goes away is an error of that write, not the end of the server.
        signal(SIGPIPE, SIG_IGN)
        let watchdog = Watchdog.endingProcess(after: .milliseconds(4_500), of: [SIGTERM, SIGINT])
        defer { for source in watchdog { source.cancel() } }
        do {
            try await Server(loaded).run()
        } catch let error as StartError {
            StandardError.print("martlet: the server can't start:")
            for problem in error.problems { StandardError.print("  " + problem) }
            throw ExitCode(1)
        }
    }
}

/// Whoever stops the server by a signal may rely on its end, even if some part of it hangs on the way down.
private enum Watchdog {
    static func endingProcess(after time: DispatchTimeInterval, of signals: [Int32]) -> [any DispatchSourceSignal] {
        signals.map { number in
            let queue = DispatchQueue(label: "martlet.watchdog")
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler {
                queue.asyncAfter(deadline: .now() + time) {
                    StandardError.print("martlet: something did not stop in time; the process ends without it")
                    exit(0)
                }
            }
            source.resume()
            return source
        }
    }
}
