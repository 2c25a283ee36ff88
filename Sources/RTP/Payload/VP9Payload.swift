// SPDX-License-Identifier: Apache-2.0
// VP9 in RTP payloads (RFC 9628): the payload descriptor, its scalability structure and the frame header behind it.
// Used by PayloadInspector, packetiser and depacketiser.

/// The VP9 payload descriptor.
///
/// ```
/// |I|P|L|F|B|E|V|Z|   I: |M| PictureID   L: | TID |U| SID |D| (F=0: TL0PICIDX)   F and P: | P_DIFF |N| …   V: structure
/// ```
@frozen @usableFromInline struct VP9Payload {
    /// B: the packet begins a layer frame.
    @usableFromInline let isStart: Bool
    /// E: the packet ends a layer frame.
    @usableFromInline let isEnd: Bool
    /// P: predicted from another picture.
    @usableFromInline let isPredicted: Bool
    @usableFromInline let spatialLayer: UInt8
    /// Where the scalability structure begins; 0 without.
    @usableFromInline let structureOffset: Int
    /// Where the frame's bytes begin; the structure lies in front.
    @usableFromInline let dataOffset: Int

    @inlinable
    static func isFrameStart(_ payload: UnsafeRawBufferPointer) -> Bool {
        guard payload[0] & 0x08 != 0, let descriptor = VP9Payload(payload) else { return false }
        return descriptor.spatialLayer == 0
    }

    @inlinable
    static func isKeyFrameStart(_ payload: UnsafeRawBufferPointer) -> Bool {
        guard payload[0] & 0x48 == 0x08, let descriptor = VP9Payload(payload) else { return false }
        return descriptor.spatialLayer == 0
    }

    /// `nil` when the descriptor goes beyond the payload or nothing follows it.
    @inlinable
    init?(_ payload: UnsafeRawBufferPointer) {
        guard payload.count > 1 else { return nil }
        let flags = payload[0]
        isPredicted = flags & 0x40 != 0
        isStart = flags & 0x08 != 0
        isEnd = flags & 0x04 != 0
        var offset = 1
        if flags & 0x80 != 0 { offset += payload[1] & 0x80 != 0 ? 2 : 1 }
        if flags & 0x20 != 0 {
            guard offset < payload.count else { return nil }
            spatialLayer = payload[offset] >> 1 & 7
            offset += flags & 0x10 != 0 ? 1 : 2
        } else {
            spatialLayer = 0
        }
        if flags & 0x50 == 0x50 {
            var count = 0
            while true {
                guard offset < payload.count, count < 3 else { return nil }
                let more = payload[offset] & 1 != 0
                offset += 1
                count += 1
                if !more { break }
            }
        }
        if flags & 0x02 != 0 {
            structureOffset = offset
            guard offset < payload.count else { return nil }
            let head = payload[offset]
            offset += 1
            if head & 0x10 != 0 { offset += (Int(head >> 5) + 1) * 4 }
            if head & 0x08 != 0 {
                guard offset < payload.count else { return nil }
                let groups = Int(payload[offset])
                offset += 1
                for _ in 0..<groups {
                    guard offset < payload.count else { return nil }
                    offset += 1 + Int(payload[offset] >> 2 & 3)
                }
            }
        } else {
            structureOffset = 0
        }
        guard offset < payload.count else { return nil }
        dataOffset = offset
    }

    static func videoSize(_ payload: UnsafeRawBufferPointer) -> (width: Int, height: Int)? {
        guard let descriptor = VP9Payload(payload) else { return nil }
        if descriptor.structureOffset != 0, payload[descriptor.structureOffset] & 0x10 != 0 {
            var size = (width: 0, height: 0)
            for layer in 0...Int(payload[descriptor.structureOffset] >> 5) {
                let at = descriptor.structureOffset + 1 + layer * 4
                let width = Int(payload[at]) << 8 | Int(payload[at + 1])
                let height = Int(payload[at + 2]) << 8 | Int(payload[at + 3])
                if width * height > size.width * size.height { size = (width, height) }
            }
            return size
        }
        guard descriptor.isStart, !descriptor.isPredicted else { return nil }
        return VP9FrameHeader(UnsafeRawBufferPointer(rebasing: payload[descriptor.dataOffset...]))?.size
    }
}
