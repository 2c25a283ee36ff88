// SPDX-License-Identifier: Apache-2.0
// Pictures of what is on air: looks into the ring of a stream, has its newest group of pictures decoded by a worker, and serves
// everybody who asked meanwhile with the one result. Owned by the composition; asked by REST, sessions and the gallery.
import Codecs
import Foundation
import Logging
import MediaIO
import Primitives
import RTP
import Workers

public actor SnapshotService {
    public struct Configuration: Sendable {
        /// From the request to the answer, whatever it is.
        public var timeLimit = Duration.seconds(3)
        /// The picture must not be older than this when it is handed out.
        public var maximumAge = Duration.seconds(1)
        /// Requests waiting for an answer; more are refused.
        public var maximumWaiting = 512
        public init() {}
    }

    /// A source silent for this long may have frozen: something newer is waited for. Below the maximum age by what decoding takes.
    static let freshness = Duration.milliseconds(700)
    /// Decoding that is estimated to take longer is not begun at once; a key frame is asked for.
    static let cheapDecode = Duration.milliseconds(600)
    /// How long that key frame may take before the old group is decoded after all.
    static let keyFramePatience = Duration.milliseconds(600)
    static let pollPeriod = Duration.milliseconds(15)
    /// Until measured on the stream itself: nanoseconds to decode a pixel, frames a second.
    static let nanosecondsPerPixel = 3.0
    static let assumedFrameRate = 30.0
    /// A worker's decoder is taken for warm for so long after its last use.
    static let warmth = Duration.seconds(10)

    private typealias Waiter = CheckedContinuation<Result<Snapshot, SnapshotError>, Never>

    private struct Batch {
        var waiters: [Waiter]
        let deadline: ContinuousClock.Instant
    }

    /// What goes on for one stream.
    private struct Work {
        var running: [PictureFormat: Batch] = [:]
        var pending: [PictureFormat: Batch] = [:]
    }

    /// What is known from the last picture of a stream.
    private struct Memory {
        var groupStart: Int64
        /// Reactor's clock, ns: how far the worker's decoder has come.
        var decodedUntil: Instant
        var at: ContinuousClock.Instant
        var nanosecondsPerFrame: Double
    }

    private let video: any RecentVideoSource
    private let pool: WorkerPool
    private let configuration: Configuration
    private let logger: Logger
    private var works: [StreamHandle: Work] = [:]
    private var memories: [StreamHandle: Memory] = [:]
    private var waiting = 0
    private var isShutDown = false
    public private(set) var counters = SnapshotCounters()
    static let maximumMemories = 256

    public init(video: any RecentVideoSource, pool: WorkerPool, configuration: Configuration = Configuration(), logger: Logger) {
        self.video = video
        self.pool = pool
        self.configuration = configuration
        self.logger = logger
    }

    /// A picture of what the stream shows now, at most a second old.
    /// - Throws: within the time limit, whatever happens.
    public func take(_ stream: StreamHandle, as format: PictureFormat = PictureFormat()) async throws(SnapshotError) -> Snapshot {
        counters.requests += 1
        guard !isShutDown else { throw .shutDown }
        guard waiting < configuration.maximumWaiting else {
            counters.refused += 1
            throw .busy
        }
        waiting += 1
        let result = await withCheckedContinuation { enlist($0, stream, format) }
        waiting -= 1
        switch result {
        case .success: counters.taken += 1
        case .failure(.busy): counters.refused += 1
        case .failure: counters.failed += 1
        }
        return try result.get()
    }

    /// Answers everybody and takes no more.
    public func shutdown() async {
        isShutDown = true
        await pool.shutdown()
    }

    public var workers: WorkerPool.Counters { get async { await pool.counters } }

    // MARK: who waits for what

    private func enlist(_ waiter: Waiter, _ stream: StreamHandle, _ format: PictureFormat) {
        let deadline = ContinuousClock.now + configuration.timeLimit
        if works[stream] == nil {
            works[stream] = Work(pending: [format: Batch(waiters: [waiter], deadline: deadline)])
            Task { await self.work(on: stream) }
        } else if works[stream]?.running[format] != nil {
            works[stream]?.running[format]?.waiters.append(waiter)
        } else {
            works[stream]?.pending[format, default: Batch(waiters: [], deadline: deadline)].waiters.append(waiter)
        }
    }

    /// Serves one stream until nobody wants anything of it.
    private func work(on stream: StreamHandle) async {
        while let pending = works[stream]?.pending, !pending.isEmpty {
            let chosen = pending.sorted { $0.value.deadline < $1.value.deadline }.prefix(SnapshotRequest.maximumFormats)
            for (format, batch) in chosen {
                works[stream]?.pending[format] = nil
                works[stream]?.running[format] = batch
            }
            let formats = chosen.map(\.key)
            let deadline = chosen.first?.value.deadline ?? .now
            let result = await attempt(stream, formats, deadline)
            let served = works[stream]?.running ?? [:]
            works[stream]?.running = [:]
            for (index, format) in formats.enumerated() {
                let one = result.map { $0[index] }
                for waiter in served[format]?.waiters ?? [] { waiter.resume(returning: one) }
            }
        }
        works[stream] = nil
    }

    private func attempt(
        _ stream: StreamHandle, _ formats: [PictureFormat], _ deadline: ContinuousClock.Instant
    ) async -> Result<[Snapshot], SnapshotError> {
        do throws(SnapshotError) {
            return .success(try await pictures(of: stream, formats, until: deadline))
        } catch {
            memories[stream] = nil
            logger.debug("no snapshot", metadata: ["stream": "\(stream.rawValue)", "reason": "\(error)"])
            return .failure(error)
        }
    }

    // MARK: one picture

    private func pictures(
        of stream: StreamHandle, _ formats: [PictureFormat], until deadline: ContinuousClock.Instant
    ) async throws(SnapshotError) -> [Snapshot] {
        let start = ContinuousClock.now
        var missing = "nothing has arrived from the publisher yet"
        /// A group that a worker could make nothing of.
        var worthless: Int64 = 0
        while true {
            guard !isShutDown else { throw .shutDown }
            switch await video.recentVideoSummary(of: stream) {
            case .noStream: throw .noSuchStream
            case .noVideo: throw .noVideo
            case .noTracks: break
            case .video(let summary):
                guard let codec = VideoCodec(summary.codec) else { throw .unsupportedCodec(summary.codecName) }
                if let reason = obstacle(summary, stream, worthless, waited: .now - start) {
                    missing = reason
                    counters.keyFrameRequests += 1
                    video.requestKeyFrame(of: stream)
                } else {
                    switch try await decode(stream, codec, formats, until: deadline) {
                    case .done(let snapshots): return snapshots
                    case .worthless(let group, let reason):
                        worthless = group
                        missing = reason
                        video.requestKeyFrame(of: stream)
                    case .again: break
                    }
                }
            }
            guard .now + Self.pollPeriod < deadline else { throw .timedOut(missing) }
            try? await Task.sleep(for: Self.pollPeriod)
        }
    }

    /// Why the group in the ring is not the one to decode; `nil` when it is.
    private func obstacle(_ summary: RecentVideoSummary, _ stream: StreamHandle, _ worthless: Int64, waited: Duration) -> String? {
        guard summary.newest > 0 else { return "nothing has arrived from the publisher yet" }
        let silence = summary.now.span(since: summary.newestArrival).duration
        if silence > Self.freshness {
            return "the publisher has sent no picture for \(silence.formatted(.units(allowed: [.seconds], fractionalPart: .show(length: 1))))"
        }
        guard summary.keyFrameStart > 0 else { return "no key frame has come from the publisher" }
        guard summary.keyFrameStart != worthless else { return "the video can't be decoded and no other key frame came" }
        if waited < Self.keyFramePatience, decodeTime(summary, stream) > Self.cheapDecode { return "a key frame is awaited" }
        return nil
    }

    /// An estimate, by the age of the group or of what the worker has decoded already.
    private func decodeTime(_ summary: RecentVideoSummary, _ stream: StreamHandle) -> Duration {
        let pixels = Double(summary.width > 0 ? summary.width * summary.height : 1280 * 720)
        var since = summary.keyFrameArrival
        var perFrame = pixels * Self.nanosecondsPerPixel
        if let memory = memories[stream] {
            perFrame = memory.nanosecondsPerFrame
            if memory.groupStart == summary.keyFrameStart, .now - memory.at < Self.warmth { since = memory.decodedUntil }
        }
        return .nanoseconds(Int64(summary.newestArrival.span(since: since).seconds * Self.assumedFrameRate * perFrame))
    }

    private enum Outcome {
        case done([Snapshot])
        /// Nothing of this group can be shown.
        case worthless(group: Int64, String)
        /// No picture is there yet, or it took so long that it is old by now; the next time goes quickly.
        case again
    }

    private func decode(
        _ stream: StreamHandle, _ codec: VideoCodec, _ formats: [PictureFormat], until deadline: ContinuousClock.Instant
    ) async throws(SnapshotError) -> Outcome {
        guard let recent = await video.recentVideo(of: stream) else { return .again }
        let copied = ContinuousClock.now
        let summary = recent.summary
        let request = SnapshotRequest(
            stream: stream.rawValue, codec: codec, extradata: Self.annexB(summary.parameterSets), groupStart: summary.keyFrameStart,
            formats: formats, packets: recent.packets)
        let reply: SnapshotReply
        do throws(WorkerError) {
            reply = try SnapshotReply(decoding: try await pool.run(
                kind: SnapshotWorker.name, request: request.encoded, affinity: "\(stream.rawValue)", deadline: deadline))
            guard reply.pictures.isEmpty || reply.pictures.count == formats.count else { throw .malformed("\(reply.pictures.count) pictures") }
        } catch {
            counters.decodes += 1
            memories[stream] = nil
            switch error {
            case .failed(let reason): return .worthless(group: summary.keyFrameStart, reason)
            case .busy: throw .busy
            case .cancelled: throw .shutDown
            case .timedOut: throw .timedOut("the video could not be decoded quickly enough")
            case .crashed, .notStarted, .malformed: throw .failed("\(error)")
            }
        }
        guard !reply.pictures.isEmpty else {
            // A key frame takes its time to arrive, many packets as it is; one that is still not whole has lost some of them.
            let arriving = summary.now.span(since: summary.keyFrameArrival).duration
            return arriving < Self.freshness ? .again : .worthless(group: summary.keyFrameStart, "no whole picture has arrived")
        }
        note(reply, summary, stream)
        // What is shown may be older than the newest packet: its successors are not whole yet.
        let behind = TimeSpan(ticks: Int64(Int32(bitPattern: summary.newestTimestamp &- reply.timestamp)), clockRate: Int(summary.clockRate))
        let age = (summary.now.span(since: summary.newestArrival) + max(.zero, behind)).duration + (.now - copied)
        if age > configuration.maximumAge {
            // Either decoding took long, and goes on from there; or packets are missing, and only a key frame helps.
            if behind.duration > Self.freshness {
                return .worthless(group: summary.keyFrameStart, "packets are missing and no key frame came")
            }
            return .again
        }
        return .done(zip(reply.pictures, formats).map { Snapshot(picture: $0, format: $1, age: age) })
    }

    private func note(_ reply: SnapshotReply, _ summary: RecentVideoSummary, _ stream: StreamHandle) {
        counters.decodes += 1
        counters.decodedFrames += reply.decodedFrames
        counters.lastDecodeMicroseconds = reply.decodeMicroseconds
        counters.lastEncodeMicroseconds = reply.encodeMicroseconds
        let now = ContinuousClock.now
        if memories.count >= Self.maximumMemories { memories = memories.filter { now - $0.value.at < Self.warmth } }
        guard memories.count < Self.maximumMemories else { return }
        let pixels = Double(summary.width > 0 ? summary.width * summary.height : 1280 * 720)
        var perFrame = memories[stream]?.nanosecondsPerFrame ?? pixels * Self.nanosecondsPerPixel
        if reply.decodedFrames > 0 { perFrame = (perFrame + Double(reply.decodeMicroseconds) * 1000 / Double(reply.decodedFrames)) / 2 }
        memories[stream] = Memory(
            groupStart: summary.keyFrameStart, decodedUntil: summary.newestArrival, at: now, nanosecondsPerFrame: perFrame)
    }

    /// H.264 parameter sets of a description (RFC 6184 §8.1) as a decoder wants them.
    static func annexB(_ parameterSets: String?) -> [UInt8] {
        (parameterSets ?? "").split(separator: ",").prefix(32).flatMap { part -> [UInt8] in
            Data(base64Encoded: String(part)).map { [0, 0, 0, 1] + $0 } ?? []
        }
    }
}
