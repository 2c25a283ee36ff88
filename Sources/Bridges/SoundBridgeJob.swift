// SPDX-License-Identifier: Apache-2.0
// The worker's half of a bridge for sound: packets of a tap in, frames of another codec out.
import Clocks
import MediaIO
import Primitives
import RTP
import Workers

/// The job kind "bridge-sound". Lives on one thread.
final class SoundBridgeJob: WorkerHandler {
    static let name = "bridge-sound"
    /// A missing packet is waited for by this much; what WebRTC repairs comes within it.
    static let patience = TimeSpan.milliseconds(40)

    private var assembler: FrameAssembler
    private let converter: SoundConverter
    private let now: () -> Instant
    /// When the first input was taken up.
    private var start: Instant?
    private var toldReference: Int64 = 0

    /// - Parameter now: on the monotonic clock. What arrived before the job took up its first input is not given out: it has waited
    ///   for the worker, and sound that begins late makes players play late ever after, out of step with the pictures; a moment of
    ///   silence is less.
    init(_ order: BridgeOrder, now: @escaping () -> Instant) throws {
        guard let assembler = FrameAssembler(codec: order.source, maximumPackets: 64, patience: Self.patience, aac: order.aac) else {
            throw WorkerError.failed("sound in \(order.source.encodingName) can't be converted")
        }
        self.assembler = assembler
        converter = try SoundConverter(order)
        self.now = now
    }

    func receive(_ input: [UInt8], output: WorkerOutput) throws {
        guard input.first == BridgeInput.tapped else { return }
        if start == nil { start = self.now() }
        var rest = input.dropFirst(), now: Instant?
        while let record = TapRecord.next(in: &rest) {
            now = record.arrival
            switch record.content {
            case .restart: converter.restart()
            case .report(let ntp, let timestamp):
                output.send(BridgeOutput.report(ntp: ntp, ticks: converter.targetTicks(timestamp)).encoded)
            case .packet(_, _, let rtp):
                let frames = rtp.withUnsafeBytes { bytes in
                    RTPView(bytes).map { assembler.push($0, at: record.arrival) } ?? []
                }
                try give(frames, at: record.arrival, output)
            }
        }
        if let now { try give(assembler.advance(to: now), at: now, output) }
        // A second's worth is near enough.
        if converter.reference.subtractingSaturating(toldReference).magnitude > 48_000 {
            toldReference = converter.reference
            output.send(BridgeOutput.reference(toldReference).encoded)
        }
    }

    private func give(_ frames: [EncodedFrame], at arrival: Instant, _ output: WorkerOutput) throws {
        for frame in frames {
            guard arrival >= start ?? .zero else {
                converter.warmUp(with: frame)
                continue
            }
            for one in try converter.convert(frame) {
                output.send(BridgeOutput.frame(ticks: one.ticks, startsTalk: one.startsTalk, isKeyFrame: true, bytes: one.bytes).encoded)
            }
        }
    }
}

/// What `martlet worker` can do for bridges.
public enum BridgeWorker {
    public static func kinds() -> [WorkerJobKind] {
        [
            // Somebody listens, and what comes late disturbs more than the little work that it is.
            WorkerJobKind(name: SoundBridgeJob.name, niceness: 0) { parameters, _ in
                try SoundBridgeJob(try BridgeOrder(decoding: parameters), now: MonotonicClock.now)
            },
            WorkerJobKind(name: PictureBridgeJob.name, niceness: 5) { parameters, _ in
                try PictureBridgeJob(try BridgeOrder(decoding: parameters), now: MonotonicClock.now)
            },
        ]
    }
}
