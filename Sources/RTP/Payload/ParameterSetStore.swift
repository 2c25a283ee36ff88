// SPDX-License-Identifier: Apache-2.0
// The newest parameter sets of an H.264 or H.265 stream, whatever brought them: a description, a configuration record or the stream
// itself. Owned by the uplink track; the packet made of them goes in front of entry points that lack them.

/// Keeps one unit per kind and number (H.264 §7.4.1.2.1, H.265 §7.4.2.4). What has been sent in band replaces what a description said.
public struct ParameterSetStore: Sendable {
    private struct Unit: Sendable {
        var type: UInt8
        var number: UInt32
        /// H.264: the sequence parameter set that a picture parameter set belongs to.
        var belongsTo: UInt32
        var bytes: [UInt8]
        var isDescribed: Bool
    }

    static let maximumUnits = 32
    /// Bytes of the packet made of them: it has to pass wherever media does.
    public static let maximumPayload = 1180

    private let isH265: Bool
    private var kept: [Unit] = []
    /// The sets as one RTP payload (STAP-A, or an aggregation packet of H.265); empty while some are missing, or when they don't fit.
    public private(set) var payload: [UInt8] = []
    /// Units that found no place: too long, or too many.
    public private(set) var refused: UInt64 = 0

    /// `nil` for codecs without parameter sets.
    public init?(codec: CodecKind) {
        guard codec == .h264 || codec == .h265 else { return nil }
        isH265 = codec == .h265
    }

    /// All that decoding needs is here, and fits a packet.
    public var isComplete: Bool { !payload.isEmpty }

    /// The units without start codes: VPS, SPS, PPS; of each kind the newest first.
    public var units: [[UInt8]] { order().map(\.bytes) }

    /// The newest sequence parameter set.
    public var sequenceSet: [UInt8]? { kept.last { $0.type == spsType }?.bytes }

    private var spsType: UInt8 { isH265 ? 33 : 7 }
    private var ppsType: UInt8 { isH265 ? 34 : 8 }

    /// Takes what a description or a configuration record says; units without start codes. What came in band before is given up: a
    /// description is made anew only when the source has begun anew.
    public mutating func describe(_ units: [[UInt8]]) {
        let before = kept
        kept = []
        for unit in units { unit.withUnsafeBytes { _ = keep($0, isDescribed: true) } }
        // One that says nothing replaces nothing.
        if kept.isEmpty { kept = before }
        rebuild()
    }

    /// Takes the sets out of an RTP payload; those in fragments are left out.
    /// - Returns: whether anything is new. Allocates only then.
    public mutating func take(_ payload: UnsafeRawBufferPointer) -> Bool {
        guard payload.count > 2 else { return false }
        let type = type(of: payload)
        var isNew = false
        if type == (isH265 ? 48 : 24) {
            var offset = isH265 ? 2 : 1
            while offset + 2 < payload.count {
                let length = Int(payload[offset]) << 8 | Int(payload[offset + 1])
                offset += 2
                guard length > 0, offset + length <= payload.count else { break }
                if keep(UnsafeRawBufferPointer(rebasing: payload[offset..<offset + length]), isDescribed: false) { isNew = true }
                offset += length
            }
        } else {
            isNew = keep(payload, isDescribed: false)
        }
        if isNew { rebuild() }
        return isNew
    }

    private func type(of unit: UnsafeRawBufferPointer) -> UInt8 { isH265 ? unit[0] >> 1 & 0x3f : unit[0] & 0x1f }

    private mutating func keep(_ unit: UnsafeRawBufferPointer, isDescribed: Bool) -> Bool {
        guard unit.count > (isH265 ? 3 : 1) else { return false }
        let type = type(of: unit)
        guard type == spsType || type == ppsType || (isH265 && type == 32), let (number, belongsTo) = numbers(of: unit, type) else { return false }
        if let index = kept.firstIndex(where: { $0.type == type && $0.number == number }) {
            guard !kept[index].bytes.elementsEqual(unit) else {
                // The description was right.
                kept[index].isDescribed = kept[index].isDescribed && isDescribed
                return false
            }
            kept.remove(at: index)
        }
        guard unit.count <= Self.maximumPayload, kept.count < Self.maximumUnits else {
            refused &+= 1
            return false
        }
        // The description was of another stream than this one.
        if type == spsType, !isDescribed { kept.removeAll { $0.isDescribed && $0.type == type } }
        kept.append(Unit(type: type, number: number, belongsTo: belongsTo, bytes: Array(unit), isDescribed: isDescribed))
        return true
    }

    /// The number of a set, and of that which it belongs to.
    private func numbers(of unit: UnsafeRawBufferPointer, _ type: UInt8) -> (UInt32, UInt32)? {
        var bits = BitReader(UnsafeRawBufferPointer(rebasing: unit[(isH265 ? 2 : 1)...]), skipsEmulationPrevention: true)
        var number: UInt32 = 0, belongsTo: UInt32 = 0
        switch (isH265, type) {
        case (false, 7):
            bits.skip(24)  // profile, constraints, level
            number = bits.readUE()
        case (_, ppsType):
            number = bits.readUE()
            belongsTo = bits.readUE()
        case (true, 32): number = bits.read(4)
        default:
            belongsTo = bits.read(4)
            let subLayers = Int(bits.read(3))
            bits.skip(1 + 96)  // nesting, general profile and level
            var hasProfile: [Bool] = [], hasLevel: [Bool] = []
            for _ in 0..<subLayers {
                hasProfile.append(bits.readBit())
                hasLevel.append(bits.readBit())
            }
            if subLayers > 0 { bits.skip(2 * (8 - subLayers)) }
            for index in 0..<subLayers { bits.skip((hasProfile[index] ? 88 : 0) + (hasLevel[index] ? 8 : 0)) }
            number = bits.readUE()
        }
        return bits.isOverrun || number > 255 ? nil : (number, belongsTo)
    }

    private func order() -> [Unit] {
        let sequence = kept.filter { $0.type == spsType }.reversed()
        let numbers = Set(sequence.map(\.number))
        // Those of a sequence that is no more would only be refused.
        return kept.filter { $0.type == 32 && isH265 }.reversed() + sequence + kept.filter { $0.type == ppsType && numbers.contains($0.belongsTo) }.reversed()
    }

    private mutating func rebuild() {
        payload = []
        let units = order()
        let types = Set(units.map(\.type))
        guard types.contains(spsType), types.contains(ppsType), !isH265 || types.contains(32) else { return }
        let length = units.reduce(isH265 ? 2 : 1) { $0 + 2 + $1.bytes.count }
        guard length <= Self.maximumPayload else { return }
        payload = isH265 ? [48 << 1, 1] : [0x60 | H264Payload.stapA]
        payload.reserveCapacity(length)
        for unit in units {
            payload.append(UInt8(unit.bytes.count >> 8))
            payload.append(UInt8(unit.bytes.count & 0xff))
            payload += unit.bytes
        }
    }
}
