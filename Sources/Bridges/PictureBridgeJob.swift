// SPDX-License-Identifier: Apache-2.0
// The worker's half of a bridge for pictures: packets of a tap in, H.264 or VP8 without B-frames out. Also takes the B-frames out of a
// stream that has them.
import Codecs
import MediaIO
import Primitives
import RTP
import Workers

/// The job kind "bridge-picture". Lives on one thread.
final class PictureBridgeJob: WorkerHandler {
    static let name = "bridge-picture"
    static let patience = TimeSpan.milliseconds(100)
    /// Frames between two key frames that nobody asked for.
    static let keyFrameInterval = 300
    /// A key frame is asked of the source this often at most.
    static let keyFrameGap = TimeSpan.milliseconds(500)

    /// What is further behind than this does not come late, in ticks of 90 kHz: 2 s.
    static let longestReordering: Int64 = 180_000

    private let order: BridgeOrder
    private let now: () -> Instant
    /// When the first input was taken up.
    private var start: Instant?
    /// The newest picture of what only leads up to the present.
    private var latest: VideoFrame?
    private let source: VideoCodec
    private let target: VideoCodec
    private var assembler: FrameAssembler
    private var decoder: VideoDecoder
    private var encoder: VideoEncoder?
    private var ticks: MediaTicks
    private var gate = EntryGate()
    private var isKeyFrameWished = true
    private var lastRequest = Instant.distantPast
    private var lastGiven: Int64 = .min
    private var toldReference: Int64 = 0
    private(set) var undecodable = 0

    /// - Parameter now: on the monotonic clock. Of what arrived before the job took up its first input only the newest picture is
    ///   given out: the rest has waited for the worker, and would come too late as well as all at once.
    init(_ order: BridgeOrder, now: @escaping () -> Instant) throws {
        guard let source = VideoCodec(order.source), let target = VideoCodec(order.target),
            let assembler = FrameAssembler(codec: order.source, patience: Self.patience)
        else { throw WorkerError.failed("pictures in \(order.source.encodingName) can't be converted to \(order.target.encodingName)") }
        self.order = order
        self.now = now
        self.source = source
        self.target = target
        self.assembler = assembler
        decoder = try Self.decoder(order, source)
        ticks = MediaTicks(clockRate: order.clockRate, reference: order.reference > 0 ? order.reference : nil)
    }

    /// Display order is what leaves: for H.264 the decoder waits for as many pictures as the stream says, none where there are no B-frames.
    private static func decoder(_ order: BridgeOrder, _ source: VideoCodec) throws -> VideoDecoder {
        try VideoDecoder(source, extradata: source == .h264 ? order.header : [], reordersFrames: source == .h264)
    }

    func receive(_ input: [UInt8], output: WorkerOutput) throws {
        if input.first == BridgeInput.keyFrameWanted { isKeyFrameWished = true }
        guard input.first == BridgeInput.tapped else { return }
        if start == nil { start = self.now() }
        var rest = input.dropFirst(), now: Instant?
        while let record = TapRecord.next(in: &rest) {
            now = record.arrival
            switch record.content {
            case .restart: break
            case .report(let ntp, let timestamp): output.send(BridgeOutput.report(ntp: ntp, ticks: ticks.count(timestamp)).encoded)
            case .packet(_, _, let rtp):
                let frames = rtp.withUnsafeBytes { bytes in
                    RTPView(bytes).map { assembler.push($0, at: record.arrival) } ?? []
                }
                for frame in frames { try take(frame, at: record.arrival, output) }
            }
        }
        if let now { for frame in assembler.advance(to: now) { try take(frame, at: now, output) } }
        if let picture = latest {
            latest = nil
            try encode(picture, output)
        }
        if let newest = ticks.last, newest.subtractingSaturating(toldReference).magnitude > 90_000 {
            toldReference = newest
            output.send(BridgeOutput.reference(newest).encoded)
        }
    }

    private func take(_ frame: EncodedFrame, at arrival: Instant, _ output: WorkerOutput) throws {
        switch gate.judge(frame) {
        case .take: break
        case .leading: return
        case .wait: return askForKeyFrame(at: arrival, output)
        }
        let pictures: [VideoFrame]
        do { pictures = try decoder.decode(frame.bytes, timestamp: ticks.count(frame.timestamp)) } catch {
            undecodable += 1
            gate.close()
            decoder = try Self.decoder(order, source)
            return askForKeyFrame(at: arrival, output)
        }
        guard arrival >= start ?? .zero else {
            latest = pictures.last ?? latest
            return
        }
        latest = nil
        for picture in pictures { try encode(picture, output) }
    }

    /// Frames are given out in order. What lies far behind is no late frame but a source whose clock was set back.
    private func isNext(_ ticks: Int64) -> Bool {
        guard ticks <= lastGiven else { return true }
        guard lastGiven.subtractingSaturating(ticks) > Self.longestReordering else { return false }
        // An encoder takes growing times only.
        encoder = nil
        return true
    }

    private func encode(_ picture: VideoFrame, _ output: WorkerOutput) throws {
        guard isNext(picture.timestamp), picture.width >= 16, picture.height >= 16 else { return }
        lastGiven = picture.timestamp
        if encoder?.configuration.width != picture.width || encoder?.configuration.height != picture.height {
            encoder = try VideoEncoder(configuration(picture.width, picture.height))
            isKeyFrameWished = true
        }
        guard let encoder else { return }
        let force = isKeyFrameWished
        isKeyFrameWished = false
        for packet in try encoder.encode(picture, forceKeyFrame: force) {
            output.send(BridgeOutput.frame(ticks: packet.timestamp, startsTalk: false, isKeyFrame: packet.isKeyFrame, bytes: packet.bytes).encoded)
        }
    }

    /// About a tenth of a bit per pixel at 30 pictures a second, which is what browsers send.
    private func configuration(_ width: Int, _ height: Int) -> VideoEncoder.Configuration {
        var configuration = VideoEncoder.Configuration(
            codec: target, width: width, height: height, frameRate: 30, bitrate: max(250_000, min(order.bitrate, width * height * 3)))
        configuration.keyFrameInterval = Self.keyFrameInterval
        configuration.isQuick = true
        return configuration
    }

    private func askForKeyFrame(at now: Instant, _ output: WorkerOutput) {
        guard now.span(since: lastRequest) >= Self.keyFrameGap else { return }
        lastRequest = now
        output.send(BridgeOutput.keyFrameWanted.encoded)
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
