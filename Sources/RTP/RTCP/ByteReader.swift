// SPDX-License-Identifier: Apache-2.0
// Reads big-endian numbers from a packet with every bound checked. Used by the RTCP parsers only.

/// A cursor over bytes that it does not own.
struct ByteReader {
    private let base: UnsafeRawBufferPointer
    private let type: UInt8
    private(set) var offset = 0

    /// - Parameter type: RTCP packet type, named in errors.
    init(_ base: UnsafeRawBufferPointer, type: UInt8) {
        self.base = base
        self.type = type
    }

    var remaining: Int { base.count - offset }

    mutating func bytes(_ count: Int) throws(RTCPError) -> UnsafeRawBufferPointer {
        guard count >= 0, count <= remaining else { throw .malformed(type: type) }
        defer { offset += count }
        return UnsafeRawBufferPointer(rebasing: base[offset..<offset + count])
    }

    mutating func uint8() throws(RTCPError) -> UInt8 {
        guard remaining >= 1 else { throw .malformed(type: type) }
        defer { offset += 1 }
        return base[offset]
    }

    mutating func uint16() throws(RTCPError) -> UInt16 {
        guard remaining >= 2 else { throw .malformed(type: type) }
        defer { offset += 2 }
        return UInt16(bigEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }

    mutating func uint32() throws(RTCPError) -> UInt32 {
        guard remaining >= 4 else { throw .malformed(type: type) }
        defer { offset += 4 }
        return UInt32(bigEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
}
