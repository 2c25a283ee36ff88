// SPDX-License-Identifier: Apache-2.0
// Reads bit fields and Exp-Golomb numbers from codec headers. Used by the payload inspector and the packetisers.

/// A cursor over bits that never reads beyond its bytes: past the end it gives zeros and `isOverrun` is true. Trivial.
struct BitReader {
    private let bytes: UnsafeRawBufferPointer
    private let skipsEmulationPrevention: Bool
    private var byte = 0
    private var bit: UInt8 = 0
    private var zeros = 0
    private(set) var isOverrun = false

    /// - Parameter skipsEmulationPrevention: leave out the 3 of each 0 0 3 (H.264 §7.3.1).
    init(_ bytes: UnsafeRawBufferPointer, skipsEmulationPrevention: Bool = false) {
        self.bytes = bytes
        self.skipsEmulationPrevention = skipsEmulationPrevention
    }

    mutating func readBit() -> Bool {
        if bit == 0, skipsEmulationPrevention, zeros >= 2, byte < bytes.count, bytes[byte] == 3 {
            byte += 1
            zeros = 0
        }
        guard byte < bytes.count else {
            isOverrun = true
            return false
        }
        let value = bytes[byte] >> (7 - bit) & 1 != 0
        bit += 1
        if bit == 8 {
            zeros = bytes[byte] == 0 ? zeros + 1 : 0
            bit = 0
            byte += 1
        }
        return value
    }

    /// `count` bits, 32 at most, most significant first.
    mutating func read(_ count: Int) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<count { value = value << 1 | (readBit() ? 1 : 0) }
        return value
    }

    mutating func skip(_ count: Int) { for _ in 0..<count { _ = readBit() } }

    /// ue(v) of H.264 §9.1; 0 and overrun when it has more than 31 leading zeros.
    mutating func readUE() -> UInt32 {
        var leading = 0
        while !readBit() {
            leading += 1
            guard leading < 32, !isOverrun else {
                isOverrun = true
                return 0
            }
        }
        return leading == 0 ? 0 : (1 << UInt32(leading)) - 1 + read(leading)
    }

    /// se(v) of H.264 §9.1.1.
    mutating func readSE() -> Int32 {
        let code = Int64(readUE())
        return Int32(truncatingIfNeeded: code & 1 == 1 ? (code + 1) / 2 : -(code / 2))
    }

    /// uvlc() of AV1 §4.10.3.
    mutating func readUVLC() -> UInt32 { readUE() }
}
