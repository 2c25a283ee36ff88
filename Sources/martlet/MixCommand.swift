// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import FoundationNetworking
import Mixing
import Recording
import StreamClients
import Workers

/// `martlet mix FILE`: a record of several streams becomes one picture and one sound.
struct MixCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mix", abstract: "Mix a record of several streams, such as a room's, into one picture and one sound.",
        discussion: """
            Writes NAME-mixed.mp4 beside the record, and lists it with the server's records when it lies among them. The last three
            arguments are those of on_multiple_record_hook.sh; they are handed on to callbackUrl.
            Exit codes: 0 done; 64 the file is missing or nothing in it can be mixed; 65 the settings; 70 a codec or the fonts; 73 the
            result can't be written; 130 interrupted. See docs/recording.md.
            """)

    @Argument(help: "The record.") var file: String
    @Argument(help: "When it was begun, ms since 1970.") var created: String?
    @Argument(help: "Its length, ms.") var duration: String?
    @Argument(help: "Its address, such as multi-recorder://room.") var uri: String?
    @Option(help: "Settings. Without: conf/offline_mixer.json in the working directory, or what is set by default.") var config: String?
    @Option(help: "Write the result here instead, over what is there.") var output: String?

    func run() async throws {
        // Whoever reads what is said may be gone before the result is there.
        signal(SIGPIPE, SIG_IGN)
        let work = Task { try await mix() }
        let watch = Task { for await _ in Interrupt.signals() { work.cancel() } }
        defer { watch.cancel() }
        do {
            try await work.value
        } catch let error as MixError {
            StandardError.print("martlet: \(error)")
            throw ExitCode(error.exitCode)
        } catch is CancellationError {
            StandardError.print("martlet: interrupted; nothing is left behind")
            throw ExitCode(130)
        }
    }

    private func mix() async throws {
        let start = ContinuousClock.now
        let settings = try settings()
        WorkerHost.boundMemory(UInt64(settings.memoryLimit) << 20)
        let source = URL(fileURLWithPath: file).standardizedFileURL
        let mixer = try Mixer(source.path, settings)
        let folder = RecordFolder(path: source.deletingLastPathComponent().path)
        let place = folder.placeForMixing()
        defer { unlink(place) }
        let terminal = ProgressLine()
        let report = try await mixer.mix(to: place) { terminal.show($0) }
        terminal.clear()
        for warning in report.warnings { StandardError.print("martlet: \(warning)") }
        let path = try put(place, of: source.lastPathComponent, in: folder, report)
        let seconds = Double(report.summary.milliseconds) / 1000, speed = seconds / max(0.001, (ContinuousClock.now - start) / .seconds(1))
        print("mixed \(path) (\(number(seconds)) s, \(report.participants.count) people, \(number(speed)) times real time)")
        if let url = settings.callbackURL { await call(url, path, report) }
    }

    private func settings() throws(MixError) -> MixSettings {
        let usual = "conf/offline_mixer.json"
        if let config { return try MixSettings(file: config) }
        return FileManager.default.fileExists(atPath: usual) ? try MixSettings(file: usual) : MixSettings()
    }

    /// Gives the result its name; says its path.
    private func put(_ place: String, of name: String, in folder: RecordFolder, _ report: Mixer.Report) throws -> String {
        if let output {
            let path = URL(fileURLWithPath: output).standardizedFileURL.path
            guard rename(place, path) == 0 || (try? Data(contentsOf: URL(fileURLWithPath: place)).write(to: URL(fileURLWithPath: path))) != nil else {
                throw MixError.output("The result can't be written to \(path): \(String(cString: strerror(errno))).")
            }
            return path
        }
        do {
            let record = try folder.publishMixed(
                place, of: name, summary: report.summary, participants: report.participants, thumbnail: report.thumbnail)
            return folder.path + "/" + record.fileName
        } catch {
            throw MixError.output("The result can't be put beside the record: \(error).")
        }
    }

    // MARK: the backend

    /// Tells the backend, three times at most. The result is there in any case, so a backend that is not is no failure.
    private func call(_ url: URL, _ path: String, _ report: Mixer.Report) async {
        var body: [String: Any] = [
            "fileName": (path as NSString).lastPathComponent, "file": path, "duration": report.summary.milliseconds,
            "participants": report.participants, "recordName": (file as NSString).lastPathComponent,
        ]
        if let uri { body["uri"] = uri }
        if let created { body["createDate"] = Int64(created).map { $0 as Any } ?? created }
        if let duration { body["recordDuration"] = Int64(duration).map { $0 as Any } ?? duration }
        guard let data = try? JSONSerialization.data(withJSONObject: body, options: [.sortedKeys, .withoutEscapingSlashes]) else { return }
        var request = URLRequest(url: url, timeoutInterval: 10)
        request.httpMethod = "POST"
        request.httpBody = data
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        var reason = ""
        for attempt in 1...3 {
            do {
                let (_, response) = try await URLSession.shared.data(for: request)
                let status = (response as? HTTPURLResponse)?.statusCode ?? 0
                if (200..<300).contains(status) { return }
                reason = "it answered \(status)"
            } catch {
                reason = error.localizedDescription
            }
            if attempt < 3 { try? await Task.sleep(for: .seconds(attempt)) }
        }
        StandardError.print("martlet: callbackUrl \(url.absoluteString) was not reached: \(reason)")
    }

    private func number(_ value: Double) -> String { String(format: "%.1f", value) }
}

/// How far it has got, on one line of a terminal; nothing where nobody looks.
private final class ProgressLine: Sendable {
    private let isShown = isatty(STDERR_FILENO) == 1

    func show(_ part: Double) {
        guard isShown else { return }
        write(String(format: "\r\u{1b}[Kmixing %3.0f %%", part * 100))
    }

    func clear() { if isShown { write("\r\u{1b}[K") } }

    private func write(_ text: String) { try? FileHandle.standardError.write(contentsOf: Data(text.utf8)) }
}
