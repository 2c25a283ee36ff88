// SPDX-License-Identifier: Apache-2.0
// One received video track: RTP packets → access units → pictures. Owned by a PlayEngine.
import Codecs
import Primitives
import RTP
import SDP

/// Decodes what is whole and can be decoded; asks for a key frame when the pictures in between are lost.
final class VideoReceiver {
    struct Picture {
        let frame: VideoFrame
        /// When the last packet of the picture came in.
        let arrival: Instant
    }
    struct Received {
        var pictures: [Picture] = []
        /// Set when only a key frame can help: the time at which that was seen.
        var needsKeyFrameAt: Instant?
    }

    private(set) var framesDropped = 0
    private(set) var keyFrames = 0
    private(set) var decodeErrors = 0
    var lostPackets: Int { Int(assembler?.lostPackets ?? 0) }
    var nextDeadline: Instant? { assembler?.nextDeadline }

    private let payloadType: UInt8
    private var assembler: FrameAssembler?
    private var decoder: VideoDecoder?
    private var needsKeyFrame = true
    private var lastRequest: Instant?
    private var lastTimestamp: UInt32?
    /// The frame's timestamp in 64 bits.
    private var time: Int64 = 0
    /// Newest arrival of each RTP timestamp, oldest first; frames are given out soon after their last packet.
    private var arrivals: [(timestamp: UInt32, arrival: Instant)] = []
    private static let maximumArrivals = 256

    init(_ format: TrackFormat, patience: TimeSpan, decodes: Bool) {
        payloadType = format.codec.payloadType
        assembler = FrameAssembler(codec: CodecKind(encodingName: format.codec.name), maximumPackets: 2048, patience: patience)
        if decodes, let codec = VideoCodec(encodingName: format.codec.name) { decoder = try? VideoDecoder(codec) }
    }

    func receive(_ packet: RTPView, at now: Instant) -> Received {
        // Retransmissions of their own payload type are for the transport, not for the decoder.
        guard packet.payloadType == payloadType else { return Received() }
        note(packet.timestamp, arrival: now)
        return decode(assembler?.push(packet, at: now) ?? [], at: now)
    }

    func advance(to now: Instant) -> Received { decode(assembler?.advance(to: now) ?? [], at: now) }

    /// True when a request may go out now; counts it as made.
    func mayRequest(at now: Instant, gap: TimeSpan) -> Bool {
        if let lastRequest, now.span(since: lastRequest) < gap { return false }
        lastRequest = now
        return true
    }

    private func decode(_ frames: [EncodedFrame], at now: Instant) -> Received {
        var received = Received()
        for frame in frames {
            let canStartHere = frame.isComplete && frame.isKeyFrame
            if !frame.isComplete || frame.followsLoss && !frame.isKeyFrame { needsKeyFrame = true }
            if needsKeyFrame {
                guard canStartHere else {
                    framesDropped += 1
                    received.needsKeyFrameAt = now
                    continue
                }
                needsKeyFrame = false
            }
            if frame.isKeyFrame { keyFrames += 1 }
            guard let decoder else { continue }
            let arrival = arrivals.last { $0.timestamp == frame.timestamp }?.arrival ?? now
            do throws(CodecError) {
                for picture in try decoder.decode(frame.bytes, timestamp: unwrap(frame.timestamp)) {
                    received.pictures.append(Picture(frame: picture, arrival: arrival))
                }
            } catch {
                // What the decoder rejects, its successors refer to.
                decodeErrors += 1
                framesDropped += 1
                needsKeyFrame = true
                received.needsKeyFrameAt = now
            }
        }
        return received
    }

    private func unwrap(_ timestamp: UInt32) -> Int64 {
        if let lastTimestamp { time += Int64(Int32(bitPattern: timestamp &- lastTimestamp)) }
        lastTimestamp = timestamp
        return time
    }

    private func note(_ timestamp: UInt32, arrival: Instant) {
        if let index = arrivals.lastIndex(where: { $0.timestamp == timestamp }) {
            arrivals[index].arrival = max(arrivals[index].arrival, arrival)
            return
        }
        if arrivals.count >= Self.maximumArrivals { arrivals.removeFirst(Self.maximumArrivals / 2) }
        arrivals.append((timestamp, arrival))
    }
}

extension VideoCodec {
    /// By the name in SDP; `nil` for a codec that can't be decoded here.
    init?(encodingName: String) {
        switch CodecKind(encodingName: encodingName) {
        case .h264: self = .h264
        case .vp8: self = .vp8
        case .vp9: self = .vp9
        case .av1: self = .av1
        default: return nil
        }
    }
}
