// SPDX-License-Identifier: Apache-2.0
// `martlet publish`'s media: a thread that drives a PublishEngine in real time. Owned by the command or a test.
import Clocks
import Codecs
import Primitives
import SDP

/// Pattern or file → RTP packets, on a thread of its own. Every method may be called from any thread.
public final class PublishPipeline: Sendable {
    /// The tracks with the payload types the packets carry. Packets name them by index.
    public let tracks: [TrackFormat]
    private let core: Core

    /// What the thread and its callers share. The engine itself is the thread's alone once it runs.
    private struct Shared: Sendable {
        var isStopped = false
        var wantsKeyFrame = false
        var thread: WorkerThread?
        var figures = PublishFigures()
    }

    private final class Core: @unchecked Sendable {  // safe: `engine` is used by the one worker thread only
        let engine: PublishEngine
        let shared = Monitor(Shared())
        init(_ engine: PublishEngine) { self.engine = engine }
    }

    /// Opens the source and the encoders; nothing runs yet.
    /// - Throws: `CodecError` for a file that can't be read or settings that can't be met.
    public init(_ options: PublishOptions) throws(CodecError) {
        let engine = try PublishEngine(options)
        tracks = engine.tracks
        core = Core(engine)
    }

    deinit { stop() }

    /// Starts the thread; of no effect the second time.
    /// - Parameters:
    ///   - onPacket: track index and one whole RTP packet, on the pipeline's thread. Must not block.
    ///   - onReport: once a second and before the first packet, for each track: the wall clock (NTP 32.32) at an RTP timestamp, for
    ///     sender reports. Exact, whatever encoding and pacing have delayed.
    ///   - onEnd: called once on that thread when the source is through (`nil`), or failed.
    /// - Throws: `CodecError.failed` when the system has no thread left.
    public func start(
        onPacket: @escaping @Sendable (_ track: Int, _ packet: [UInt8]) -> Void,
        onReport: @escaping @Sendable (_ track: Int, _ ntp: UInt64, _ timestamp: UInt32) -> Void = { _, _, _ in },
        onEnd: @escaping @Sendable ((any Error)?) -> Void = { _ in }
    ) throws(CodecError) {
        let core = core
        let hasThread = core.shared.update { shared -> Bool in
            guard shared.thread == nil, !shared.isStopped else { return true }
            shared.thread = WorkerThread { Self.run(core, onPacket, onReport, onEnd) }
            return shared.thread != nil
        }
        guard hasThread else { throw .failed(operation: "Starting to publish", reason: "the system has no thread left") }
    }

    /// The next picture is to be a key frame. Cheap; requests until then are one.
    public func requestKeyFrame() { core.shared.withLock { $0.wantsKeyFrame = true } }

    public var figures: PublishFigures { core.shared.withLock { $0.figures } }

    /// Ends the thread and waits for it (unless called on it). No packet comes afterwards.
    public func stop() {
        let thread = core.shared.update { shared -> WorkerThread? in
            shared.isStopped = true
            defer { shared.thread = nil }
            return shared.thread
        }
        thread?.join()
    }

    private static func run(
        _ core: Core, _ onPacket: (Int, [UInt8]) -> Void, _ onReport: (Int, UInt64, UInt32) -> Void, _ onEnd: ((any Error)?) -> Void
    ) {
        let start = MonotonicClock.now(), wallStart = WallClock.now()
        var nextReport = TimeSpan.zero
        while true {
            let (isStopped, wantsKeyFrame) = core.shared.withLock { shared in
                defer { shared.wantsKeyFrame = false }
                return (shared.isStopped, shared.wantsKeyFrame)
            }
            if isStopped { return }
            if wantsKeyFrame { core.engine.requestKeyFrame() }
            do {
                let elapsed = MonotonicClock.now().span(since: start)
                if elapsed >= nextReport {
                    nextReport = elapsed + .seconds(1)
                    let ntp = (wallStart + elapsed).ntp
                    for (track, timestamp) in core.engine.timestamps(at: elapsed).enumerated() { onReport(track, ntp, timestamp) }
                }
                let packets = try core.engine.advance(to: elapsed, unixMilliseconds: WallClock.now().milliseconds)
                for (track, packet) in packets { onPacket(track, packet) }
            } catch {
                return onEnd(error)
            }
            let figures = core.engine.figures
            core.shared.withLock { $0.figures = figures }
            guard let due = core.engine.nextDue else { return onEnd(nil) }
            _ = core.shared.wait(until: start + due) { $0.isStopped ? true : nil }
        }
    }
}
