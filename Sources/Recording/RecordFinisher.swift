// SPDX-License-Identifier: Apache-2.0
// The last step of a file: index in front, its name, what is known about it. The same for a recording that ended and for one
// that was found after a crash.
import Codecs
import Foundation
import Logging
import Workers

struct RecordFinisher: Sendable {
    let folder: RecordFolder
    let pool: WorkerPool
    let minimumFree: Int64
    let origin: WorkerOrigin
    let logger: Logger

    /// Brings an unfinished file into the folder of records. What can't be copied in its last form goes there as it is: it is
    /// playable all the same. `nil` when nothing of it can be played.
    func finish(
        _ file: String, facts: RecordFacts, template: RecordTemplate, size: (width: Int, height: Int), endTime: Int64, isRepair: Bool,
        timeLimit: Duration
    ) async -> FinishedRecord? {
        let source = "\(folder.spool)/\(file)"
        guard let container = MediaContainer(rawValue: (file as NSString).pathExtension) else { return nil }
        var request = FinishingJob.Request(source: source, target: source + ".done", thumbnail: source + ".jpg", container: container)
        (request.width, request.height) = size
        request.minimumFree = minimumFree
        var summary: MediaSummary?
        for attempt in 1...2 where summary == nil {
            do {
                let reply = try await pool.run(kind: FinishingJob.name, request: request.encoded, origin: origin, deadline: .now + timeLimit)
                summary = try MediaSummary(decoding: reply)
            } catch {
                unlink(request.target)
                if error == .cancelled { return nil }  // the next start finds it
                logger.log(
                    level: attempt == 1 ? .info : .warning, "a recorded file could not be finished",
                    metadata: ["file": "\(file)", "reason": "\(error)", "attempt": "\(attempt)"])
                if case .failed = error { break }
            }
        }
        let isCopied = summary != nil
        if !isCopied {
            var info = stat()
            guard stat(source, &info) == 0, info.st_size > Self.smallest else {
                unlink(source)
                logger.warning("nothing was recorded", metadata: ["file": "\(file)"])
                return nil
            }
            // It goes as it is; what is in it can be told all the same.
            request.isOnlyMeasured = true
            let reply = try? await pool.run(kind: FinishingJob.name, request: request.encoded, origin: origin, deadline: .now + Self.measuringTime)
            summary = reply.flatMap { try? MediaSummary(decoding: $0) }
        }
        do {
            return try publish(source, isCopied ? request.target : source, request, summary, facts, template, endTime, isRepair)
        } catch {
            logger.error("a recorded file stays unfinished", metadata: ["file": "\(source)", "reason": "\(error)"])
            return nil
        }
    }

    /// A header without any media is shorter than this.
    static let smallest = 2048
    static let measuringTime = Duration.seconds(30)

    private func publish(
        _ source: String, _ file: String, _ request: FinishingJob.Request, _ summary: MediaSummary?, _ facts: RecordFacts, _ template: RecordTemplate,
        _ endTime: Int64, _ isRepair: Bool
    ) throws -> FinishedRecord {
        let end = isRepair ? facts.startTime.addingSaturating(summary?.milliseconds ?? max(0, endTime - facts.startTime)) : endTime
        var record = FinishedRecord(fileName: "", facts: facts, startTime: facts.startTime, endTime: end)
        if let summary {
            record.milliseconds = summary.milliseconds
            record.bytes = summary.bytes
            (record.width, record.height) = (summary.width, summary.height)
            (record.videoCodec, record.audioCodec) = (summary.videoCodec, summary.audioCodec)
            record.videoFrames = summary.videoFrames
        }
        record.isRepaired = isRepair
        if !facts.login.isEmpty { record.participants = [facts.login] }
        let stem = (source as NSString).lastPathComponent.replacing(/-\d+\.\w+$/, with: "")
        record.fileName = try folder.publish(file, thumbnail: request.thumbnail, stem: stem) { number in
            template.name(
                facts, end: end, milliseconds: summary?.milliseconds, audioCodec: summary?.audioCodec, videoCodec: summary?.videoCodec,
                fileExtension: request.container.fileExtension, number: number)
        } about: { name in
            record.named(name)
        }
        unlink(source)
        logger.info("recorded", metadata: [
            "file": "\(folder.path)/\(record.fileName)", "ms": "\(record.milliseconds)", "bytes": "\(record.bytes)", "repaired": "\(isRepair)",
        ])
        return record
    }
}
