// SPDX-License-Identifier: Apache-2.0
// The variable length numbers of AV1 (specification §4.10.5). Used by the AV1 payload code.

/// Little-endian base 128 numbers, limited to 32 bits.
@usableFromInline enum LEB128 {
    /// The number at `offset` and how many bytes it takes; `nil` when it is cut off or above 32 bits.
    @inlinable
    static func read(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> (value: Int, length: Int)? {
        var value: UInt64 = 0
        for i in 0..<8 {
            guard offset + i < bytes.count else { return nil }
            let byte = bytes[offset + i]
            value |= UInt64(byte & 0x7f) << UInt64(i * 7)
            if byte & 0x80 == 0 { return value <= UInt32.max ? (Int(value), i + 1) : nil }
        }
        return nil
    }

    static func length(of value: Int) -> Int {
        var rest = value >> 7
        var length = 1
        while rest > 0 {
            rest >>= 7
            length += 1
        }
        return length
    }

    static func append(_ value: Int, to output: inout [UInt8]) {
        var rest = value
        while rest >= 0x80 {
            output.append(UInt8(rest & 0x7f) | 0x80)
            rest >>= 7
        }
        output.append(UInt8(rest))
    }
}
