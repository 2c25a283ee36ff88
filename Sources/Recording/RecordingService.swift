// SPDX-License-Identifier: Apache-2.0
// All recordings of the server: begun and ended by media session, fed a few times a second, repaired after a crash. Owned by the
// composition; asked by streams, REST and rooms.
import Foundation
import Logging
import MediaIO
import Primitives
import Synchronization
import Workers

public actor RecordingService {
    public struct Configuration: Sendable {
        public var folder: String
        public var formats = RecordFormats()
        /// Bytes that have to stay free on the disk; a recording ends before.
        public var minimumFree: Int64 = 512 << 20
        /// Bytes that the publishers of one address may have recorded by their own wish while the server runs; 0 = any amount.
        public var quotaPerAddress: Int64 = 0
        /// Told when a recording has ended by itself, before its stream: whose it is, and why, in words.
        var onStopped: @Sendable (RecordFacts, RecordingStop) -> Void = { _, _ in }

        public init(folder: String) { self.folder = folder }
    }

    public struct Counters: Sendable, Equatable {
        public var active = 0
        public var started = 0, finished = 0, failed = 0, repaired = 0, workerCrashes = 0, diskFull = 0
        /// Recordings ended or not begun because of the quota of an address.
        public var overQuota = 0
        public var droppedPackets = 0
    }

    /// Packets wait in the pipe for so long; the pipe holds more than ten times that at 20 Mbit/s.
    static let pumpPeriod = Duration.milliseconds(50)

    private struct Entry {
        let number: Int
        let recorder: Recorder
        let beginning: Task<Result<Void, RecordingError>, Never>
    }

    let taps: any StreamTapping
    let pool: WorkerPool
    let configuration: Configuration
    let logger: Logger
    private let onFinished: @Sendable (FinishedRecord) async -> Void
    let onGroupFinished: @Sendable (FinishedRecord) async -> Void
    private let onStopped: @Sendable (RecordFacts, RecordingStop) async -> Void
    /// By address, byte by byte.
    var groups: [ExactText: GroupRecorder] = [:]
    private var entries: [String: Entry] = [:]
    /// Recordings that are being brought to their end.
    private var ending: [Int: Task<[FinishedRecord], Never>] = [:]
    /// Those of `ending` that are recorders' own.
    private var endingRecorders: [Int: Recorder] = [:]
    private var lastEnding = 0, lastEntry = 0
    /// Recordings that have ended by themselves, by media session: whoever ends the stream asks for their files. The newest only.
    private var stopped: [(id: String, files: Task<[FinishedRecord], Never>)] = []
    private static let maximumStopped = 256
    /// Bytes of ended recordings that publishers had asked for, by address.
    private var usedBytes: [String: Int64] = [:]
    private static let maximumAddresses = 65_536
    private var pumps = 0
    private var pump: Task<Void, Never>?
    private var counted = Counters()
    private(set) var isShutDown = false

    /// - Parameters:
    ///   - onFinished: told of each file that is in the folder, before whoever ended the recording is.
    ///   - onGroupFinished: the same for files of groups; the stream's name is the group's address.
    ///   - onStopped: told of each recording that has ended before its stream.
    public init(
        taps: any StreamTapping, pool: WorkerPool, configuration: Configuration, logger: Logger,
        onFinished: @escaping @Sendable (FinishedRecord) async -> Void = { _ in },
        onGroupFinished: @escaping @Sendable (FinishedRecord) async -> Void = { _ in },
        onStopped: @escaping @Sendable (RecordFacts, RecordingStop) async -> Void = { _, _ in }
    ) {
        self.taps = taps
        self.pool = pool
        self.configuration = configuration
        self.logger = logger
        self.onFinished = onFinished
        self.onGroupFinished = onGroupFinished
        self.onStopped = onStopped
    }

    public nonisolated var folder: RecordFolder { RecordFolder(path: configuration.folder) }

    public var counters: Counters {
        var result = counted
        result.active = entries.count
        return result
    }
    public var workers: WorkerPool.Counters { get async { await pool.counters } }
    /// For tests.
    public var workerProcessIDs: [Int32] { get async { await pool.processIDs } }

    /// Media sessions that are recorded, and how their files will be called, as far as that is known.
    public var active: [(mediaSessionID: String, fileName: String)] {
        entries.map { ($0.key, $0.value.recorder.provisionalName) }.sorted { $0.0 < $1.0 }
    }

    // MARK: recording

    /// Begins to record. A recording of the same media session is ended first.
    public func start(_ request: RecordingRequest) async throws(RecordingError) {
        guard !isShutDown else { throw .shutDown }
        let id = request.facts.mediaSessionID
        if isOverQuota(request) {
            counted.overQuota += 1
            throw .quota
        }
        if entries[id] != nil { endInBackground(id) }
        stopped.removeAll { $0.id == id }
        lastEntry += 1
        let number = lastEntry
        var request = request
        request.facts.startTime = Recorder.wallClock()
        let recorder = Recorder(
            request, configuration: counting(configuration) { [weak self] _ in await self?.forget(id, number) }, taps: taps, pool: pool, logger: logger, onFinished: onFinished)
        // In the table at once, so that an end that comes while it begins finds it.
        let beginning = Task { () -> Result<Void, RecordingError> in
            do throws(RecordingError) { return .success(try await recorder.begin()) } catch { return .failure(error) }
        }
        entries[id] = Entry(number: number, recorder: recorder, beginning: beginning)
        counted.started += 1
        startPump()
        if case .failure(let error) = await beginning.value {
            if entries[id]?.recorder === recorder { entries[id] = nil }
            counted.failed += 1
            throw error
        }
    }

    /// Ends a recording and waits for its files; oldest first. `nil`: there is none.
    ///
    /// - Parameter patience: after this the answer is empty, and the files are finished in the background; `nil` = no bound.
    public func stop(_ mediaSessionID: String, patience: Duration? = nil) async -> [FinishedRecord]? {
        guard entries[mediaSessionID] != nil else { return nil }
        let files = endInBackground(mediaSessionID)
        guard let patience else { return await files.value }
        return await withCheckedContinuation { continuation in
            let once = FirstAnswer(continuation)
            Task { once.give(await files.value) }
            Task {
                try? await Task.sleep(for: patience)
                once.give([])
            }
        }
    }

    /// The files of a stream that ends: of the recording that runs, or of one that has ended by itself. `nil`: there was none.
    public func stopOfEndedStream(_ mediaSessionID: String) async -> [FinishedRecord]? {
        for group in groups.values { _ = await group.remove(mediaSessionID) }
        if let records = await stop(mediaSessionID) { return records }
        guard let index = stopped.firstIndex(where: { $0.id == mediaSessionID }) else { return nil }
        return await stopped.remove(at: index).files.value
    }

    /// A recording has ended by itself: it is none any more, and its files are finished.
    private func forget(_ id: String, _ number: Int) {
        guard entries[id]?.number == number else { return }
        stopped.append((id, endInBackground(id)))
        if stopped.count > Self.maximumStopped { stopped.removeFirst() }
    }

    // MARK: quota

    private func isOverQuota(_ request: RecordingRequest) -> Bool {
        configuration.quotaPerAddress > 0 && request.isAskedForByPublisher
            && usedSoFar()[request.source.address, default: 0] >= configuration.quotaPerAddress
    }

    /// What publishers' recordings that have ended, are being finished and run have used, by address.
    private func usedSoFar() -> [String: Int64] {
        var used = usedBytes
        for recorder in Array(endingRecorders.values) + entries.values.map(\.recorder) where recorder.request.isAskedForByPublisher {
            used[recorder.request.source.address, default: 0] += recorder.bytesRecorded
        }
        return used
    }

    /// Ends the recordings of addresses that have used up what they may.
    private func enforceQuota() async {
        guard configuration.quotaPerAddress > 0 else { return }
        let used = usedSoFar(), running = entries.filter { $0.value.recorder.request.isAskedForByPublisher }
        for (id, entry) in running where used[entry.recorder.request.source.address, default: 0] >= configuration.quotaPerAddress {
            counted.overQuota += 1
            let facts = entry.recorder.request.facts
            logger.warning("recording stopped: its publisher's address has recorded as much as it may (record_quota_per_address)", metadata: [
                "stream": "\(facts.streamName)", "address": "\(entry.recorder.request.source.address)",
            ])
            forget(id, entry.number)
            await onStopped(facts, .quota)
        }
    }

    private func countUse(_ recorder: Recorder) {
        guard recorder.request.isAskedForByPublisher, configuration.quotaPerAddress > 0 else { return }
        let address = recorder.request.source.address
        guard usedBytes[address] != nil || usedBytes.count < Self.maximumAddresses else { return }
        usedBytes[address, default: 0] += recorder.bytesRecorded
    }

    /// The tracks of a recorded stream have changed: each of its recordings, a group's included, goes on in a new file.
    public func tracksChanged(_ mediaSessionID: String) async {
        if let entry = entries[mediaSessionID], case .success = await entry.beginning.value { await entry.recorder.tracksChanged() }
        for group in groups.values { await group.tracksChanged(mediaSessionID) }
    }

    public func isRecording(_ mediaSessionID: String) -> Bool { entries[mediaSessionID] != nil }

    @discardableResult
    private func endInBackground(_ id: String) -> Task<[FinishedRecord], Never> {
        guard let entry = entries.removeValue(forKey: id) else { return Task { [] } }
        lastEnding += 1
        let number = lastEnding
        let task = Task { () -> [FinishedRecord] in
            let begun = await entry.beginning.value
            var records: [FinishedRecord] = []
            if case .success = begun { records = await entry.recorder.end() }
            await ended(number, entry.recorder, records)
            return records
        }
        ending[number] = task
        endingRecorders[number] = entry.recorder
        return task
    }

    private func ended(_ number: Int, _ recorder: Recorder, _ records: [FinishedRecord]) async {
        ending[number] = nil
        endingRecorders[number] = nil
        countUse(recorder)
        counted.finished += records.count
        counted.workerCrashes += await recorder.crashCount
        counted.droppedPackets += await recorder.bytesDropped
    }

    /// Is waited for at the end.
    func endGroupTask(_ task: Task<Void, Never>) {
        lastEnding += 1
        let number = lastEnding
        ending[number] = Task {
            await task.value
            await forgetEnding(number)
            return []
        }
    }

    private func forgetEnding(_ number: Int) { ending[number] = nil }

    /// With ends before the stream's told and counted here.
    /// - Parameter forget: takes the recording off the books.
    func counting(_ configuration: Configuration, forget: @escaping @Sendable (RecordFacts) async -> Void) -> Configuration {
        var configuration = configuration
        configuration.onStopped = { [weak self] facts, stop in
            Task {
                await forget(facts)
                await self?.noteStopped(facts, stop)
            }
        }
        return configuration
    }

    private func noteStopped(_ facts: RecordFacts, _ stop: RecordingStop) async {
        if stop == .diskFull { counted.diskFull += 1 }
        await onStopped(facts, stop)
    }

    // MARK: feeding

    func startPump() {
        guard pump == nil else { return }
        pump = Task { [weak self] in
            while !Task.isCancelled {
                try? await Task.sleep(for: Self.pumpPeriod)
                guard let self, await self.pumpAll() else { return }
            }
        }
    }

    /// false when there is nothing left to feed.
    private func pumpAll() async -> Bool {
        for entry in entries.values { await entry.recorder.pump() }
        for group in groups.values { await group.pump() }
        pumps += 1
        // About once a second.
        if pumps % 20 == 0 { await enforceQuota() }
        let isIdle = entries.isEmpty && groups.isEmpty
        if isIdle { pump = nil }
        return !isIdle
    }

    // MARK: beginning and end of the server

    /// Finishes what an earlier run has left unfinished.
    public func repair() async {
        do { try folder.prepare() } catch {
            return logger.error("the folder of records can't be made", metadata: ["folder": "\(folder.path)", "reason": "\(error.localizedDescription)"])
        }
        let left = folder.unfinished()
        let finisher = RecordFinisher(folder: folder, pool: pool, minimumFree: configuration.minimumFree, origin: WorkerOrigin(owner: "repair"), logger: logger)
        await repairGroups(left.filter { $0.record?.group != nil })
        for (stem, record, parts) in left where record?.group == nil {
            for (number, file) in parts {
                guard !isShutDown else { return }
                var info = stat()
                stat("\(folder.spool)/\(file)", &info)
                let end = Int64(info.st_mtim.tv_sec) * 1000
                var facts = record?.facts ?? RecordFacts(streamName: "recovered", mediaSessionID: stem, sessionID: "", login: "")
                facts.startTime = record?.partStarts[number] ?? (facts.startTime > 0 ? facts.startTime : end)
                guard let template = record?.template ?? RecordTemplate("{streamName}-{mediaSessionId}") else { continue }
                if let done = await finisher.finish(
                    file, facts: facts, template: template, size: (0, 0), endTime: end, isRepair: true, timeLimit: Recorder.finishingTime) {
                    counted.repaired += 1
                    await onFinished(done)
                }
            }
            if !folder.hasParts(of: stem) { folder.forget(stem: stem) }
        }
    }

    /// Ends all recordings and waits for them, up to `patience`; the rest is repaired at the next start.
    public func shutdown(patience: Duration = .seconds(2)) async {
        isShutDown = true
        for id in entries.keys.sorted() { endInBackground(id) }
        let tasks = Array(ending.values), addresses = groups.keys.map(\.text).sorted()
        if !tasks.isEmpty || !addresses.isEmpty {
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    for task in tasks { _ = await task.value }
                    for address in addresses { await self.endGroup(address) }
                }
                group.addTask { try? await Task.sleep(for: patience) }
                await group.next()
                group.cancelAll()
                // Those that wait are let go by the pool's end.
                await pool.shutdown()
            }
        }
        await pool.shutdown()
    }
}

/// Resumes a continuation once, with whatever is there first.
private final class FirstAnswer<Value: Sendable>: Sendable {
    private let continuation: Mutex<CheckedContinuation<Value, Never>?>

    init(_ continuation: CheckedContinuation<Value, Never>) { self.continuation = Mutex(continuation) }

    func give(_ value: Value) {
        let waiting = continuation.withLock { continuation in
            defer { continuation = nil }
            return continuation
        }
        waiting?.resume(returning: value)
    }
}
