// SPDX-License-Identifier: Apache-2.0
// RTP packets in any order to frames in order. Used by headless players, recorders and everything that decodes.
import Primitives

/// Reorders the packets of one source within a bounded window and feeds the codec's depacketiser.
///
/// A gap is waited for until `patience` has passed or the window is full; then the frames around it are given out marked
/// as incomplete. Call `advance` at `nextDeadline`. Packets of an own retransmission stream are to be restored first.
public struct FrameAssembler: Sendable {
    private enum Depacketizer: Sendable {
        case h264(H264Depacketizer), vp8(VP8Depacketizer), vp9(VP9Depacketizer), av1(AV1Depacketizer), aac(AACDepacketizer)
        case audio(OpusDepacketizer)
    }

    private struct Stored: Sendable {
        var payload: [UInt8]
        var timestamp: UInt32
        var marker: Bool
        var arrival: Instant
    }

    /// Payload bytes held at most.
    static let maximumBytes = 4 << 20
    /// So many packets in a row from the past mean that the source counts anew.
    static let maximumLate = 64

    private var depacketizer: Depacketizer
    private let patience: TimeSpan
    private var slots: [Stored?]
    private var unwrapper = SequenceUnwrapper()
    private var ssrc: UInt32?
    /// The packet to be given out next; 0 before the first.
    private var next: Int64 = 0
    private var storedCount = 0
    private var storedBytes = 0
    private var lossPending = false
    private var lateInARow = 0
    /// Packets that never came, or too late.
    public private(set) var lostPackets: UInt64 = 0
    /// Packets that came when the stream had gone on without them, and repetitions.
    public private(set) var latePackets: UInt64 = 0

    /// `nil` for codecs that are only passed through (H.265, others).
    ///
    /// - Parameters:
    ///   - maximumPackets: size of the window, rounded up to a power of two; 16…8192.
    ///   - patience: how long a missing packet is waited for; a few round trips.
    ///   - aac: how AAC lies in its packets.
    public init?(
        codec: CodecKind, maximumPackets: Int = 512, patience: TimeSpan = .milliseconds(200), aac: AACPayloadFormat = AACPayloadFormat()
    ) {
        switch codec {
        case .h264: depacketizer = .h264(H264Depacketizer())
        case .vp8: depacketizer = .vp8(VP8Depacketizer())
        case .vp9: depacketizer = .vp9(VP9Depacketizer())
        case .av1: depacketizer = .av1(AV1Depacketizer())
        case .opus, .pcmu, .pcma, .g722: depacketizer = .audio(OpusDepacketizer())
        case .aac: depacketizer = .aac(AACDepacketizer(format: aac))
        case .h265, .other: return nil
        }
        var capacity = 16
        while capacity < min(maximumPackets, 8192) { capacity *= 2 }
        slots = Array(repeating: nil, count: capacity)
        self.patience = patience
    }

    /// When the next gap is given up; `nil` when nothing waits.
    public var nextDeadline: Instant? {
        guard storedCount > 0, let first = firstStored(), let arrival = slots[slot(first)]?.arrival else { return nil }
        return arrival + patience
    }

    /// Takes a packet; gives the frames that it completes.
    public mutating func push(_ packet: RTPView, at now: Instant) -> [EncodedFrame] {
        var frames: [EncodedFrame] = []
        if let ssrc, ssrc != packet.ssrc { restart(&frames) }
        ssrc = packet.ssrc
        var number = unwrapper.unwrap(packet.sequenceNumber)
        if next == 0 { next = number }
        if number >= next, number - next < Int64(slots.count), slots[slot(number)] != nil {
            latePackets &+= 1
            return advance(to: now)
        }
        if number < next {
            latePackets &+= 1
            lateInARow += 1
            guard lateInARow > Self.maximumLate else { return frames + advance(to: now) }
            restart(&frames)
            number = unwrapper.unwrap(packet.sequenceNumber)
            next = number
        }
        lateInARow = 0

        // Makes the window reach the new packet.
        while number - next >= Int64(slots.count) {
            guard storedCount > 0 else {
                skip(to: number)
                break
            }
            giveUpGap(&frames)
        }
        slots[slot(number)] = Stored(
            payload: Array(packet.payload), timestamp: packet.timestamp, marker: packet.marker, arrival: now)
        storedCount += 1
        storedBytes += packet.payload.count
        release(&frames)
        while storedBytes > Self.maximumBytes { giveUpGap(&frames) }
        return frames + advance(to: now)
    }

    /// Gives up the gaps that have been waited for long enough.
    public mutating func advance(to now: Instant) -> [EncodedFrame] {
        var frames: [EncodedFrame] = []
        while let deadline = nextDeadline, deadline <= now { giveUpGap(&frames) }
        return frames
    }

    /// Everything that is left; the source has ended.
    public mutating func finish() -> [EncodedFrame] {
        var frames: [EncodedFrame] = []
        restart(&frames)
        return frames
    }

    // MARK: window

    private func slot(_ number: Int64) -> Int { Int(truncatingIfNeeded: number) & (slots.count - 1) }

    private func firstStored() -> Int64? {
        for number in next..<next + Int64(slots.count) where slots[slot(number)] != nil { return number }
        return nil
    }

    /// Goes on behind a gap.
    private mutating func giveUpGap(_ frames: inout [EncodedFrame]) {
        guard let first = firstStored() else { return }
        skip(to: first)
        release(&frames)
    }

    private mutating func skip(to number: Int64) {
        guard number > next else { return }
        lostPackets &+= UInt64(number - next)
        lossPending = true
        next = number
    }

    /// Gives what lies in order to the depacketiser.
    private mutating func release(_ frames: inout [EncodedFrame]) {
        while storedCount > 0, let packet = slots[slot(next)] {
            slots[slot(next)] = nil
            storedCount -= 1
            storedBytes -= packet.payload.count
            next += 1
            // Packets that only pad belong to no frame.
            if packet.payload.isEmpty { continue }
            let lost = lossPending
            lossPending = false
            frames += depacketize(packet, lost: lost)
        }
    }

    private mutating func restart(_ frames: inout [EncodedFrame]) {
        while storedCount > 0 { giveUpGap(&frames) }
        while let frame = flushDepacketizer() { frames.append(frame) }
        unwrapper = SequenceUnwrapper()
        next = 0
        lateInARow = 0
        lossPending = true
    }

    // MARK: depacketiser

    private mutating func depacketize(_ packet: Stored, lost: Bool) -> [EncodedFrame] {
        packet.payload.withUnsafeBytes { payload in
            let frame: EncodedFrame?
            switch depacketizer {
            case .h264(var inner):
                depacketizer = .audio(OpusDepacketizer())  // one reference only, so that the frame grows in place
                frame = inner.push(payload: payload, marker: packet.marker, timestamp: packet.timestamp, lost: lost)
                depacketizer = .h264(inner)
            case .vp8(var inner):
                depacketizer = .audio(OpusDepacketizer())
                frame = inner.push(payload: payload, marker: packet.marker, timestamp: packet.timestamp, lost: lost)
                depacketizer = .vp8(inner)
            case .vp9(var inner):
                depacketizer = .audio(OpusDepacketizer())
                frame = inner.push(payload: payload, marker: packet.marker, timestamp: packet.timestamp, lost: lost)
                depacketizer = .vp9(inner)
            case .av1(var inner):
                depacketizer = .audio(OpusDepacketizer())
                frame = inner.push(payload: payload, marker: packet.marker, timestamp: packet.timestamp, lost: lost)
                depacketizer = .av1(inner)
            case .aac(var inner):
                depacketizer = .audio(OpusDepacketizer())
                let frames = inner.push(payload: payload, marker: packet.marker, timestamp: packet.timestamp, lost: lost)
                depacketizer = .aac(inner)
                return frames
            case .audio(var inner):
                frame = inner.push(payload: payload, marker: packet.marker, timestamp: packet.timestamp, lost: lost)
            }
            return frame.map { [$0] } ?? []
        }
    }

    private mutating func flushDepacketizer() -> EncodedFrame? {
        let frame: EncodedFrame?
        switch depacketizer {
        case .h264(var inner):
            frame = inner.flush()
            depacketizer = .h264(inner)
        case .vp8(var inner):
            frame = inner.flush()
            depacketizer = .vp8(inner)
        case .vp9(var inner):
            frame = inner.flush()
            depacketizer = .vp9(inner)
        case .av1(var inner):
            frame = inner.flush()
            depacketizer = .av1(inner)
        case .aac, .audio:
            frame = nil
        }
        return frame
    }
}
