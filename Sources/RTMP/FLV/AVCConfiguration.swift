// SPDX-License-Identifier: Apache-2.0
// AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1): the parameter sets of H.264 in FLV.

public struct AVCConfiguration: Sendable, Equatable {
    /// NAL units without start codes.
    public var sequenceParameterSets: [[UInt8]]
    public var pictureParameterSets: [[UInt8]]
    /// Bytes of the length in front of each unit: 1, 2 or 4.
    public var lengthSize: Int

    public init(sequenceParameterSets: [[UInt8]], pictureParameterSets: [[UInt8]], lengthSize: Int = 4) {
        self.sequenceParameterSets = sequenceParameterSets
        self.pictureParameterSets = pictureParameterSets
        self.lengthSize = lengthSize
    }

    /// Longer than any encoder's; what is longer would have to be put in front of each of its key frames.
    public static let maximumBytes = 8192

    public init(parsing record: some Collection<UInt8>) throws(RTMPError) {
        guard record.count <= Self.maximumBytes else { throw .malformed("an AVC configuration of \(record.count) bytes") }
        let bytes = Array(record)
        guard bytes.count >= 7, bytes[0] == 1 else { throw .malformed("an AVC configuration that is none") }
        let lengthSize = Int(bytes[4] & 3) + 1
        guard lengthSize != 3 else { throw .malformed("an AVC configuration with lengths of three bytes") }
        var offset = 6
        func units(_ count: Int) throws(RTMPError) -> [[UInt8]] {
            var units: [[UInt8]] = []
            for _ in 0..<count {
                guard bytes.count >= offset + 2 else { throw .malformed("an AVC configuration ends too early") }
                let length = Int(bytes[offset]) << 8 | Int(bytes[offset + 1])
                offset += 2
                guard length > 0, bytes.count >= offset + length else { throw .malformed("an AVC configuration ends too early") }
                units.append(Array(bytes[offset..<offset + length]))
                offset += length
            }
            return units
        }
        let sequence = try units(Int(bytes[5] & 0x1f))
        guard bytes.count > offset else { throw .malformed("an AVC configuration without picture parameter sets") }
        let pictures = Int(bytes[offset])
        offset += 1
        let picture = try units(pictures)
        guard sequence.allSatisfy({ $0.count >= 4 }) , !sequence.isEmpty, !picture.isEmpty else {
            throw .malformed("an AVC configuration without parameter sets")
        }
        self.init(sequenceParameterSets: sequence, pictureParameterSets: picture, lengthSize: lengthSize)
    }

    /// `nil` when there is no sequence parameter set to begin with.
    public var record: [UInt8]? {
        guard let first = sequenceParameterSets.first, first.count >= 4 else { return nil }
        var bytes: [UInt8] = [1, first[1], first[2], first[3], 0xfc | UInt8(lengthSize - 1), 0xe0 | UInt8(sequenceParameterSets.count & 0x1f)]
        func append(_ unit: [UInt8]) { bytes += [UInt8(truncatingIfNeeded: unit.count >> 8), UInt8(truncatingIfNeeded: unit.count)] + unit }
        for unit in sequenceParameterSets.prefix(31) { append(unit) }
        bytes.append(UInt8(truncatingIfNeeded: pictureParameterSets.count))
        for unit in pictureParameterSets.prefix(255) { append(unit) }
        return bytes
    }

    public var parameterSets: [[UInt8]] { sequenceParameterSets + pictureParameterSets }
}
