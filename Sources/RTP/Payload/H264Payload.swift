// SPDX-License-Identifier: Apache-2.0
// H.264 in RTP payloads (RFC 6184): what PayloadInspector, packetiser and depacketiser know of its units.

/// NAL unit types and looks into single units, STAP-A and FU-A.
@usableFromInline enum H264Payload {
    @usableFromInline static var idr: UInt8 { 5 }
    @usableFromInline static var sei: UInt8 { 6 }
    @usableFromInline static var sps: UInt8 { 7 }
    @usableFromInline static var pps: UInt8 { 8 }
    @usableFromInline static var delimiter: UInt8 { 9 }
    @usableFromInline static var stapA: UInt8 { 24 }
    @usableFromInline static var fuA: UInt8 { 28 }

    @inlinable
    static func isKeyFrameStart(_ payload: UnsafeRawBufferPointer) -> Bool {
        !units(payload).isDisjoint(with: [.sequenceSet, .instantStart, .recovery])
    }

    /// What begins, or goes on, in this packet.
    @inlinable
    static func units(_ payload: UnsafeRawBufferPointer) -> VideoUnits {
        guard payload.count > 0 else { return [] }
        let type = payload[0] & 0x1f
        switch type {
        case 1...23:
            return unit(type, payload, 1, payload.count)
        case stapA:
            var found: VideoUnits = []
            var offset = 1
            while offset + 2 < payload.count {
                let length = Int(payload[offset]) << 8 | Int(payload[offset + 1])
                offset += 2
                guard length > 0, offset + length <= payload.count else { return found }
                found.formUnion(unit(payload[offset] & 0x1f, payload, offset + 1, offset + length))
                offset += length
            }
            return found
        case fuA:
            guard payload.count > 2 else { return [] }
            let inner = payload[1] & 0x1f
            // Sets in pieces are not kept: they are no more than told of.
            if payload[1] & 0x80 != 0 { return unit(inner, payload, 2, payload.count) }
            return (1...5).contains(inner) ? .slice : []
        default:
            return []
        }
    }

    /// One unit, from the byte behind its header to `end`.
    @inlinable
    static func unit(_ type: UInt8, _ payload: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> VideoUnits {
        switch type {
        case 1, 2:
            // first_mb_in_slice 0 is a single 1 bit; slice_type 2 or 7 (I) is 011 or 0001000 behind it.
            guard start < end, payload[start] & 0x80 != 0 else { return .slice }
            let isIntra = payload[start] & 0x70 == 0x30 || payload[start] & 0x7f == 0x08
            return isIntra ? [.slice, .pictureStart, .intraStart] : [.slice, .pictureStart]
        case 3, 4: return .slice
        case idr:
            return start < end && payload[start] & 0x80 != 0 ? [.slice, .pictureStart, .intraStart, .instantStart] : .slice
        case sps: return .sequenceSet
        case pps: return .pictureSet
        case sei:
            guard start < end else { return [] }
            return SupplementalInformation.hasRecoveryPoint(UnsafeRawBufferPointer(rebasing: payload[start..<end])) ? .recovery : []
        default: return []
        }
    }

    /// The first slice of a picture has first_mb_in_slice 0, which is a single 1 bit.
    @inlinable
    static func isFrameStart(_ payload: UnsafeRawBufferPointer) -> Bool {
        anyUnit(payload) { type, second in
            (6...9).contains(type) || (14...18).contains(type) || ((1...5).contains(type) && second & 0x80 != 0)
        }
    }

    /// Whether `test` holds for a unit that begins in this packet; it gets the unit's type and its second byte (0 if none).
    @inlinable @inline(__always)
    static func anyUnit(_ payload: UnsafeRawBufferPointer, _ test: (_ type: UInt8, _ second: UInt8) -> Bool) -> Bool {
        let type = payload[0] & 0x1f
        switch type {
        case 1...23:
            return test(type, payload.count > 1 ? payload[1] : 0)
        case stapA:
            var offset = 1
            while offset + 2 < payload.count {
                let length = Int(payload[offset]) << 8 | Int(payload[offset + 1])
                offset += 2
                guard length > 0, offset + length <= payload.count else { return false }
                if test(payload[offset] & 0x1f, length > 1 ? payload[offset + 1] : 0) { return true }
                offset += length
            }
            return false
        case fuA:
            guard payload.count > 2, payload[1] & 0x80 != 0 else { return false }
            return test(payload[1] & 0x1f, payload[2])
        default:
            return false
        }
    }

    static func videoSize(_ payload: UnsafeRawBufferPointer) -> (width: Int, height: Int)? {
        let type = payload[0] & 0x1f
        if type == sps { return H264ParameterSet.size(ofSPS: payload) }
        guard type == stapA else { return nil }
        var offset = 1
        while offset + 2 < payload.count {
            let length = Int(payload[offset]) << 8 | Int(payload[offset + 1])
            offset += 2
            guard length > 0, offset + length <= payload.count else { return nil }
            if payload[offset] & 0x1f == sps {
                return H264ParameterSet.size(ofSPS: UnsafeRawBufferPointer(rebasing: payload[offset..<offset + length]))
            }
            offset += length
        }
        return nil
    }
}
