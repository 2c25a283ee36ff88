// Encoded frames of one track as RTP packets. Owned by a PublishEngine.
import Primitives
import RTP
import SDP

/// Keeps sequence numbers, SSRC and the RTP clock of one track.
struct RTPTrackSender {
    let ssrc: UInt32
    private let payloadType: UInt8
    private let isVideo: Bool
    private let clockRate: Int64
    private let firstTimestamp: UInt32
    private var sequence: UInt16
    private var packetizer: FramePacketizer

    /// SSRC, first sequence number and first timestamp are random (RFC 3550 §5.1). `nil` for a codec that can't be packetised.
    init?(_ format: TrackFormat, maximumPayload: Int, random: inout RandomSource) {
        payloadType = format.codec.payloadType
        isVideo = format.kind == .video
        clockRate = Int64(format.codec.clockRate)
        ssrc = UInt32.random(in: 1...UInt32.max, using: &random)
        firstTimestamp = UInt32.random(in: 0...UInt32.max, using: &random)
        sequence = UInt16.random(in: 0...UInt16.max / 2, using: &random)
        guard let packetizer = FramePacketizer(
            codec: CodecKind(encodingName: format.codec.name), maximumPayload: maximumPayload)
        else { return nil }
        self.packetizer = packetizer
    }

    /// The timestamp of what is drawn or sounds `elapsed` ns after the start.
    func timestamp(at elapsed: Int64) -> UInt32 {
        let (seconds, rest) = elapsed.quotientAndRemainder(dividingBy: 1_000_000_000)
        return firstTimestamp &+ UInt32(truncatingIfNeeded: seconds * clockRate + rest * clockRate / 1_000_000_000)
    }

    /// The packets of one frame; the last one carries the marker for video.
    mutating func packets(for unit: ProducedUnit, startsTalk: Bool = false) -> [[UInt8]] {
        let payloads = unit.bytes.withUnsafeBytes { packetizer.packetize($0) }
        let timestamp = firstTimestamp &+ UInt32(truncatingIfNeeded: unit.ticks)
        var packets: [[UInt8]] = []
        packets.reserveCapacity(payloads.count)
        for (index, payload) in payloads.enumerated() {
            let marker = isVideo ? index == payloads.count - 1 : startsTalk
            packets.append(packet(payload, marker: marker, timestamp: timestamp))
            sequence &+= 1
        }
        return packets
    }

    private func packet(_ payload: [UInt8], marker: Bool, timestamp: UInt32) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 12 + payload.count) { buffer, count in
            let memory = UnsafeMutableRawBufferPointer(buffer)
            var writer = RTPHeaderWriter(into: memory)
            writer.writeFixed(
                marker: marker, payloadType: payloadType, sequenceNumber: sequence, timestamp: timestamp, ssrc: ssrc)
            UnsafeMutableRawBufferPointer(rebasing: memory[writer.length...]).copyBytes(from: payload)
            count = writer.length + payload.count
        }
    }
}
