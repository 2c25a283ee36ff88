// SPDX-License-Identifier: Apache-2.0
// The two ways in which H.264 units lie one after the other: behind start codes (Annex B) and behind lengths (MP4, FLV). Used by
// the doors.

/// Conversions between the two. Malformed input gives what could be read.
public enum H264Framing {
    /// Length-prefixed units to Annex B with four-byte start codes.
    /// - Parameter lengthSize: bytes of each length, 1…4.
    public static func annexB(fromLengthPrefixed bytes: [UInt8], lengthSize: Int) -> [UInt8] {
        guard (1...4).contains(lengthSize) else { return [] }
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count + 16)
        var offset = 0
        while offset + lengthSize <= bytes.count {
            let length = bytes[offset..<offset + lengthSize].reduce(0) { $0 << 8 | Int($1) }
            offset += lengthSize
            guard length > 0 else { continue }
            guard length <= bytes.count - offset else { break }
            output += [0, 0, 0, 1]
            output += bytes[offset..<offset + length]
            offset += length
        }
        return output
    }

    /// Annex B to units behind lengths of four bytes; access unit delimiters are left out.
    public static func lengthPrefixed(fromAnnexB bytes: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count + 16)
        for unit in units(ofAnnexB: bytes) where unit.first.map({ $0 & 0x1f != H264Payload.delimiter }) ?? false {
            let length = UInt32(unit.count)
            output += [UInt8(length >> 24), UInt8(length >> 16 & 0xff), UInt8(length >> 8 & 0xff), UInt8(length & 0xff)]
            output += unit
        }
        return output
    }

    /// The units without start codes.
    /// - Parameter limit: units beyond so many are left out.
    public static func units(ofAnnexB bytes: [UInt8], limit: Int = .max) -> [ArraySlice<UInt8>] {
        bytes.withUnsafeBytes { AnnexB.units(in: $0, limit: limit) }.map { bytes[$0] }
    }

    /// What is kept of the parameter sets of an access unit, bytes in all.
    static let maximumParameterSets = 8192

    /// The SPS and PPS in an access unit, in order; those beyond `maximumParameterSets` are left out.
    public static func parameterSets(inAnnexB bytes: [UInt8]) -> [[UInt8]] {
        var left = maximumParameterSets
        return units(ofAnnexB: bytes).filter { unit in
            guard isParameterSet(unit), unit.count <= left else { return false }
            left -= unit.count
            return true
        }.map(Array.init)
    }

    public static func isParameterSet(_ unit: ArraySlice<UInt8>) -> Bool {
        guard let first = unit.first else { return false }
        return first & 0x1f == H264Payload.sps || first & 0x1f == H264Payload.pps
    }

    public static func isIDR(_ unit: ArraySlice<UInt8>) -> Bool { unit.first.map { $0 & 0x1f == H264Payload.idr } ?? false }

    /// `profile-level-id` of an SPS: six hexadecimal digits; `nil` when it is too short.
    public static func profileLevelID(ofSPS sps: [UInt8]) -> String? {
        guard sps.count >= 4 else { return nil }
        return sps[1...3].map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    }

    /// Whether pictures may come in another order than they are shown in (B-frames), as far as the SPS says so; `nil` when it says nothing
    /// and its profile allows it.
    public static func reorders(sps: [UInt8]) -> Bool? { sps.withUnsafeBytes { H264ParameterSet.reorders(sps: $0) } }
}
