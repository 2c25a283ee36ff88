// SPDX-License-Identifier: Apache-2.0
// The pictures of a recording: packets in, whole frames in their places out. What was damaged is left out up to the next key
// frame. Inside the worker; owned by RecordingJob.
import Codecs
import Primitives
import RTP

/// One video track, never transcoded. Not Sendable: its job's thread only.
final class PictureLane {
    private struct Waiting {
        var frame: EncodedFrame
        /// By then it was whole: it can't have been made later.
        var arrival: Instant
        var orientation: UInt8
    }

    /// A packet that is missing is waited for by this much; retransmissions have come by then.
    static let patience = TimeSpan.seconds(1)
    /// A frame without a successor is shown for this long, microseconds.
    static let lastFrame: Int64 = 33_333

    let track: Int
    let codec: VideoCodec
    private let kind: CodecKind
    /// H.264 parameter sets of the description, for sources that don't send them in band.
    private let describedSets: [UInt8]
    private var assembler: FrameAssembler
    private var waiting: [Waiting] = []
    private var gate = EntryGate()
    /// The same for the file: its first frame may be one in the middle, behind which frames follow that refer to what lies in the file before.
    private var fileGate = EntryGate()
    private var orientation: UInt8 = 0
    /// Written once its successor tells how long it is shown.
    private var held: RecordedSample?
    private var bound = ArrivalBound()
    /// Nothing can be recorded before a key frame comes.
    private(set) var wantsKeyFrame = false
    private(set) var damagedFrames = 0
    private(set) var largest = (width: 0, height: 0)

    init(track: Int, codec kind: CodecKind, parameterSets: [UInt8]) throws {
        guard let codec = VideoCodec(kind), let assembler = FrameAssembler(codec: kind, maximumPackets: 4096, patience: Self.patience) else {
            throw CodecError.invalid("Video in \(kind.encodingName) can't be recorded.")
        }
        self.track = track
        self.codec = codec
        self.kind = kind
        self.assembler = assembler
        describedSets = parameterSets
    }

    /// The first frame that waits is one that a file can begin with.
    var isReady: Bool { !waiting.isEmpty }
    /// A key frame waits, at this timestamp: a file may be ended before it and another begun with it.
    var keyFrameTimestamp: UInt32? { waiting.first { $0.frame.isKeyFrame }?.frame.timestamp }
    /// Frames whose time could not be true.
    var corrections: Int { bound.corrections }

    func push(_ packet: RTPView, orientation: UInt8, at arrival: Instant) {
        if orientation != 0xff { self.orientation = orientation }
        keep(assembler.push(packet, at: arrival), at: arrival)
    }
    func advance(to now: Instant) { keep(assembler.advance(to: now), at: now) }

    /// When the frame that waits first was made.
    func firstTime(_ timeline: inout StreamTimeline) -> Instant? { waiting.first.flatMap { time(of: $0, &timeline) } }
    /// The same for the key frame that waits first.
    func keyFrameTime(_ timeline: inout StreamTimeline) -> Instant? { waiting.first { $0.frame.isKeyFrame }.flatMap { time(of: $0, &timeline) } }

    private func time(of waiting: Waiting, _ timeline: inout StreamTimeline) -> Instant? {
        timeline.place(waiting.frame.timestamp, track: track).time.map { bound.place($0, arrival: waiting.arrival) }
    }

    private func keep(_ frames: [EncodedFrame], at arrival: Instant) {
        for frame in frames {
            if !frame.isComplete || (frame.followsLoss && !frame.isKeyFrame) { damagedFrames += 1 }
            let verdict = gate.judge(frame)
            if verdict != .leading { wantsKeyFrame = verdict == .wait }
            guard verdict == .take else { continue }
            waiting.append(Waiting(frame: frame, arrival: arrival, orientation: orientation))
        }
    }

    /// Begins a file with the frame that waits first; `nil` when there is none, or its headers are missing.
    func begin() -> MuxerTrack? {
        while let first = waiting.first {
            var header = FrameHeader(codec: kind, keyFrame: first.frame.bytes)
            if codec == .h264, header.parameterSets.isEmpty { header.parameterSets = describedSets }
            if first.frame.isKeyFrame, codec == .vp8 || codec == .vp9 || !header.parameterSets.isEmpty {
                largest = (header.width ?? 0, header.height ?? 0)
                fileGate.close()
                return MuxerTrack(.video(
                    codec, width: header.width ?? 640, height: header.height ?? 360, parameterSets: header.parameterSets,
                    rotation: PictureRotation(orientation: first.orientation)))
            }
            waiting.removeFirst()
        }
        wantsKeyFrame = true
        return nil
    }

    /// Everything that has come since the last call, placed; up to the key frame at `stop`, if there is one.
    func drain(_ timeline: inout StreamTimeline, origin: Instant, before stop: UInt32? = nil) -> [RecordedSample] {
        var samples: [RecordedSample] = [], taken = 0
        defer { waiting.removeFirst(taken) }
        for next in waiting {
            if let stop, next.frame.isKeyFrame, next.frame.timestamp == stop { break }
            taken += 1
            guard fileGate.judge(next.frame) == .take, let time = time(of: next, &timeline) else { continue }
            if next.frame.isKeyFrame {
                let header = FrameHeader(codec: kind, keyFrame: next.frame.bytes)
                if let width = header.width, let height = header.height, width * height > largest.width * largest.height {
                    largest = (width, height)
                }
            }
            var bytes = next.frame.bytes
            // Out of band they'd be lost where the black pictures before have sets of their own.
            if codec == .h264, next.frame.isKeyFrame, FrameHeader(codec: kind, keyFrame: bytes).parameterSets.isEmpty { bytes = describedSets + bytes }
            let sample = RecordedSample(
                kind: .picture, time: max(0, time.span(since: origin).nanoseconds / 1000), duration: Self.lastFrame, isKeyFrame: next.frame.isKeyFrame,
                bytes: bytes)
            if let done = release(before: sample.time) { samples.append(done) }
            held = sample
        }
        return samples
    }

    /// Black frames before the first one are this many at most; one a second where that is enough.
    static let maximumPadding: Int64 = 600

    /// Black pictures from the file's beginning to the first one that waits; nothing when that is as good as at the beginning.
    func padding(_ timeline: inout StreamTimeline, origin: Instant) throws -> [RecordedSample] {
        guard let time = firstTime(&timeline) else { return [] }
        let length = time.span(since: origin).nanoseconds / 1000
        guard length > 100_000, largest.width >= 16, largest.height >= 16 else { return [] }
        let encoder = try VideoEncoder(.init(codec: codec, width: largest.width, height: largest.height, frameRate: 1, bitrate: 50_000))
        var samples: [RecordedSample] = []
        let step = max(1_000_000, length / Self.maximumPadding)
        for start in stride(from: Int64(0), to: length, by: Int(step)) {
            // Both lie within the file, which is as long as time has passed.
            let picture = try VideoFrame(width: largest.width, height: largest.height, timestamp: start * 90 / 1000) { canvas in
                canvas.fill(x: 0, y: 0, width: canvas.width, height: canvas.height, .black)
            }
            for packet in try encoder.encode(picture, forceKeyFrame: start == 0) {
                samples.append(RecordedSample(
                    kind: .picture, time: packet.timestamp * 1000 / 90, duration: min(step, length - start), isKeyFrame: packet.isKeyFrame,
                    bytes: packet.bytes))
            }
        }
        return samples
    }

    private func release(before next: Int64) -> RecordedSample? {
        guard var done = held else { return nil }
        done.duration = max(1, next - done.time)
        held = nil
        return done
    }

    /// Ends the file.
    /// - Parameters:
    ///   - now: the newest arrival.
    ///   - end: where its sound ends, microseconds; the last picture is shown up to there.
    func finish(_ timeline: inout StreamTimeline, origin: Instant, before stop: UInt32? = nil, now: Instant, end: Int64) -> [RecordedSample] {
        if stop == nil { keep(assembler.finish(), at: now) }
        var samples = drain(&timeline, origin: origin, before: stop)
        if let held, let last = release(before: max(end, held.time + Self.lastFrame)) { samples.append(last) }
        return samples
    }
}

extension VideoCodec {
    init?(_ kind: CodecKind) {
        switch kind {
        case .h264: self = .h264
        case .vp8: self = .vp8
        case .vp9: self = .vp9
        case .av1: self = .av1
        default: return nil
        }
    }
}
