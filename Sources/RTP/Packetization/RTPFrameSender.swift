// SPDX-License-Identifier: Apache-2.0
// Encoded frames of one track as RTP packets. Used by sources that are not RTP, by bridges and by publishing tools.
import Primitives

/// Keeps the packetiser, SSRC and sequence numbers of one track.
public struct RTPFrameSender: Sendable {
    public let ssrc: UInt32
    private let payloadType: UInt8
    private let isVideo: Bool
    /// The last packet of a frame has the marker: video, and AAC (RFC 3640 §3.1).
    private let marksEnd: Bool
    /// A byte of a frame lasts one tick: G.711 and G.722 (RFC 3551 §4.5).
    private let isCountedByByte: Bool
    /// Frames of those codecs that last longer than 60 ms leave in pieces of 20 ms, as players expect them; bytes.
    private static let longestPiece = 480, piece = 160
    private var sequence: UInt16
    private var packetizer: FramePacketizer

    /// SSRC and first sequence number are random (RFC 3550 §5.1). `nil` for a codec that can't be packetised.
    public init?(codec: CodecKind, payloadType: UInt8, maximumPayload: Int = 1180, random: inout RandomSource) {
        guard let packetizer = FramePacketizer(codec: codec, maximumPayload: maximumPayload) else { return nil }
        self.payloadType = payloadType
        self.packetizer = packetizer
        isVideo = codec.isVideo
        marksEnd = codec.isVideo || codec == .aac
        isCountedByByte = [.pcmu, .pcma, .g722].contains(codec)
        ssrc = UInt32.random(in: 1...UInt32.max, using: &random)
        sequence = UInt16.random(in: 0...UInt16.max / 2, using: &random)
    }

    /// The packets of one frame.
    /// - Parameter startsTalk: audio after a pause: the marker is set (RFC 3551 §4.1).
    public mutating func packets(frame: [UInt8], timestamp: UInt32, startsTalk: Bool = false) -> [[UInt8]] {
        if isCountedByByte, frame.count > Self.longestPiece {
            var packets: [[UInt8]] = [], start = 0
            while start < frame.count {
                let end = min(start + Self.piece, frame.count)
                packets.append(packet(Array(frame[start..<end]), marker: startsTalk && start == 0, timestamp: timestamp &+ UInt32(truncatingIfNeeded: start)))
                sequence &+= 1
                start = end
            }
            return packets
        }
        let payloads = frame.withUnsafeBytes { packetizer.packetize($0) }
        var packets: [[UInt8]] = []
        packets.reserveCapacity(payloads.count)
        for (index, payload) in payloads.enumerated() {
            let marker = marksEnd ? index == payloads.count - 1 : startsTalk
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
