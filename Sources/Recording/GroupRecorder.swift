// SPDX-License-Identifier: Apache-2.0
// Several streams in one file: each is recorded by itself while it lasts, and all are put together, each in its place in time,
// when the group ends. Owned by RecordingService.
import Codecs
import Foundation
import Logging
import MediaIO
import Primitives
import Workers

/// A file of a group before it is put together with the others.
struct GroupPart: Sendable {
    var file: String
    /// On the monotonic clock, or any other that all parts of a group have in common.
    var time: Instant
    var facts: RecordFacts
}

actor GroupRecorder {
    let uri: String
    /// What the notes of its unfinished files say.
    let id = UUID().uuidString.lowercased()
    private let make: @Sendable (RecordingRequest) -> Recorder
    private let assembler: GroupAssembler
    private let startTime = Recorder.wallClock()
    private var members: [String: Recorder] = [:]
    private var leaving: [Task<[GroupPart], Never>] = []
    private var stems: [String] = []
    private var isOver = false

    init(uri: String, assembler: GroupAssembler, make: @escaping @Sendable (RecordingRequest) -> Recorder) {
        self.uri = uri
        self.assembler = assembler
        self.make = make
    }

    nonisolated var fileName: String { GroupAssembler.fileName(of: uri, number: 1) }
    var mediaSessionIDs: [String] { members.keys.sorted() }

    func add(_ request: RecordingRequest) async throws(RecordingError) {
        guard !isOver else { throw .shutDown }
        let key = request.facts.mediaSessionID
        guard members[key] == nil else { throw .alreadyIn }
        var request = request
        request.group = GroupNote(id: id, uri: uri, startTime: startTime)
        request.facts.startTime = Recorder.wallClock()
        let recorder = make(request)
        members[key] = recorder
        do throws(RecordingError) { try await recorder.begin() } catch {
            members[key] = nil
            throw error
        }
        stems.append(recorder.stem)
    }

    /// A stream leaves; what there is of it stays in the recording. false: it is not in it.
    func remove(_ mediaSessionID: String) -> Bool {
        guard let recorder = members.removeValue(forKey: mediaSessionID) else { return false }
        leaving.append(Task { await recorder.endMember() })
        return true
    }

    func tracksChanged(_ mediaSessionID: String) async { await members[mediaSessionID]?.tracksChanged() }

    func pump() async { for recorder in members.values { await recorder.pump() } }

    /// Ends all streams' recordings and puts the file together. `nil` when nothing was recorded.
    func finish() async -> FinishedRecord? {
        guard !isOver else { return nil }
        isOver = true
        for key in members.keys.sorted() { _ = remove(key) }
        var parts: [GroupPart] = []
        for task in leaving { parts += await task.value }
        let record = await assembler.assemble(uri: uri, parts: parts, startTime: startTime, isRepair: false)
        if record != nil || parts.isEmpty { for stem in stems { assembler.folder.forget(stem: stem) } }
        return record
    }
}

/// Puts the parts of a group into one file with a name. The same for a group that ended and for one found after a crash.
struct GroupAssembler: Sendable {
    let folder: RecordFolder
    let pool: WorkerPool
    let logger: Logger

    /// `multi-recorder://room-1` → `multi-recorder___room-1.mkv`.
    static func fileName(of uri: String, number: Int) -> String {
        let stem = RecordTemplate.fileName(uri.replacingOccurrences(of: "://", with: "___"), endingBytes: 16)
        return stem + (number > 1 ? "_\(number)" : "") + ".mkv"
    }

    func assemble(uri: String, parts: [GroupPart], startTime: Int64, isRepair: Bool) async -> FinishedRecord? {
        guard let first = parts.map(\.time).min() else { return nil }
        let target = "\(folder.spool)/\(UUID().uuidString.lowercased()).mkv.done"
        var request = MergingJob.Request(target: target, thumbnail: target + ".jpg")
        for part in parts.sorted(by: { $0.time < $1.time }) {
            let offset = part.time.span(since: first).microseconds
            request.sources.append(MediaMerger.Source(
                path: "\(folder.spool)/\(part.file)", offset: offset, title: part.facts.login,
                tags: ["LOGIN": part.facts.login, "STREAM": part.facts.streamName, "START": "\(offset / 1000)"]))
        }
        do {
            let reply = try await pool.run(kind: MergingJob.name, request: request.encoded, origin: WorkerOrigin(owner: uri), deadline: .now + Recorder.finishingTime)
            let summary = try MediaSummary(decoding: reply)
            var facts = RecordFacts(streamName: uri, mediaSessionID: "", sessionID: "", login: "", room: parts.compactMap(\.facts.room).first)
            facts.startTime = startTime
            var record = FinishedRecord(fileName: "", facts: facts, startTime: startTime, endTime: startTime.addingSaturating(summary.milliseconds))
            record.milliseconds = summary.milliseconds
            record.bytes = summary.bytes
            (record.width, record.height) = (summary.width, summary.height)
            (record.videoCodec, record.audioCodec) = (summary.videoCodec, summary.audioCodec)
            record.videoFrames = summary.videoFrames
            record.isRepaired = isRepair
            for part in parts.sorted(by: { $0.time < $1.time }) where !record.participants.contains(part.facts.login) { record.participants.append(part.facts.login) }
            record.fileName = try folder.publish(target, thumbnail: request.thumbnail) { Self.fileName(of: uri, number: $0) } about: { record.named($0) }
            for part in parts { unlink("\(folder.spool)/\(part.file)") }
            logger.info("recorded together", metadata: [
                "uri": "\(uri)", "file": "\(folder.path)/\(record.fileName)", "tracks": "\(summary.tracks)", "ms": "\(summary.milliseconds)",
            ])
            return record
        } catch {
            unlink(target)
            logger.error("recorded streams could not be put together; the next start tries again", metadata: ["uri": "\(uri)", "reason": "\(error)"])
            return nil
        }
    }
}
