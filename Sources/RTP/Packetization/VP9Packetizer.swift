// SPDX-License-Identifier: Apache-2.0
// VP9 frames to RTP payloads. Used by publishing tools.

/// RFC 9628 in non-flexible mode without layers: 15-bit picture ID, picture size in front of each key frame.
public struct VP9Packetizer: Sendable {
    private let maximum: Int
    private var pictureID: UInt16

    /// - Parameters:
    ///   - maximumPayload: bytes of a payload at most; 64…60000.
    ///   - pictureID: of the first frame, 15 bits.
    public init(maximumPayload: Int = 1180, pictureID: UInt16 = 0) {
        maximum = PayloadSplit.clamp(maximumPayload)
        self.pictureID = pictureID & 0x7fff
    }

    /// The payloads of one frame or superframe; the last one gets the marker.
    public mutating func packetize(_ frame: UnsafeRawBufferPointer) -> [[UInt8]] {
        let header = VP9FrameHeader(frame)
        let isKeyFrame = header?.isKeyFrame ?? false
        let size = header?.size
        let lengths = PayloadSplit.lengths(of: frame.count, capacity: maximum - 3, firstOverhead: size == nil ? 0 : 5)
        var payloads: [[UInt8]] = []
        var offset = 0
        for (i, length) in lengths.enumerated() {
            var flags: UInt8 = 0x80
            if !isKeyFrame { flags |= 0x40 }
            if i == 0 { flags |= 0x08 }
            if i == lengths.count - 1 { flags |= 0x04 }
            if i == 0, size != nil { flags |= 0x02 }
            var payload: [UInt8] = [flags, 0x80 | UInt8(pictureID >> 8), UInt8(pictureID & 0xff)]
            payload.reserveCapacity(length + 8)
            if i == 0, let size {
                // One spatial layer, its size given, no picture group.
                payload.append(0x10)
                for value in [size.width, size.height] {
                    payload.append(UInt8(truncatingIfNeeded: value >> 8))
                    payload.append(UInt8(truncatingIfNeeded: value))
                }
            }
            payload.append(contentsOf: frame[offset..<offset + length])
            payloads.append(payload)
            offset += length
        }
        if !payloads.isEmpty { pictureID = (pictureID + 1) & 0x7fff }
        return payloads
    }
}
