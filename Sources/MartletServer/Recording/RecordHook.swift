// SPDX-License-Identifier: Apache-2.0
// The program that is run for a finished record. Whatever it does, the server goes on: it has a time limit, and its output goes to
// the log. One that may take long is noted on the disk while it runs, so that the next start runs it again after a crash.
import Foundation
import Logging
import Workers

struct RecordHook: Sendable {
    let path: String
    let timeLimit: Duration?
    let logger: Logger
    /// Folder of the notes of those that run; `nil` = none are taken.
    let notes: String?

    /// `nil` when none is wanted.
    /// - Parameters:
    ///   - script: absolute, or in the folder `bin` of the working directory, or in `tools`, where those that come with the
    ///     server are.
    ///   - notes: see above.
    init?(script: String, timeLimit: Duration?, logger: Logger, notes: String? = nil) {
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
        self.notes = notes
    }

    /// Runs again what the last run of the server has not seen the end of; its first argument is a file, which has to be there still.
    func resume() {
        guard let notes else { return }
        for name in (try? FileManager.default.contentsOfDirectory(atPath: notes)) ?? [] where name.hasSuffix(".json") {
            let note = "\(notes)/\(name)"
            let arguments = FileManager.default.contents(atPath: note).flatMap { try? JSONDecoder().decode([String].self, from: $0) }
            guard let arguments, let file = arguments.first, FileManager.default.fileExists(atPath: file) else {
                unlink(note)
                continue
            }
            logger.notice("a hook script had not ended when the server did; it is run again", metadata: ["file": "\(file)"])
            run(arguments, note: note)
        }
    }

    /// Starts it and returns at once.
    func run(_ arguments: String...) {
        var note: String?
        if let notes, let data = try? JSONEncoder().encode(arguments) {
            let path = "\(notes)/\(UUID().uuidString.lowercased()).json"
            do {
                try FileManager.default.createDirectory(atPath: notes, withIntermediateDirectories: true)
                try data.write(to: URL(fileURLWithPath: path), options: .atomic)
                note = path
            } catch {
                logger.warning("a hook script can't be noted; a crash would end it for good", metadata: ["error": "\(error)"])
            }
        }
        run(arguments, note: note)
    }

    private func run(_ arguments: [String], note: String?) {
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
            if let note { unlink(note) }
            if ending == .exited(0) {
                logger.debug("hook script done")
            } else {
                logger.warning("hook script failed; the record is not touched by it", metadata: ["ending": "\(ending)"])
            }
        }
    }
}
