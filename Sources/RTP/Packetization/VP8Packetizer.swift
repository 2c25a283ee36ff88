// SPDX-License-Identifier: Apache-2.0
// VP8 frames to RTP payloads. Used by publishing tools.

/// RFC 7741 with a 15-bit picture ID, as browsers send it; one partition as far as RTP is concerned.
public struct VP8Packetizer: Sendable {
    private let maximum: Int
    private var pictureID: UInt16

    /// - Parameters:
    ///   - maximumPayload: bytes of a payload at most; 64…60000.
    ///   - pictureID: of the first frame, 15 bits.
    public init(maximumPayload: Int = 1180, pictureID: UInt16 = 0) {
        maximum = PayloadSplit.clamp(maximumPayload)
        self.pictureID = pictureID & 0x7fff
    }

    /// The payloads of one frame; the last one gets the marker.
    public mutating func packetize(_ frame: UnsafeRawBufferPointer) -> [[UInt8]] {
        var payloads: [[UInt8]] = []
        var offset = 0
        for length in PayloadSplit.lengths(of: frame.count, capacity: maximum - 4) {
            var payload: [UInt8] = [
                offset == 0 ? 0x90 : 0x80, 0x80, 0x80 | UInt8(pictureID >> 8), UInt8(pictureID & 0xff),
            ]
            payload.reserveCapacity(length + 4)
            payload.append(contentsOf: frame[offset..<offset + length])
            payloads.append(payload)
            offset += length
        }
        if !payloads.isEmpty { pictureID = (pictureID + 1) & 0x7fff }
        return payloads
    }
}
