// SPDX-License-Identifier: Apache-2.0
// The right packetiser for a codec. Used by whoever sends more than one codec: publishing tools, sources that are not RTP.

/// A packetiser chosen by codec.
public struct FramePacketizer: Sendable {
    private enum Kind: Sendable {
        case h264(H264Packetizer), vp8(VP8Packetizer), vp9(VP9Packetizer), av1(AV1Packetizer), aac(AACPacketizer), audio(OpusPacketizer)
    }
    private var kind: Kind

    /// `nil` for codecs that can only be passed through (H.265, others).
    public init?(codec: CodecKind, maximumPayload: Int = 1180) {
        switch codec {
        case .h264: kind = .h264(H264Packetizer(maximumPayload: maximumPayload))
        case .vp8: kind = .vp8(VP8Packetizer(maximumPayload: maximumPayload))
        case .vp9: kind = .vp9(VP9Packetizer(maximumPayload: maximumPayload))
        case .av1: kind = .av1(AV1Packetizer(maximumPayload: maximumPayload))
        case .opus, .pcmu, .pcma, .g722: kind = .audio(OpusPacketizer(maximumPayload: max(maximumPayload, OpusPacketizer.largestFrame)))
        case .aac: kind = .aac(AACPacketizer(maximumPayload: maximumPayload))
        case .h265, .other: return nil
        }
    }

    /// The payloads of one frame; the last one gets the marker if it is video or AAC.
    public mutating func packetize(_ frame: UnsafeRawBufferPointer) -> [[UInt8]] {
        let payloads: [[UInt8]]
        switch kind {
        case .h264(var packetizer):
            payloads = packetizer.packetize(frame)
            kind = .h264(packetizer)
        case .vp8(var packetizer):
            payloads = packetizer.packetize(frame)
            kind = .vp8(packetizer)
        case .vp9(var packetizer):
            payloads = packetizer.packetize(frame)
            kind = .vp9(packetizer)
        case .av1(var packetizer):
            payloads = packetizer.packetize(frame)
            kind = .av1(packetizer)
        case .aac(var packetizer):
            payloads = packetizer.packetize(frame)
            kind = .aac(packetizer)
        case .audio(var packetizer):
            payloads = packetizer.packetize(frame)
            kind = .audio(packetizer)
        }
        return payloads
    }
}
