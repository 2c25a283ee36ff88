// SPDX-License-Identifier: Apache-2.0
// Files that were made out of a record, such as the mixed one of a room: they stand beside it and are listed like it.
import Codecs
import Foundation

extension RecordFolder {
    /// Unfinished mixed files that nobody has written to for so long were left by a crash, seconds.
    private static let staleAfter = 3600

    /// What is known about a record; `nil` when nothing is.
    public func record(named name: String) -> FinishedRecord? {
        guard let data = FileManager.default.contents(atPath: note(of: name)), let record = try? JSONDecoder().decode(FinishedRecord.self, from: data),
            record.fileName == name
        else { return nil }
        return record
    }

    /// A server records into it, or has.
    public var isInUse: Bool { FileManager.default.fileExists(atPath: spool) }

    /// Where a mixed file may grow: nobody takes it for a record there. Removes what mixers have left that were killed.
    public func placeForMixing() -> String {
        let folder = isInUse ? spool : path
        for file in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] where file.hasPrefix(".mixing-") {
            var info = stat()
            if stat("\(folder)/\(file)", &info) == 0, time(nil) - info.st_mtim.tv_sec > Self.staleAfter { unlink("\(folder)/\(file)") }
        }
        return "\(folder)/.mixing-\(UUID().uuidString.lowercased())"
    }

    /// Gives a mixed file its name beside the record it was made of: `NAME-mixed.mp4`, with a number while that is taken.
    public func publishMixed(
        _ file: String, of source: String, summary: MediaSummary, participants: [String], thumbnail: [UInt8]?
    ) throws -> FinishedRecord {
        let stem = RecordTemplate.fileName((source as NSString).deletingPathExtension, endingBytes: 24)
        let original = record(named: source)
        let now = Recorder.wallClock()
        let start = original?.startTime ?? now - summary.milliseconds
        var record = FinishedRecord(
            fileName: "", facts: original?.facts ?? RecordFacts(streamName: "", mediaSessionID: "", sessionID: "", login: ""), startTime: start,
            endTime: start + summary.milliseconds)
        record.milliseconds = summary.milliseconds
        record.bytes = summary.bytes
        (record.width, record.height) = (summary.width, summary.height)
        (record.videoCodec, record.audioCodec, record.videoFrames) = (summary.videoCodec, summary.audioCodec, summary.videoFrames)
        record.participants = participants
        record.mixedFrom = source
        let isNoted = isInUse, picture = file + ".jpg"
        if isNoted, let thumbnail { try? Data(thumbnail).write(to: URL(fileURLWithPath: picture)) }
        record.fileName = try publish(file, thumbnail: picture) { number in
            stem + "-mixed" + (number > 1 ? "_\(number)" : "") + ".mp4"
        } about: { name in
            isNoted ? record.named(name) : nil
        }
        return record
    }
}
