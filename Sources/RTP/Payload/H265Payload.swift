// SPDX-License-Identifier: Apache-2.0
// H.265 in RTP payloads (RFC 7798), as far as passing it through needs it. Used by PayloadInspector.

/// Looks into single units, aggregation packets and fragmentation units.
@usableFromInline enum H265Payload {
    @inlinable
    static func isKeyFrameStart(_ payload: UnsafeRawBufferPointer) -> Bool {
        !units(payload).isDisjoint(with: [.sequenceSet, .pictureSet, .videoSet, .instantStart, .recovery])
    }

    /// What begins, or goes on, in this packet.
    @inlinable
    static func units(_ payload: UnsafeRawBufferPointer) -> VideoUnits {
        guard payload.count > 2 else { return [] }
        let type = payload[0] >> 1 & 0x3f
        switch type {
        case 48:
            var found: VideoUnits = []
            var offset = 2
            while offset + 2 < payload.count {
                let length = Int(payload[offset]) << 8 | Int(payload[offset + 1])
                offset += 2
                guard length > 0, offset + length <= payload.count else { return found }
                found.formUnion(unit(payload[offset] >> 1 & 0x3f, payload, offset + 2, offset + length))
                offset += length
            }
            return found
        case 49:
            guard payload.count > 3 else { return [] }
            let inner = payload[2] & 0x3f
            if payload[2] & 0x80 != 0 { return unit(inner, payload, 3, payload.count) }
            return inner < 32 ? .slice : []
        default:
            return unit(type, payload, 2, payload.count)
        }
    }

    /// One unit, from the byte behind its two of header to `end` (H.265 table 7-1).
    @inlinable
    static func unit(_ type: UInt8, _ payload: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> VideoUnits {
        let isFirst = start < end && payload[start] & 0x80 != 0
        switch type {
        // BLA and IDR; CRA and what is reserved for pictures like it.
        case 16...20: return isFirst ? [.slice, .pictureStart, .intraStart, .instantStart] : .slice
        case 21...23: return isFirst ? [.slice, .pictureStart, .intraStart, .recovery] : .slice
        case 0..<32: return isFirst ? [.slice, .pictureStart] : .slice
        case 32: return .videoSet
        case 33: return .sequenceSet
        case 34: return .pictureSet
        case 39:
            guard start < end else { return [] }
            return SupplementalInformation.hasRecoveryPoint(UnsafeRawBufferPointer(rebasing: payload[start..<end])) ? .recovery : []
        default: return []
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
