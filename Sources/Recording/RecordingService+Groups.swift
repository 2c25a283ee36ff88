// SPDX-License-Identifier: Apache-2.0
// Recordings of several streams in one file: a room, or whatever REST puts together.
import Foundation
import Primitives

extension RecordingService {
    /// Begins one, without streams yet. false: one of that address runs.
    public func startGroup(_ uri: String) throws(RecordingError) -> Bool {
        guard !isShutDown else { throw .shutDown }
        guard groups[ExactText(uri)] == nil else { return false }
        let configuration = counting(groupConfiguration) { [weak self] facts in _ = await self?.remove(facts.mediaSessionID, fromGroup: uri) }, taps = taps, pool = pool, logger = logger
        groups[ExactText(uri)] = GroupRecorder(uri: uri, assembler: assembler) { request in
            // Its parts are no files of their own, so nobody is told of them.
            Recorder(request, configuration: configuration, taps: taps, pool: pool, logger: logger, onFinished: { _ in })
        }
        return true
    }

    /// A stream joins. `nil` for the group: there is none of that address.
    public func add(_ request: RecordingRequest, toGroup uri: String) async throws(RecordingError) {
        guard let group = groups[ExactText(uri)] else { throw .notRecording }
        startPump()
        try await group.add(request)
    }

    /// A stream leaves. `nil`: there is no such group; false: it is not in it.
    public func remove(_ mediaSessionID: String, fromGroup uri: String) async -> Bool? {
        guard let group = groups[ExactText(uri)] else { return nil }
        return await group.remove(mediaSessionID)
    }

    /// Ends one and waits for its file. `nil`: there is none of that address, or nothing was recorded.
    @discardableResult
    public func endGroup(_ uri: String) async -> FinishedRecord? {
        guard let group = groups.removeValue(forKey: ExactText(uri)) else { return nil }
        let record = await group.finish()
        if let record { await onGroupFinished(record) }
        return record
    }

    /// The same without waiting: the address is free at once.
    public func endGroupInBackground(_ uri: String) {
        guard let group = groups.removeValue(forKey: ExactText(uri)) else { return }
        let onGroupFinished = onGroupFinished
        endGroupTask(Task {
            if let record = await group.finish() { await onGroupFinished(record) }
        })
    }

    public func hasGroup(_ uri: String) -> Bool { groups[ExactText(uri)] != nil }

    /// The groups that run, by address.
    public var activeGroups: [(uri: String, fileName: String, mediaSessionIDs: [String])] {
        get async {
            var result: [(uri: String, fileName: String, mediaSessionIDs: [String])] = []
            for group in groups.values { result.append((group.uri, group.fileName, await group.mediaSessionIDs)) }
            return result.sorted { $0.uri < $1.uri }
        }
    }

    var assembler: GroupAssembler { GroupAssembler(folder: folder, pool: pool, logger: logger) }

    /// Everything goes into Matroska, which takes every codec as it is.
    private var groupConfiguration: Configuration {
        var configuration = configuration
        configuration.formats = RecordFormats("h264-mkv,vp8-mkv,vp9-mkv,av1-mkv") ?? configuration.formats
        return configuration
    }

    /// Puts together what groups of an earlier run have left.
    func repairGroups(_ left: [(stem: String, record: UnfinishedRecord?, parts: [(number: Int, file: String)])]) async {
        for (_, members) in Dictionary(grouping: left, by: { $0.record?.group?.id ?? "" }) {
            guard let note = members.first?.record?.group else { continue }
            var parts: [GroupPart] = []
            // All of a group are of one run, so that its monotonic clock places them, unless an old version wrote the notes.
            let hasTimes = members.allSatisfy { member in member.parts.allSatisfy { member.record?.partTimes?[$0.number] != nil } }
            for member in members {
                guard let record = member.record else { continue }
                for (number, file) in member.parts {
                    let start = record.partStarts[number] ?? record.facts.startTime
                    let time = hasTimes ? record.partTimes?[number].map(Instant.init(nanoseconds:)) : nil
                    parts.append(GroupPart(file: file, time: time ?? Instant(milliseconds: start), facts: record.facts))
                }
            }
            let done = await assembler.assemble(uri: note.uri, parts: parts, startTime: note.startTime, isRepair: true)
            guard done != nil || parts.isEmpty else { continue }
            for member in members { folder.forget(stem: member.stem) }
            if let done { await onGroupFinished(done) }
        }
    }
}
