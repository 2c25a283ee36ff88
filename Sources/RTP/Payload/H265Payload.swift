// H.265 in RTP payloads (RFC 7798), as far as passing it through needs it. Used by PayloadInspector.

/// Looks into single units, aggregation packets and fragmentation units.
@usableFromInline enum H265Payload {
    /// Parameter sets (32…34) or the first slice of a picture that decoding can begin with (16…23).
    @inlinable
    static func isKeyFrameStart(_ payload: UnsafeRawBufferPointer) -> Bool {
        anyUnit(payload) { type, third in
            (32...34).contains(type) || ((16...23).contains(type) && third & 0x80 != 0)
        }
    }

    @inlinable
    static func isFrameStart(_ payload: UnsafeRawBufferPointer) -> Bool {
        anyUnit(payload) { type, third in
            (32...35).contains(type) || type == 39 || (type < 32 && third & 0x80 != 0)
        }
    }

    /// Whether `test` holds for a unit that begins here; it gets the type and the byte behind the two-byte unit header.
    @inlinable @inline(__always)
    static func anyUnit(_ payload: UnsafeRawBufferPointer, _ test: (_ type: UInt8, _ third: UInt8) -> Bool) -> Bool {
        guard payload.count > 2 else { return false }
        let type = payload[0] >> 1 & 0x3f
        switch type {
        case 48:
            var offset = 2
            while offset + 2 < payload.count {
                let length = Int(payload[offset]) << 8 | Int(payload[offset + 1])
                offset += 2
                guard length > 0, offset + length <= payload.count else { return false }
                if test(payload[offset] >> 1 & 0x3f, length > 2 ? payload[offset + 2] : 0) { return true }
                offset += length
            }
            return false
        case 49:
            guard payload.count > 3, payload[2] & 0x80 != 0 else { return false }
            return test(payload[2] & 0x3f, payload[3])
        default:
            return test(type, payload[2])
        }
    }
}
