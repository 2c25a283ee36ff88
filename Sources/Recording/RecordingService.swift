// All recordings of the server: begun and ended by media session, fed a few times a second, repaired after a crash. Owned by the
// composition; asked by streams, REST and rooms.
import Foundation
import Logging
import MediaIO
import Workers

public actor RecordingService {
    public struct Configuration: Sendable {
        public var folder: String
        public var formats = RecordFormats()
        /// Bytes that have to stay free on the disk; a recording ends before.
        public var minimumFree: Int64 = 512 << 20
        /// Told when a recording has ended by itself, before its stream: whose it is, and why, in words.
        var onStopped: @Sendable (RecordFacts, RecordingStop) -> Void = { _, _ in }

        public init(folder: String) { self.folder = folder }
    }

    public struct Counters: Sendable, Equatable {
        public var active = 0
        public var started = 0, finished = 0, failed = 0, repaired = 0, workerCrashes = 0, diskFull = 0
        public var droppedPackets = 0
    }

    /// Packets wait in the pipe for so long; the pipe holds more than ten times that at 20 Mbit/s.
    static let pumpPeriod = Duration.milliseconds(50)

    private struct Entry {
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
    var groups: [String: GroupRecorder] = [:]
    private var entries: [String: Entry] = [:]
    /// Recordings that are being brought to their end.
    private var ending: [Int: Task<[FinishedRecord], Never>] = [:]
    private var lastEnding = 0
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
        if entries[id] != nil { endInBackground(id) }
        var request = request
        request.facts.startTime = Recorder.wallClock()
        let recorder = Recorder(
            request, configuration: counting(configuration), taps: taps, pool: pool, logger: logger, onFinished: onFinished)
        // In the table at once, so that an end that comes while it begins finds it.
        let beginning = Task { () -> Result<Void, RecordingError> in
            do throws(RecordingError) { return .success(try await recorder.begin()) } catch { return .failure(error) }
        }
        entries[id] = Entry(recorder: recorder, beginning: beginning)
        counted.started += 1
        startPump()
        if case .failure(let error) = await beginning.value {
            if entries[id]?.recorder === recorder { entries[id] = nil }
            counted.failed += 1
            throw error
        }
    }

    /// Ends a recording and waits for its files; oldest first. `nil`: there is none.
    public func stop(_ mediaSessionID: String) async -> [FinishedRecord]? {
        guard entries[mediaSessionID] != nil else { return nil }
        return await endInBackground(mediaSessionID).value
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
        return task
    }

    private func ended(_ number: Int, _ recorder: Recorder, _ records: [FinishedRecord]) async {
        ending[number] = nil
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
    func counting(_ configuration: Configuration) -> Configuration {
        var configuration = configuration
        configuration.onStopped = { [weak self] facts, stop in
            Task { await self?.noteStopped(facts, stop) }
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
        let finisher = RecordFinisher(folder: folder, pool: pool, minimumFree: configuration.minimumFree, logger: logger)
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
            folder.forget(stem: stem)
        }
    }

    /// Ends all recordings and waits for them, up to `patience`; the rest is repaired at the next start.
    public func shutdown(patience: Duration = .seconds(2)) async {
        isShutDown = true
        for id in entries.keys.sorted() { endInBackground(id) }
        let tasks = Array(ending.values), addresses = groups.keys.sorted()
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
