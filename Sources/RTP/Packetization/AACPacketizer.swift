// SPDX-License-Identifier: Apache-2.0
// AAC frames to RTP payloads (RFC 3640, mode AAC-hbr). Used by sources that are not RTP and by bridges.

/// One frame to a payload, or one over several.
public struct AACPacketizer: Sendable {
    private let maximum: Int

    /// - Parameter maximumPayload: bytes of a payload at most; 64…60000.
    public init(maximumPayload: Int = 1180) { maximum = PayloadSplit.clamp(maximumPayload) }

    /// The payloads of one frame without ADTS; the last one gets the marker. Empty when the frame is empty or longer than the 8191
    /// bytes that its header can say.
    public mutating func packetize(_ frame: UnsafeRawBufferPointer) -> [[UInt8]] {
        guard (1...8191).contains(frame.count) else { return [] }
        // One header of 16 bits: the size of the whole frame, index 0; the same in front of every piece (§3.2.3.1).
        let header: [UInt8] = [0, 16, UInt8(frame.count >> 5), UInt8(frame.count << 3 & 0xff)]
        var payloads: [[UInt8]] = []
        var offset = 0
        for length in PayloadSplit.lengths(of: frame.count, capacity: maximum - header.count) {
            payloads.append(header + frame[offset..<offset + length])
            offset += length
        }
        return payloads
    }
}
