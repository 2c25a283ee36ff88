import ArgumentParser
import Glibc
import MartletServer

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "run", abstract: "Run the server until SIGTERM or Ctrl-C.")

    @OptionGroup var settings: SettingsOptions

    func run() async throws {
        let loaded = try settings.load()
        LogSetup.bootstrap(level: loaded.settings.logLevel, format: loaded.settings.logFormat)
        // A peer or a log reader that goes away is an error of that write, not the end of the server.
        signal(SIGPIPE, SIG_IGN)
        do {
            try await Server(loaded).run()
        } catch let error as StartError {
            StandardError.print("martlet: the server can't start:")
            for problem in error.problems { StandardError.print("  " + problem) }
            throw ExitCode(1)
        }
    }
}
