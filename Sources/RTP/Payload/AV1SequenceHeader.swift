// SPDX-License-Identifier: Apache-2.0
// Reads the picture size out of an AV1 sequence header. Used by the payload inspector.

/// AV1 sequence header OBU (specification §5.5).
enum AV1SequenceHeader {
    /// The largest frame size of the sequence; `nil` when the header ends too early.
    static func size(_ payload: UnsafeRawBufferPointer) -> (width: Int, height: Int)? {
        var bits = BitReader(payload)
        bits.skip(4)  // profile, still picture
        if bits.readBit() {  // reduced still picture header
            bits.skip(5)
        } else {
            var hasDecoderModel = false
            var delayLength = 0
            if bits.readBit() {  // timing info
                bits.skip(64)
                if bits.readBit() { _ = bits.readUVLC() }
                hasDecoderModel = bits.readBit()
                if hasDecoderModel {
                    delayLength = Int(bits.read(5)) + 1
                    bits.skip(32 + 5 + 5)
                }
            }
            let hasInitialDelay = bits.readBit()
            let points = Int(bits.read(5)) + 1
            for _ in 0..<points {
                bits.skip(12)
                if bits.read(5) > 7 { bits.skip(1) }  // tier
                if hasDecoderModel, bits.readBit() { bits.skip(2 * delayLength + 1) }
                if hasInitialDelay, bits.readBit() { bits.skip(4) }
            }
        }
        let widthBits = Int(bits.read(4)) + 1
        let heightBits = Int(bits.read(4)) + 1
        let width = Int(bits.read(widthBits)) + 1
        let height = Int(bits.read(heightBits)) + 1
        guard !bits.isOverrun else { return nil }
        return (width, height)
    }
}
