// SPDX-License-Identifier: Apache-2.0
// Appends big-endian numbers to a packet being built. Used by the RTCP serialisers only.

/// A growing packet.
struct ByteWriter {
    private(set) var output: [UInt8] = []

    mutating func uint8(_ value: UInt8) { output.append(value) }

    mutating func uint16(_ value: UInt16) {
        output.append(UInt8(truncatingIfNeeded: value >> 8))
        output.append(UInt8(truncatingIfNeeded: value))
    }

    mutating func uint32(_ value: UInt32) {
        uint16(UInt16(truncatingIfNeeded: value >> 16))
        uint16(UInt16(truncatingIfNeeded: value))
    }

    mutating func bytes(_ bytes: some Sequence<UInt8>) { output.append(contentsOf: bytes) }

    /// Zeros up to the next multiple of four.
    mutating func pad() { while output.count & 3 != 0 { output.append(0) } }

    /// Overwrites the 16 bits at `offset`.
    mutating func setUInt16(_ value: UInt16, at offset: Int) {
        output[offset] = UInt8(truncatingIfNeeded: value >> 8)
        output[offset + 1] = UInt8(truncatingIfNeeded: value)
    }
}
