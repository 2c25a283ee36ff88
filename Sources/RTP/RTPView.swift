// SPDX-License-Identifier: Apache-2.0
// Reads an RTP packet where it lies. Made by endpoints and taps for each packet; lives no longer than the bytes.

/// A checked look at an RTP packet (RFC 3550 §5.1, header extensions RFC 8285) in memory that somebody else owns.
///
/// ```
///  0                   1                   2                   3
/// |V=2|P|X|  CC   |M|     PT      |       sequence number         |
/// |                           timestamp                           |
/// |             synchronization source (SSRC) identifier          |
/// |   CSRCs (4 × CC) | X: profile, length in words, elements …    |
/// |   payload …                          | padding … | P: count   |
/// ```
/// Trivial: no allocation, no reference counting. It must not outlive the buffer it was made from.
@frozen public struct RTPView {
    /// The whole packet.
    public let bytes: UnsafeRawBufferPointer
    /// Bytes in front of the payload: fixed part, CSRCs and header extension.
    public let headerLength: Int
    /// Padding at the end in bytes, its count byte included; 0 without padding.
    public let paddingLength: Int
    @usableFromInline let base: UnsafeRawPointer

    /// `nil` when this is no RTP version 2 packet, or a length in it goes beyond its end.
    @inlinable @inline(__always)
    public init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= 12, let base = bytes.baseAddress else { return nil }
        let first = base.load(as: UInt8.self)
        guard first >> 6 == 2 else { return nil }
        var length = 12 + Int(first & 0x0f) * 4
        if first & 0x10 != 0 {
            guard length + 4 <= bytes.count else { return nil }
            length += 4 + Int(UInt16(bigEndian: base.loadUnaligned(fromByteOffset: length + 2, as: UInt16.self))) * 4
        }
        guard length <= bytes.count else { return nil }
        var padding = 0
        if first & 0x20 != 0 {
            padding = Int(base.load(fromByteOffset: bytes.count - 1, as: UInt8.self))
            guard padding > 0, length + padding <= bytes.count else { return nil }
        }
        self.bytes = bytes
        self.base = base
        headerLength = length
        paddingLength = padding
    }

    @inlinable public var payloadType: UInt8 { base.load(fromByteOffset: 1, as: UInt8.self) & 0x7f }
    @inlinable public var marker: Bool { base.load(fromByteOffset: 1, as: UInt8.self) & 0x80 != 0 }
    @inlinable public var sequenceNumber: UInt16 {
        UInt16(bigEndian: base.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
    }
    @inlinable public var timestamp: UInt32 { UInt32(bigEndian: base.loadUnaligned(fromByteOffset: 4, as: UInt32.self)) }
    @inlinable public var ssrc: UInt32 { UInt32(bigEndian: base.loadUnaligned(fromByteOffset: 8, as: UInt32.self)) }
    @inlinable public var csrcCount: Int { Int(base.load(as: UInt8.self) & 0x0f) }
    @inlinable public var hasExtension: Bool { base.load(as: UInt8.self) & 0x10 != 0 }

    /// The payload without padding; empty for a packet that only pads.
    @inlinable public var payload: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base + headerLength, count: bytes.count - headerLength - paddingLength)
    }

    /// The contributing source number `index`; `index` must be below `csrcCount`.
    @inlinable public func csrc(_ index: Int) -> UInt32 {
        precondition(index >= 0 && index < csrcCount)
        return UInt32(bigEndian: base.loadUnaligned(fromByteOffset: 12 + index * 4, as: UInt32.self))
    }

    /// The 16 bits in front of the extension's length: 0xBEDE for one-byte, 0x1000…0x100F for two-byte elements (RFC 8285).
    /// `nil` without an extension.
    @inlinable public var extensionProfile: UInt16? {
        guard hasExtension else { return nil }
        return UInt16(bigEndian: base.loadUnaligned(fromByteOffset: 12 + csrcCount * 4, as: UInt16.self))
    }

    /// The data of the header extension element `id` (1…14 in the one-byte form, 1…255 in the two-byte form); `nil` when
    /// it is not there. Scans from the front; elements behind a malformed one are not seen.
    @inlinable @inline(__always)
    public func extensionElement(id: UInt8) -> UnsafeRawBufferPointer? {
        var scan = ExtensionScan(self)
        while let element = scan.next() {
            if element.id == id { return element.data }
        }
        return nil
    }

    /// Calls `body` with each header extension element in order.
    @inlinable
    public func forEachExtension(_ body: (_ id: UInt8, _ data: UnsafeRawBufferPointer) -> Void) {
        var scan = ExtensionScan(self)
        while let element = scan.next() { body(element.id, element.data) }
    }
}

/// Walks the elements of one header extension (RFC 8285 §4.2, §4.3). Trivial.
@frozen @usableFromInline struct ExtensionScan {
    @usableFromInline let base: UnsafeRawPointer
    @usableFromInline var offset: Int
    @usableFromInline let end: Int
    @usableFromInline let isTwoByte: Bool

    @inlinable @inline(__always)
    init(_ view: RTPView) {
        base = view.base
        guard view.hasExtension else {
            (offset, end, isTwoByte) = (0, 0, false)
            return
        }
        let start = 12 + view.csrcCount * 4
        let profile = UInt16(bigEndian: base.loadUnaligned(fromByteOffset: start, as: UInt16.self))
        isTwoByte = profile & 0xfff0 == 0x1000
        offset = start + 4
        end = isTwoByte || profile == 0xbede ? view.headerLength : 0
    }

    @inlinable @inline(__always)
    mutating func next() -> (id: UInt8, data: UnsafeRawBufferPointer)? {
        while offset < end {
            let byte = base.load(fromByteOffset: offset, as: UInt8.self)
            if byte == 0 {
                offset += 1
                continue
            }
            let id: UInt8
            let length: Int
            if isTwoByte {
                guard offset + 2 <= end else { break }
                id = byte
                length = Int(base.load(fromByteOffset: offset + 1, as: UInt8.self))
                offset += 2
            } else {
                id = byte >> 4
                // 15 is reserved: stop (RFC 8285 §4.2). 0 with a length is padding that claims data: skipped.
                if id == 15 { break }
                length = Int(byte & 0x0f) + 1
                offset += 1
            }
            guard offset + length <= end else { break }
            let data = UnsafeRawBufferPointer(start: base + offset, count: length)
            offset += length
            if id != 0 { return (id, data) }
        }
        offset = end
        return nil
    }
}
