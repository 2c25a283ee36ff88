// SPDX-License-Identifier: Apache-2.0
// Looks into RTP payloads without depacketising: does a frame start here, is it a key frame, how large is the picture.
// Called on the packet path for each video packet of a publisher.

/// Answers about one RTP payload from its first bytes. Stateless, no allocation; a malformed payload gives `false` or `nil`.
public enum PayloadInspector {
    /// True when this packet is one that decoding can begin with.
    ///
    /// For H.264 and H.265 that is each packet with a parameter set, a recovery point or the first slice of an IDR picture, so several
    /// packets in a row of one key frame may say so: the first of those with the same timestamp is where to begin.
    /// Audio can begin anywhere; of `.other` nothing is known.
    @inlinable
    public static func isKeyFrameStart(codec: CodecKind, payload: UnsafeRawBufferPointer) -> Bool {
        guard !payload.isEmpty else { return false }
        return switch codec {
        case .h264: H264Payload.isKeyFrameStart(payload)
        case .vp8: VP8Payload.isKeyFrameStart(payload)
        case .vp9: VP9Payload.isKeyFrameStart(payload)
        case .av1: AV1Payload.isKeyFrameStart(payload)
        case .h265: H265Payload.isKeyFrameStart(payload)
        case .opus, .pcmu, .pcma, .g722, .aac: true
        case .other: false
        }
    }

    /// The units of an H.264 or H.265 payload; empty for other codecs.
    @inlinable
    public static func units(codec: CodecKind, payload: UnsafeRawBufferPointer) -> VideoUnits {
        switch codec {
        case .h264: H264Payload.units(payload)
        case .h265: H265Payload.units(payload)
        default: []
        }
    }

    /// True when a frame may start with this packet. Exact for VP8 and VP9; for the others true for each unit that can be
    /// a frame's first (H.264: parameter sets, SEI, delimiter and a picture's first slice).
    @inlinable
    public static func isFrameStart(codec: CodecKind, payload: UnsafeRawBufferPointer) -> Bool {
        guard !payload.isEmpty else { return false }
        return switch codec {
        case .h264: H264Payload.isFrameStart(payload)
        case .vp8: VP8Payload.isFrameStart(payload)
        case .vp9: VP9Payload.isFrameStart(payload)
        case .av1: AV1Payload.isFrameStart(payload)
        case .h265: H265Payload.isFrameStart(payload)
        case .opus, .pcmu, .pcma, .g722, .aac: true
        case .other: false
        }
    }

    /// Width and height in pixels when this packet tells them: an H.264 SPS (cropping applied), a VP8 key frame header,
    /// VP9 scalability structure (the largest layer) or key frame header, an AV1 sequence header. Otherwise `nil`.
    public static func videoSize(codec: CodecKind, payload: UnsafeRawBufferPointer) -> (width: Int, height: Int)? {
        guard !payload.isEmpty else { return nil }
        let size: (width: Int, height: Int)? =
            switch codec {
            case .h264: H264Payload.videoSize(payload)
            case .vp8: VP8Payload.videoSize(payload)
            case .vp9: VP9Payload.videoSize(payload)
            case .av1: AV1Payload.videoSize(payload)
            case .h265, .opus, .pcmu, .pcma, .g722, .aac, .other: nil
            }
        guard let size, size.width > 0, size.height > 0 else { return nil }
        return size
    }
}
