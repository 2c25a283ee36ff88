// SPDX-License-Identifier: Apache-2.0
// One recording on the server's side: a tap on the stream, a job in a worker process, and the files that come of it. When the
// worker dies the next one goes on in a new file. Owned by RecordingService.
import Clocks
import Codecs
import Foundation
import Logging
import MediaIO
import Primitives
import RTP
import Synchronization
import Workers

/// What is to be recorded, and how.
public struct RecordingRequest: Sendable {
    public var stream: StreamHandle
    public var facts: RecordFacts
    public var template: RecordTemplate
    public var rotation = RecordRotation()
    /// What has arrived on the stream within this much belongs to the recording.
    public var backlog = TimeSpan.milliseconds(300)
    /// On the monotonic clock: the file begins there, before the stream did. `nil`: with the stream.
    public var origin: Instant?
    /// Whose media it is: nobody else's is in the same worker process.
    public var source = WorkerOrigin()
    /// The publisher asked for it: what it may fill of the disk is bounded by `Configuration.quotaPerAddress`.
    public var isAskedForByPublisher = false
    /// Its files are parts of a group's, which will put them together.
    var group: GroupNote?

    public init(stream: StreamHandle, facts: RecordFacts, template: RecordTemplate) {
        self.stream = stream
        self.facts = facts
        self.template = template
    }
}

actor Recorder {
    /// Workers that may die within this time before the recording is given up.
    static let crashWindow = Duration.seconds(120)
    static let maximumCrashes = 5
    /// A worker process is waited for by this much where all are taken.
    static let startPatience = Duration.seconds(2)
    /// After a change of tracks a new video track is recorded from its first frame on, which may have come this long ago.
    static let changeBacklog = TimeSpan.seconds(2)
    /// A finished part is copied within this time, or used as it is.
    static let finishingTime = Duration.seconds(1800)

    /// A file on its way.
    private struct Part {
        var file: String
        /// ms since 1970.
        var start: Int64
        /// The same on the monotonic clock.
        var time: Instant
        var width = 0, height = 0
    }

    let request: RecordingRequest
    let stem: String
    private let configuration: RecordingService.Configuration
    private let folder: RecordFolder
    private let taps: any StreamTapping
    private let pool: WorkerPool
    private let onFinished: @Sendable (FinishedRecord) async -> Void
    private var logger: Logger
    private var pipe = PacketPipe()
    private var tap: StreamTap?
    private var job: WorkerJob?
    private var nextPart = 1
    private var parts: [Int: Part] = [:]
    private var groupParts: [GroupPart] = []
    private var finishing: [Task<FinishedRecord?, Never>] = []
    private var follower: Task<Void, Never>?
    private var hasBegun = false
    private var waitingForBegin: [CheckedContinuation<Void, Never>] = []
    /// The newest change of tracks.
    private var changing: Task<Void, Never>?
    private var crashes: [ContinuousClock.Instant] = []
    private var unfinished: UnfinishedRecord
    private var reportedDrops = 0
    /// Bytes of media handed to the worker: about the size of its files.
    nonisolated var bytesRecorded: Int64 { recorded.load(ordering: .relaxed) }
    private let recorded = Atomic<Int64>(0)
    /// Nothing is recorded any more.
    private(set) var isOver = false
    private(set) var crashCount = 0

    init(
        _ request: RecordingRequest, configuration: RecordingService.Configuration, taps: any StreamTapping, pool: WorkerPool,
        logger: Logger, onFinished: @escaping @Sendable (FinishedRecord) async -> Void
    ) {
        self.request = request
        self.configuration = configuration
        folder = RecordFolder(path: configuration.folder)
        self.taps = taps
        self.pool = pool
        self.onFinished = onFinished
        stem = UUID().uuidString.lowercased()
        unfinished = UnfinishedRecord(facts: request.facts, template: request.template, group: request.group)
        self.logger = logger
        self.logger[metadataKey: "stream"] = "\(request.facts.streamName)"
        self.logger[metadataKey: "media_session"] = "\(request.facts.mediaSessionID)"
    }

    /// The name as it is known so far.
    nonisolated var provisionalName: String {
        request.template.name(request.facts, end: nil, milliseconds: nil, audioCodec: nil, videoCodec: nil, fileExtension: "mp4")
    }
    var bytesDropped: Int { pipe.droppedRecords }

    // MARK: life

    /// Sets the tap and starts the worker's job. Changes of tracks, and the end, wait for it.
    func begin() async throws(RecordingError) {
        defer {
            hasBegun = true
            for waiter in waitingForBegin { waiter.resume() }
            waitingForBegin = []
        }
        do {
            try folder.prepare()
            try folder.note(unfinished, stem: stem)
            folder.reserve(stem: stem)
        } catch {
            throw .file(folder.path, error.localizedDescription)
        }
        do throws(EngineError) {
            tap = try await taps.tap(request.stream, into: pipe, backlog: request.backlog)
        } catch {
            folder.forget(stem: stem)
            switch error {
            case .noSuchStream: throw .noSuchStream
            case .notReady: throw .notReady
            default: throw .failed("\(error)")
            }
        }
        do throws(RecordingError) {
            try await openJob()
        } catch {
            await close()
            folder.forget(stem: stem)
            throw error
        }
    }

    private func begun() async {
        guard !hasBegun else { return }
        await withCheckedContinuation { waitingForBegin.append($0) }
    }

    private func openJob() async throws(RecordingError) {
        guard let tap else { throw .notReady }
        let tracks = tap.tracks.map { format in
            RecordingOrder.Track(
                codec: CodecKind(encodingName: format.codec.name), clockRate: format.codec.clockRate, channels: format.codec.channels,
                parameterSets: format.described.parameters["sprop-parameter-sets"] ?? format.codec.parameters["config"],
                aac: format.aacPayload ?? AACPayloadFormat())
        }
        guard !tracks.contains(where: { $0.codec == .h265 }) else { throw .noSuchPictures("H.265") }
        guard tracks.contains(where: { $0.codec != .other }) else { throw .nothingToRecord }
        var order = RecordingOrder(folder: folder.spool, stem: stem, firstPart: nextPart, tracks: tracks, formats: configuration.formats)
        order.maximumBytes = request.rotation.bytes
        order.maximumMilliseconds = request.rotation.milliseconds
        order.minimumFree = configuration.minimumFree
        order.origin = request.origin
        order.weighsArrivals = tap.isFromPublisher
        order.title = request.facts.streamName
        let job: WorkerJob
        do throws(WorkerError) {
            job = try await pool.open(
                kind: RecordingJob.name, parameters: order.encoded, origin: request.source, affinity: stem, patience: Self.startPatience,
                maximumUnconsumed: 64 << 20, maximumOutputs: 4096)
        } catch {
            if error == .busy { throw .busy }
            throw error == .cancelled ? .shutDown : .failed("\(error)")
        }
        guard !isOver else {
            job.cancel()
            throw .shutDown
        }
        self.job = job
        let before = follower
        follower = Task {
            // What an earlier worker still reports of its last file.
            await before?.value
            await follow(job)
        }
    }

    /// The stream has other tracks: what there is of the old ones is finished, and the recording goes on in a new file.
    func tracksChanged() async {
        let before = changing
        let task = Task {
            await begun()
            await before?.value
            await changeTracks()
        }
        changing = task
        await task.value
    }

    /// The new tap is set before the old one is taken away, so that nothing is missing between the files.
    private func changeTracks() async {
        guard !isOver, let old = tap else { return }
        let newPipe = PacketPipe()
        var choice = TapChoice()
        choice.beginsTogether = true
        let next: StreamTap
        do throws(EngineError) {
            next = try await taps.tap(request.stream, into: newPipe, backlog: Self.changeBacklog, choice: choice)
        } catch {
            return logger.debug("the recording keeps its tracks", metadata: ["reason": "\(error)"])
        }
        let isOther = !isOver && next.numbers != old.numbers
        await taps.removeEndpoint(isOther ? old.id : next.id)
        // The same tracks: two changes came together.
        guard isOther else { return }
        pump()
        job?.finish()
        (job, pipe, tap) = (nil, newPipe, next)
        // The old worker may still begin a file of the next number.
        nextPart += 1
        do throws(RecordingError) { try await openJob() } catch {
            logger.error("recording given up: its new tracks can't be recorded", metadata: ["reason": "\(error)"])
            configuration.onStopped(request.facts, .givenUp)
            await close()
        }
    }

    /// Hands on what has arrived. Called a few times a second; never waits.
    func pump() {
        guard let job else { return }
        let bytes = pipe.read()
        recorded.add(Int64(bytes.count), ordering: .relaxed)
        if !bytes.isEmpty, !job.send(bytes) { logger.debug("the recording worker does not keep up") }
        let dropped = pipe.droppedRecords + job.dropped.inputs
        if dropped > reportedDrops {
            logger.warning("packets are missing in a recording: the worker does not keep up", metadata: ["lost": "\(dropped - reportedDrops)"])
            reportedDrops = dropped
        }
    }

    /// Ends the recording and waits until its files are in the folder.
    func end() async -> [FinishedRecord] {
        await begun()
        await changing?.value
        if !isOver {
            isOver = true
            if let tap { await taps.removeEndpoint(tap.id) }
            pump()
            job?.finish()
        }
        await follower?.value
        return await finishedParts()
    }

    /// The same for one of a group: what there is of it.
    func endMember() async -> [GroupPart] {
        _ = await end()
        return groupParts
    }

    private func finishedParts() async -> [FinishedRecord] {
        var records: [FinishedRecord] = []
        // What a dead worker left behind.
        for number in parts.keys.sorted() { finish(number) }
        for task in finishing { if let record = await task.value { records.append(record) } }
        // A group's notes are needed until its file is complete, and those of parts whose last step was cut short by whoever finds them.
        if request.group == nil, !folder.hasParts(of: stem) { folder.forget(stem: stem) }
        return records.sorted { $0.startTime < $1.startTime }
    }

    private func close() async {
        isOver = true
        if let tap { await taps.removeEndpoint(tap.id) }
        job?.cancel()
        job = nil
    }

    // MARK: the worker

    private func follow(_ job: WorkerJob) async {
        do {
            for try await output in job.outputs { try take(RecordingReport(decoding: output)) }
            if !isOver, self.job === job {
                // Nobody asked it to end.
                configuration.onStopped(request.facts, .givenUp)
                await close()
            }
        } catch {
            // One that was only to finish its file has been followed by another already.
            guard isOver || self.job === job else { return logger.error("the end of a part may be missing", metadata: ["reason": "\(error)"]) }
            await recover(from: error)
        }
    }

    private func take(_ report: RecordingReport) {
        switch report {
        case .began(let number, let file, let time):
            // A worker reads what peers send: it names files of its own only.
            guard isOwn(file, number) else {
                return logger.error("a recording worker tells of a file that is not its own", metadata: ["file": "\(file)", "part": "\(number)"])
            }
            // The time is one of the monotonic clock.
            let start = Self.wallClock(at: time)
            parts[number] = Part(file: file, start: start, time: time)
            nextPart = max(nextPart, number + 1)
            unfinished.partStarts[number] = start
            unfinished.partTimes = (unfinished.partTimes ?? [:]).merging([number: time.nanoseconds]) { $1 }
            try? folder.note(unfinished, stem: stem)
            logger.info("recording", metadata: ["file": "\(file)", "part": "\(number)"])
        case .ended(let number, let end, let width, let height, let reason):
            parts[number]?.width = width
            parts[number]?.height = height
            finish(number)
            if end == .diskFull {
                logger.error("recording stopped: the disk is full; the stream goes on", metadata: ["reason": "\(reason)"])
                configuration.onStopped(request.facts, .diskFull)
            }
        case .keyFrameWanted: taps.requestKeyFrame(of: request.stream)
        }
    }

    private func isOwn(_ file: String, _ number: Int) -> Bool {
        MediaContainer.allCases.contains { file == "\(stem)-\(number).\($0.fileExtension)" }
    }

    /// The worker has died, or said that it can't go on.
    private func recover(from error: any Error) async {
        job = nil
        crashCount += 1
        for number in parts.keys.sorted() { finish(number) }
        if isOver || error as? WorkerError == .cancelled {
            if !isOver { await close() }
            return logger.error("the end of a recording may be missing", metadata: ["reason": "\(error)"])
        }
        let now = ContinuousClock.now
        crashes = crashes.filter { now - $0 < Self.crashWindow } + [now]
        guard crashes.count <= Self.maximumCrashes else {
            logger.error("recording given up: its workers keep failing", metadata: ["reason": "\(error)"])
            configuration.onStopped(request.facts, .givenUp)
            return await close()
        }
        logger.warning("the recording's worker is gone; going on in a new file", metadata: ["reason": "\(error)"])
        do throws(RecordingError) {
            // A part that never told its beginning may have used the number.
            nextPart += 1
            try await openJob()
            taps.requestKeyFrame(of: request.stream)
        } catch {
            guard !isOver else { return logger.error("the end of a recording may be missing", metadata: ["reason": "\(error)"]) }
            logger.error("recording given up", metadata: ["reason": "\(error)"])
            configuration.onStopped(request.facts, .givenUp)
            await close()
        }
    }

    // MARK: finished files

    private func finish(_ number: Int) {
        guard let part = parts.removeValue(forKey: number) else { return }
        guard request.group == nil else {
            groupParts.append(GroupPart(file: part.file, time: part.time, facts: request.facts))
            return
        }
        let finisher = RecordFinisher(folder: folder, pool: pool, minimumFree: configuration.minimumFree, origin: request.source, logger: logger)
        var facts = request.facts
        facts.startTime = part.start
        let onFinished = onFinished, unfinished = unfinished
        let timeLimit = Self.finishingTime
        finishing.append(Task {
            let record = await finisher.finish(
                part.file, facts: facts, template: unfinished.template, size: (part.width, part.height), endTime: Self.wallClock(),
                isRepair: false, timeLimit: timeLimit)
            if let record { await onFinished(record) }
            return record
        })
    }

    /// ms since 1970.
    static func wallClock() -> Int64 { WallClock.now().milliseconds }

    /// ms since 1970 of a moment of the monotonic clock. A thread that is put aside between the two readings tries again.
    static func wallClock(at time: Instant) -> Int64 {
        var best = (gap: TimeSpan.max, start: WallTime(nanoseconds: 0))
        for _ in 0..<5 where best.gap > .microseconds(200) {
            let before = MonotonicClock.now(), wall = WallClock.now(), gap = MonotonicClock.now().span(since: before)
            if gap < best.gap { best = (gap, wall - (before + gap / 2).span(since: time)) }
        }
        return best.start.milliseconds
    }
}
