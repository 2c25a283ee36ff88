// The program that is run for a finished record. Whatever it does, the server goes on: it has a time limit, and its output goes to
// the log.
import Foundation
import Logging
import Workers

struct RecordHook: Sendable {
    let path: String
    let timeLimit: Duration?
    let logger: Logger

    /// `nil` when none is wanted.
    /// - Parameter script: absolute, or in the folder `bin` of the working directory, or in `tools`, where those that come with the
    ///   server are.
    init?(script: String, timeLimit: Duration?, logger: Logger) {
        guard !script.isEmpty else { return nil }
        let own = FileManager.default.currentDirectoryPath + "/bin/" + script
        if script.hasPrefix("/") {
            path = script
        } else if !FileManager.default.fileExists(atPath: own), let companion = CompanionFiles.locate("tools/" + script) {
            path = URL(fileURLWithPath: companion).standardizedFileURL.path
        } else {
            path = own
        }
        self.timeLimit = timeLimit
        self.logger = logger
    }

    /// Starts it and returns at once.
    func run(_ arguments: String...) {
        var logger = logger
        logger[metadataKey: "script"] = "\(path)"
        logger[metadataKey: "arguments"] = "\(arguments.joined(separator: " ").prefix(512))"
        Task { [logger] in
            var environment = ProcessInfo.processInfo.environment
            // For scripts that call the server's own commands.
            environment["MARTLET"] = CompanionFiles.executable
            let ending = await ChildProgram.run([path] + arguments, environment: environment, timeLimit: timeLimit) { line in
                logger.info("hook script says", metadata: ["line": "\(line)"])
            }
            if ending == .exited(0) {
                logger.debug("hook script done")
            } else {
                logger.warning("hook script failed; the record is not touched by it", metadata: ["ending": "\(ending)"])
            }
        }
    }
}
