// SPDX-License-Identifier: Apache-2.0
// `martlet play`'s media: a bounded queue and a thread that drives a PlayEngine. Owned by the command or a test.
import Clocks
import Codecs
import Primitives
import SDP
import Synchronization

/// RTP packets → figures, on a thread of its own. Every method may be called from any thread.
public final class PlayPipeline: Sendable {
    /// Packets that may wait to be decoded; more are dropped and counted.
    public static let maximumQueuedPackets = 4096
    public static let maximumQueuedBytes = 16 << 20

    private struct Packet: Sendable {
        let track: Int
        let bytes: [UInt8]
        let arrival: WallTime
    }
    private struct Shared: Sendable {
        var queue: [Packet] = []
        var queuedBytes = 0
        var drops = 0
        /// Packets taken into the queue, and done with.
        var accepted = 0
        var processed = 0
        var isStopped = false
        var start: WallTime?
        var thread: WorkerThread?
    }
    private final class Core: @unchecked Sendable {  // safe: `engine` is used inside `withEngine` only
        private let engine: PlayEngine
        private let engineLock = Mutex(())
        let shared = Monitor(Shared())
        init(_ engine: PlayEngine) { self.engine = engine }

        /// Held for one packet at a time, so that reading the figures waits for one picture at most.
        func withEngine<Result>(_ body: (PlayEngine) -> Result) -> Result { engineLock.withLock { _ in body(engine) } }
    }

    private let core: Core

    /// Starts the thread.
    /// - Parameters:
    ///   - tracks: the formats, in the order of the track indices.
    ///   - requestKeyFrame: a track's index, on the pipeline's thread: the gap in its pictures can't be closed otherwise.
    /// - Throws: `CodecError.failed` when the system has no thread left.
    public init(
        tracks: [TrackFormat], options: PlayOptions = PlayOptions(), requestKeyFrame: @escaping @Sendable (Int) -> Void
    ) throws(CodecError) {
        let core = Core(PlayEngine(tracks: tracks, options: options, requestKeyFrame: requestKeyFrame))
        self.core = core
        let hasThread = core.shared.update { shared -> Bool in
            shared.thread = WorkerThread { Self.run(core) }
            return shared.thread != nil
        }
        guard hasThread else { throw .failed(operation: "Starting to play", reason: "the system has no thread left") }
    }

    deinit { stop() }

    /// The time to first frame counts from here (wall clock); from the first packet if this is never called.
    public func markStart(at now: WallTime = WallClock.now()) { core.shared.update { $0.start = now } }

    /// Queues one whole RTP packet. Never blocks for long; false when the queue is full and the packet was dropped.
    /// - Parameter arrival: by the wall clock.
    @discardableResult
    public func receive(track: Int, packet: [UInt8], arrival: WallTime) -> Bool {
        core.shared.update { shared in
            guard !shared.isStopped, shared.queue.count < Self.maximumQueuedPackets,
                shared.queuedBytes + packet.count <= Self.maximumQueuedBytes
            else {
                shared.drops += 1
                return false
            }
            shared.queue.append(Packet(track: track, bytes: packet, arrival: arrival))
            shared.queuedBytes += packet.count
            shared.accepted += 1
            return true
        }
    }

    /// The figures of now. May wait for a picture that is being decoded, as may everything below.
    public var figures: PlayFigures {
        var figures = core.withEngine { $0.figures(at: WallClock.now()) }
        figures.queueDrops = core.shared.withLock { $0.drops }
        return figures
    }

    /// Burnt-in clocks with the arrivals of their pictures; `hopLatencies(since:)` compares two pipelines.
    public var clock: ClockReader { core.withEngine { $0.clock } }

    /// The newest picture; `nil` before the first.
    public var lastFrame: VideoFrame? { core.withEngine { $0.lastFrame } }

    /// The newest picture as RGB; `nil` before the first.
    public func snapshot() throws(CodecError) -> RGBImage? {
        guard let frame = lastFrame else { return nil }
        return try Scaler().rgb(frame)
    }

    /// Blocks until `condition` holds for the figures, at most for `timeout`. For tests and command line tools.
    /// - Returns: whether it came to hold. Ends early when the pipeline is stopped.
    public func wait(atMost timeout: Duration, until condition: (PlayFigures) -> Bool) -> Bool {
        let deadline = MonotonicClock.now() + timeout
        while true {
            let seen = core.shared.withLock { $0.processed }
            if condition(figures) { return true }
            let goesOn = core.shared.wait(until: deadline) { shared -> Bool? in
                if shared.isStopped { return false }
                return shared.processed != seen ? true : nil
            }
            if goesOn != true { return condition(figures) }
        }
    }

    /// Blocks until everything queued so far has been worked on.
    public func drain() {
        let target = core.shared.withLock { $0.accepted }
        _ = core.shared.wait(until: nil) { $0.processed >= target || $0.isStopped ? true : nil }
    }

    /// Ends the thread and waits for it (unless called on it); what is still queued is dropped. The figures stay readable.
    public func stop() {
        let thread = core.shared.update { shared -> WorkerThread? in
            shared.isStopped = true
            defer { shared.thread = nil }
            return shared.thread
        }
        thread?.join()
    }

    private enum Work {
        case stop
        case packets([Packet], start: WallTime?)
    }

    private static func run(_ core: Core) {
        while true {
            // The engine's deadline is the wall clock's; the wait is by the monotonic one.
            let deadline = core.withEngine { $0.nextDeadline }.map { MonotonicClock.now() + max(.zero, $0 - WallClock.now()) }
            let work = core.shared.wait(until: deadline) { shared -> Work? in
                if shared.isStopped { return .stop }
                guard !shared.queue.isEmpty || shared.start != nil else { return nil }
                defer {
                    shared.queue.removeAll(keepingCapacity: true)
                    shared.queuedBytes = 0
                    shared.start = nil
                }
                return .packets(shared.queue, start: shared.start)
            }
            switch work {
            case .stop: return
            case .packets(let packets, let start):
                if let start { core.withEngine { $0.markStart(at: start) } }
                for packet in packets {
                    core.withEngine { $0.receive(track: packet.track, packet: packet.bytes, arrival: packet.arrival) }
                }
                core.shared.update { $0.processed += packets.count }
            case nil: core.withEngine { $0.advance(to: WallClock.now()) }
            }
        }
    }
}
