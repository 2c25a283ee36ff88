// SPDX-License-Identifier: Apache-2.0
// VP8 in RTP payloads (RFC 7741): the payload descriptor and the key frame header behind it.
// Used by PayloadInspector and the depacketiser.

/// The VP8 payload descriptor.
///
/// ```
/// |X|R|N|S|R| PID |   X: |I|L|T|K| RSV   |   I: |M| PictureID (7 or 15)   L: TL0PICIDX   T/K: TID|Y|KEYIDX
/// ```
@usableFromInline enum VP8Payload {
    @inlinable
    static func isFrameStart(_ payload: UnsafeRawBufferPointer) -> Bool {
        // S set and partition 0.
        payload[0] & 0x17 == 0x10 && descriptorLength(payload) < payload.count
    }

    @inlinable
    static func isKeyFrameStart(_ payload: UnsafeRawBufferPointer) -> Bool {
        guard payload[0] & 0x17 == 0x10 else { return false }
        let length = descriptorLength(payload)
        return length < payload.count && payload[length] & 0x01 == 0
    }

    /// Bytes of the descriptor; `Int.max` when it goes beyond the payload.
    @inlinable
    static func descriptorLength(_ payload: UnsafeRawBufferPointer) -> Int {
        guard payload[0] & 0x80 != 0 else { return 1 }
        guard payload.count > 1 else { return .max }
        let flags = payload[1]
        var length = 2
        if flags & 0x80 != 0 {
            guard payload.count > length else { return .max }
            length += payload[length] & 0x80 != 0 ? 2 : 1
        }
        if flags & 0x40 != 0 { length += 1 }
        if flags & 0x30 != 0 { length += 1 }
        return length <= payload.count ? length : .max
    }

    static func videoSize(_ payload: UnsafeRawBufferPointer) -> (width: Int, height: Int)? {
        guard isKeyFrameStart(payload) else { return nil }
        return size(ofFrame: UnsafeRawBufferPointer(rebasing: payload[descriptorLength(payload)...]))
    }

    /// Size from the uncompressed data chunk of a key frame (RFC 6386 §9.1).
    static func size(ofFrame frame: UnsafeRawBufferPointer) -> (width: Int, height: Int)? {
        guard frame.count >= 10, frame[0] & 1 == 0, frame[3] == 0x9d, frame[4] == 0x01, frame[5] == 0x2a else { return nil }
        return (
            (Int(frame[7]) << 8 | Int(frame[6])) & 0x3fff,
            (Int(frame[9]) << 8 | Int(frame[8])) & 0x3fff
        )
    }
}
