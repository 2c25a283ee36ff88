// SPDX-License-Identifier: Apache-2.0
// Encoded frames of one track as RTP packets. Owned by a PublishEngine.
import Primitives
import RTP
import SDP

/// One track's clock in front of its packetiser.
struct RTPTrackSender {
    var ssrc: UInt32 { sender.ssrc }
    private let clockRate: Int
    private let firstTimestamp: UInt32
    private var sender: RTPFrameSender

    /// The first timestamp is random (RFC 3550 §5.1). `nil` for a codec that can't be packetised.
    init?(_ format: TrackFormat, maximumPayload: Int, random: inout RandomSource) {
        guard let sender = RTPFrameSender(
            codec: CodecKind(encodingName: format.codec.name), payloadType: format.codec.payloadType, maximumPayload: maximumPayload,
            random: &random)
        else { return nil }
        self.sender = sender
        clockRate = format.codec.clockRate
        firstTimestamp = UInt32.random(in: 0...UInt32.max, using: &random)
    }

    /// The timestamp of what is drawn or sounds `elapsed` after the start.
    func timestamp(at elapsed: TimeSpan) -> UInt32 {
        firstTimestamp &+ UInt32(truncatingIfNeeded: elapsed.ticks(clockRate: clockRate))
    }

    /// The packets of one frame; the last one carries the marker for video.
    mutating func packets(for unit: ProducedUnit, startsTalk: Bool = false) -> [[UInt8]] {
        sender.packets(frame: unit.bytes, timestamp: firstTimestamp &+ UInt32(truncatingIfNeeded: unit.ticks), startsTalk: startsTalk)
    }
}
