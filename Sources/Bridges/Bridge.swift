// SPDX-License-Identifier: Apache-2.0
// One conversion on the server's side: a track of a stream in, another codec's track of the same stream out, a job in a worker
// process between. When the worker dies the next one goes on. Owned by BridgeService.
import Foundation
import Logging
import MediaIO
import Primitives
import RTP
import SDP
import Workers

actor Bridge {
    /// A worker that dies again is given time, up to this much.
    static let longestPause = Duration.seconds(5)
    /// The same after so many in a row that made nothing of what came: pictures too large to be decoded in time kill one after the other.
    static let hopelessPause = Duration.seconds(60)
    static let fruitlessAttempts = 3

    let stream: StreamHandle
    let format: TrackFormat
    private let target: CodecKind
    private let engine: any StreamConverting
    private let pool: WorkerPool
    private let origin: WorkerOrigin
    private let logger: Logger
    private let signal: WakeSignal
    private let pipe: PacketPipe
    private let conversion: Conversion
    private let wishes: KeyFrameWishes
    private var sender: RTPFrameSender
    private var order: BridgeOrder
    private var job: WorkerJob?
    private var isOver = false
    private var tasks: [Task<Void, Never>] = []
    private(set) var crashes = 0
    private(set) var frames: UInt64 = 0

    nonisolated var id: EndpointID { conversion.id }

    /// Takes its place in the stream; `run` makes it work.
    static func make(
        stream: StreamHandle, source: TrackFormat, format: TrackFormat, target: CodecKind, engine: any StreamConverting, pool: WorkerPool,
        origin: WorkerOrigin, logger: Logger
    ) async throws(EngineError) -> Bridge {
        let signal = WakeSignal(), wishes = KeyFrameWishes(signal)
        let isVideo = target.isVideo
        let pipe = PacketPipe(capacity: isVideo ? 1 << 22 : 1 << 18, onData: { signal.set() })
        var random = RandomSource.system
        guard let sender = RTPFrameSender(codec: target, payloadType: format.codec.payloadType, random: &random) else {
            throw .negotiation(.noCommonCodecs)
        }
        // Last: from here on there is something to take out of the stream again.
        let conversion = try await engine.addConversion(
            to: stream, format: format, pipe: pipe, backlog: isVideo ? .seconds(3) : .milliseconds(60), onKeyFrameRequest: { wishes.add() })
        return Bridge(
            stream: stream, format: format, target: target, engine: engine, pool: pool, origin: origin, logger: logger, signal: signal, pipe: pipe,
            conversion: conversion, wishes: wishes, sender: sender)
    }

    private init(
        stream: StreamHandle, format: TrackFormat, target: CodecKind, engine: any StreamConverting, pool: WorkerPool,
        origin: WorkerOrigin, logger: Logger, signal: WakeSignal, pipe: PacketPipe, conversion: Conversion, wishes: KeyFrameWishes, sender: RTPFrameSender
    ) {
        self.stream = stream
        self.format = format
        self.target = target
        self.engine = engine
        self.pool = pool
        self.origin = origin
        self.logger = logger
        self.signal = signal
        self.pipe = pipe
        self.conversion = conversion
        self.wishes = wishes
        self.sender = sender
        order = BridgeFormats.order(from: conversion.source, to: target)
    }

    func run() {
        tasks = [Task { await feed() }, Task { await work() }]
    }

    /// Takes its track out of the stream.
    /// - Parameter isForced: the stream is gone as well.
    /// - Returns: false when the track has to stay: the bridge goes on.
    func end(isForced: Bool) async -> Bool {
        let isRemoved = await engine.removeConversion(conversion.id)
        guard isRemoved || isForced else { return false }
        isOver = true
        signal.set()
        for task in tasks { task.cancel() }
        job?.cancel()
        job = nil
        return true
    }

    // MARK: in

    private func feed() async {
        while !isOver {
            await signal.wait()
            guard !isOver else { return }
            // Without a worker wishes and packets wait; `work` wakes us when there is one.
            guard let job else { continue }
            if wishes.take() { _ = job.send([BridgeInput.keyFrameWanted]) }
            let bytes = pipe.read()
            if !bytes.isEmpty, !job.send([BridgeInput.tapped] + bytes) { logger.debug("the bridge's worker does not keep up") }
        }
    }

    // MARK: out

    private func work() async {
        var pause = Duration.zero, fruitless = 0
        while !isOver {
            let begun = ContinuousClock.now, framesBefore = frames
            do {
                let kind = target.isVideo ? PictureBridgeJob.name : SoundBridgeJob.name
                let job = try await pool.open(
                    kind: kind, parameters: order.encoded, origin: origin, affinity: affinity(kind), patience: Self.longestPause,
                    maximumUnconsumed: 8 << 20, maximumOutputs: 1024)
                guard !isOver else { return job.cancel() }
                self.job = job
                // What has come meanwhile.
                signal.set()
                if crashes > 0, target.isVideo { engine.requestKeyFrame(of: stream) }
                for try await output in job.outputs { take(try BridgeOutput(decoding: output)) }
                throw WorkerError.failed("the job ended by itself")
            } catch {
                job = nil
                guard !isOver, error as? WorkerError != .cancelled else { return }
                crashes += 1
                fruitless = frames == framesBefore ? fruitless + 1 : 0
                pause = Self.pause(after: pause, lasted: ContinuousClock.now - begun, fruitless: fruitless)
                logger.warning("the worker of a conversion is gone; another one goes on", metadata: [
                    "from": "\(conversion.source.codec.name)", "to": "\(target.encodingName)", "reason": "\(error)", "pause": "\(pause)",
                ])
                if crashes > 1 { try? await Task.sleep(for: pause) }
            }
        }
    }

    /// How long the next worker is waited for.
    static func pause(after last: Duration, lasted: Duration, fruitless: Int) -> Duration {
        if fruitless >= fruitlessAttempts { return min(hopelessPause, max(longestPause, last * 2)) }
        return lasted > .seconds(30) ? .zero : min(longestPause, max(.milliseconds(100), last * 2))
    }

    /// Audio and video of a stream share a process, until one of them has died with it.
    private func affinity(_ kind: String) -> String { crashes == 0 ? "\(stream.rawValue)" : "\(stream.rawValue)/\(kind)" }

    private func take(_ output: BridgeOutput) {
        switch output {
        case .frame(let ticks, let startsTalk, _, let bytes):
            frames &+= 1
            conversion.write(sender.packets(frame: bytes, timestamp: UInt32(truncatingIfNeeded: ticks), startsTalk: startsTalk))
        case .report(let ntp, let ticks): conversion.report(ntp: ntp, timestamp: UInt32(truncatingIfNeeded: ticks))
        case .reference(let ticks): order.reference = ticks
        case .keyFrameWanted: engine.requestKeyFrame(of: stream)
        }
    }
}
