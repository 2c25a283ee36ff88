// SPDX-License-Identifier: Apache-2.0
// Writes RTP headers into memory that the caller owns. Used by whoever makes RTP: publishing tools, packetised sources.

/// Writes one RTP header: the fixed part and, when wanted, header extension elements (RFC 3550 §5.1, RFC 8285).
///
/// Elements are written in the one-byte form and converted to the two-byte form when one comes that doesn't fit it
/// (id above 14, more than 16 bytes, or empty). Nothing is ever written beyond the buffer: what doesn't fit is left out
/// and `isTruncated` becomes true. Trivial, no allocation.
@frozen public struct RTPHeaderWriter {
    @usableFromInline let buffer: UnsafeMutableRawBufferPointer
    @usableFromInline var extensionStart: Int
    @usableFromInline var isTwoByte: Bool
    /// Bytes written so far.
    @inlinable public var length: Int { end }
    /// Something did not fit into the buffer; the header must not be used.
    @inlinable public var isTruncated: Bool { overrun }
    @usableFromInline var end: Int
    @usableFromInline var overrun: Bool

    @inlinable public init(into buffer: UnsafeMutableRawBufferPointer) {
        self.buffer = buffer
        extensionStart = 0
        isTwoByte = false
        end = 0
        overrun = false
    }

    /// Writes the 12 fixed bytes: version 2, no padding, no CSRC. Needs to be the first call.
    @inlinable @inline(__always)
    public mutating func writeFixed(
        marker: Bool, payloadType: UInt8, sequenceNumber: UInt16, timestamp: UInt32, ssrc: UInt32
    ) {
        guard buffer.count >= 12 else { return overrun = true }
        buffer.storeBytes(of: 0x80, as: UInt8.self)
        buffer.storeBytes(of: payloadType & 0x7f | (marker ? 0x80 : 0), toByteOffset: 1, as: UInt8.self)
        buffer.storeBytes(of: sequenceNumber.bigEndian, toByteOffset: 2, as: UInt16.self)
        buffer.storeBytes(of: timestamp.bigEndian, toByteOffset: 4, as: UInt32.self)
        buffer.storeBytes(of: ssrc.bigEndian, toByteOffset: 8, as: UInt32.self)
        end = 12
    }

    /// Sets the padding bit; the padding itself is the caller's to append.
    @inlinable public mutating func setPadding() {
        guard end >= 12 else { return overrun = true }
        buffer[0] |= 0x20
    }

    /// Begins the header extension. Follow with `addExtension` and end with `endExtensions`.
    @inlinable @inline(__always)
    public mutating func beginExtensions() {
        guard end == 12, buffer.count >= 16 else { return overrun = true }
        extensionStart = 16
        end = 16
        isTwoByte = false
    }

    /// Adds one element. `id` is 1…255 (255 ids only in the two-byte form), `bytes` at most 255 bytes.
    @inlinable @inline(__always)
    public mutating func addExtension(id: UInt8, bytes: UnsafeRawBufferPointer) {
        guard extensionStart != 0, id != 0, bytes.count <= 255 else { return overrun = true }
        if !isTwoByte, id > 14 || bytes.count > 16 || bytes.isEmpty { convertToTwoByte() }
        let head = isTwoByte ? 2 : 1
        guard end + head + bytes.count <= buffer.count else { return overrun = true }
        if isTwoByte {
            buffer[end] = id
            buffer[end + 1] = UInt8(truncatingIfNeeded: bytes.count)
        } else {
            buffer[end] = id << 4 | UInt8(truncatingIfNeeded: bytes.count - 1)
        }
        for i in 0..<bytes.count { buffer[end + head + i] = bytes[i] }
        end += head + bytes.count
    }

    /// Ends the extension: pads to a multiple of four bytes and fills in profile and length.
    /// An extension without elements is taken back.
    @inlinable @inline(__always)
    public mutating func endExtensions() {
        guard extensionStart != 0 else { return overrun = true }
        defer { extensionStart = 0 }
        if end == extensionStart {
            end = 12
            return
        }
        let padded = (end + 3) & ~3
        guard padded <= buffer.count else { return overrun = true }
        while end < padded {
            buffer[end] = 0
            end += 1
        }
        buffer[0] |= 0x10
        let profile: UInt16 = isTwoByte ? 0x1000 : 0xbede
        buffer.storeBytes(of: profile.bigEndian, toByteOffset: 12, as: UInt16.self)
        buffer.storeBytes(of: UInt16(truncatingIfNeeded: (end - 16) / 4).bigEndian, toByteOffset: 14, as: UInt16.self)
    }

    /// Gives every element written so far a two-byte head.
    @usableFromInline
    mutating func convertToTwoByte() {
        var position = extensionStart
        while position < end {
            let head = buffer[position]
            guard end < buffer.count else { return overrun = true }
            var i = end
            while i > position + 1 {
                buffer[i] = buffer[i - 1]
                i -= 1
            }
            let count = head & 0x0f + 1
            buffer[position] = head >> 4
            buffer[position + 1] = count
            end += 1
            position += 2 + Int(count)
        }
        isTwoByte = true
    }
}
