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
    /// - Parameter script: absolute, or in the folder `bin` of the working directory.
    init?(script: String, timeLimit: Duration?, logger: Logger) {
        guard !script.isEmpty else { return nil }
        path = script.hasPrefix("/") ? script : FileManager.default.currentDirectoryPath + "/bin/" + script
        self.timeLimit = timeLimit
        self.logger = logger
    }

    /// Starts it and returns at once.
    func run(_ arguments: String...) {
        var logger = logger
        logger[metadataKey: "script"] = "\(path)"
        logger[metadataKey: "arguments"] = "\(arguments.joined(separator: " ").prefix(512))"
        Task { [logger] in
            let ending = await ChildProgram.run([path] + arguments, timeLimit: timeLimit) { line in
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
