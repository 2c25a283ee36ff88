// SPDX-License-Identifier: Apache-2.0
// What a container has to be told of a video track, read out of a key frame. Used by recorders.

/// Size and out-of-band headers of a key frame as the depacketisers give it.
public struct FrameHeader: Equatable, Sendable {
    /// Pixels; `nil` when the frame does not say.
    public var width: Int?
    public var height: Int?
    /// H.264: the parameter sets in Annex B. AV1: the sequence header OBU with its size field. Empty for the others.
    public var parameterSets: [UInt8] = []

    /// Reads a whole key frame; malformed ones give what could be read.
    public init(codec: CodecKind, keyFrame: [UInt8]) {
        keyFrame.withUnsafeBytes { frame in
            let size: (width: Int, height: Int)?
            switch codec {
            case .h264: size = readH264(frame)
            case .vp8: size = VP8Payload.size(ofFrame: frame)
            case .vp9: size = VP9FrameHeader(frame)?.size
            case .av1: size = readAV1(frame)
            default: size = nil
            }
            width = size?.width
            height = size?.height
        }
    }

    private mutating func readH264(_ frame: UnsafeRawBufferPointer) -> (width: Int, height: Int)? {
        var size: (width: Int, height: Int)?
        for range in AnnexB.units(in: frame) {
            let unit = UnsafeRawBufferPointer(rebasing: frame[range])
            let type = unit[0] & 0x1f
            guard type == 7 || type == 8 else { continue }
            parameterSets += [0, 0, 0, 1]
            parameterSets += unit
            if type == 7, size == nil { size = H264ParameterSet.size(ofSPS: unit) }
        }
        return size
    }

    private mutating func readAV1(_ frame: UnsafeRawBufferPointer) -> (width: Int, height: Int)? {
        var rest = frame
        while let unit = AV1Unit(rest), unit.length > 0 {
            if unit.type == 1 {
                parameterSets = Array(rest[..<unit.length])
                return AV1SequenceHeader.size(unit.payload)
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[unit.length...])
            if rest.isEmpty { break }
        }
        return nil
    }
}
