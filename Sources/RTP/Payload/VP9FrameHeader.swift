// SPDX-License-Identifier: Apache-2.0
// The beginning of a VP9 frame: is it a key frame, and how large. Used by the payload inspector and the packetiser.

/// VP9 uncompressed header (bitstream specification §6.2), as far as the frame size of key frames.
struct VP9FrameHeader {
    let isKeyFrame: Bool
    /// `nil` for other than key frames.
    let size: (width: Int, height: Int)?

    /// `nil` when these bytes don't begin a frame.
    init?(_ frame: UnsafeRawBufferPointer) {
        var bits = BitReader(frame)
        guard bits.read(2) == 2 else { return nil }
        let profile = bits.read(1) | bits.read(1) << 1
        if profile == 3, bits.readBit() { return nil }
        if bits.readBit() {  // shows an existing frame
            isKeyFrame = false
            size = nil
            return
        }
        isKeyFrame = !bits.readBit()
        bits.skip(2)  // shown, error resilient
        guard isKeyFrame else {
            size = nil
            return
        }
        guard bits.read(24) == 0x498342 else { return nil }
        if profile >= 2 { bits.skip(1) }  // bit depth
        let isRGB = bits.read(3) == 7
        if !isRGB {
            bits.skip(1)  // range
            if profile & 1 != 0 { bits.skip(3) }
        } else if profile & 1 != 0 {
            bits.skip(1)
        }
        let width = Int(bits.read(16)) + 1
        let height = Int(bits.read(16)) + 1
        guard !bits.isOverrun else { return nil }
        size = (width, height)
    }
}
