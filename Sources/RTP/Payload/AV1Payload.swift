// SPDX-License-Identifier: Apache-2.0
// AV1 in RTP payloads (AV1 RTP specification 1.0): the aggregation header and the OBU elements behind it.
// Used by PayloadInspector and the depacketiser.

/// The aggregation header and looks into what follows.
///
/// ```
/// |Z|Y| W |N|-|-|-|  then W elements (0 = any number), each but the last of W>0 behind its LEB128 length
/// ```
@usableFromInline enum AV1Payload {
    @usableFromInline static var sequenceHeader: UInt8 { 1 }
    @usableFromInline static var temporalDelimiter: UInt8 { 2 }
    @usableFromInline static var frameHeader: UInt8 { 3 }
    @usableFromInline static var metadata: UInt8 { 5 }
    @usableFromInline static var frame: UInt8 { 6 }
    @usableFromInline static var tileList: UInt8 { 8 }
    @usableFromInline static var padding: UInt8 { 15 }

    @inlinable
    static func isKeyFrameStart(_ payload: UnsafeRawBufferPointer) -> Bool {
        guard payload[0] & 0x80 == 0, payload.count > 1 else { return false }
        if payload[0] & 0x08 != 0 { return true }
        var elements = AV1Elements(payload)
        while let element = elements.next() {
            if let first = element.first, first >> 3 & 0x0f == sequenceHeader { return true }
        }
        return false
    }

    @inlinable
    static func isFrameStart(_ payload: UnsafeRawBufferPointer) -> Bool {
        guard payload[0] & 0x80 == 0, payload.count > 1 else { return false }
        var elements = AV1Elements(payload)
        guard let first = elements.next()?.first else { return false }
        let type = first >> 3 & 0x0f
        return type == sequenceHeader || type == temporalDelimiter || type == frameHeader || type == metadata || type == frame
    }

    static func videoSize(_ payload: UnsafeRawBufferPointer) -> (width: Int, height: Int)? {
        guard payload[0] & 0x80 == 0 else { return nil }
        var elements = AV1Elements(payload)
        while let element = elements.next() {
            guard let unit = AV1Unit(element), unit.type == sequenceHeader else { continue }
            return AV1SequenceHeader.size(unit.payload)
        }
        return nil
    }
}

/// Walks the OBU elements of one packet. Trivial.
@frozen @usableFromInline struct AV1Elements {
    @usableFromInline let payload: UnsafeRawBufferPointer
    @usableFromInline var offset = 1
    @usableFromInline var index = 0
    @usableFromInline let count: Int

    @inlinable
    init(_ payload: UnsafeRawBufferPointer) {
        self.payload = payload
        count = Int(payload[0] >> 4 & 3)
    }

    /// True when all of the packet was read.
    @inlinable var isAtEnd: Bool { offset >= payload.count }

    /// The next element; `nil` at the end or where a length leads beyond it (then `isAtEnd` is false).
    @inlinable
    mutating func next() -> UnsafeRawBufferPointer? {
        guard offset < payload.count, count == 0 || index < count else { return nil }
        index += 1
        if index == count {
            defer { offset = payload.count }
            return UnsafeRawBufferPointer(rebasing: payload[offset...])
        }
        guard let (length, head) = LEB128.read(payload, at: offset), length <= payload.count - offset - head else {
            index = count
            return nil
        }
        let start = offset + head
        offset = start + length
        return UnsafeRawBufferPointer(rebasing: payload[start..<offset])
    }
}

/// One OBU: header and payload (AV1 specification §5.3).
struct AV1Unit {
    let type: UInt8
    /// Header byte and, if there is one, extension byte, as they stand.
    let header: UnsafeRawBufferPointer
    let payload: UnsafeRawBufferPointer
    /// Bytes from the header to the end of the payload.
    let length: Int

    /// Reads the OBU at the start of `bytes`; without a size field it takes all of them. `nil` when malformed.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard let first = bytes.first, first & 0x80 == 0 else { return nil }
        let headerLength = first & 0x04 != 0 ? 2 : 1
        guard headerLength <= bytes.count else { return nil }
        type = first >> 3 & 0x0f
        header = UnsafeRawBufferPointer(rebasing: bytes[..<headerLength])
        if first & 0x02 != 0 {
            guard let (size, head) = LEB128.read(bytes, at: headerLength), size <= bytes.count - headerLength - head else {
                return nil
            }
            length = headerLength + head + size
            payload = UnsafeRawBufferPointer(rebasing: bytes[headerLength + head..<length])
        } else {
            length = bytes.count
            payload = UnsafeRawBufferPointer(rebasing: bytes[headerLength...])
        }
    }
}
