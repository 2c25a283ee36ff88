// SPDX-License-Identifier: Apache-2.0
// What depacketisers give out and decoders, recorders and muxers take.

/// One access unit (H.264), frame (VP8, VP9), temporal unit (AV1) or audio frame.
public struct EncodedFrame: Equatable, Sendable {
    /// H.264: Annex B with four-byte start codes. AV1: low-overhead format with a temporal delimiter in front.
    /// Others: the frame as the encoder made it.
    public var bytes: [UInt8]
    /// RTP timestamp in ticks of the codec's clock.
    public var timestamp: UInt32
    /// Decoding can begin here. Always true for audio.
    public var isKeyFrame: Bool
    /// All packets of this frame came.
    public var isComplete: Bool
    /// Packets between the frame before and this one's end are missing: what this frame refers to may never have come.
    public var followsLoss: Bool

    public init(bytes: [UInt8], timestamp: UInt32, isKeyFrame: Bool, isComplete: Bool, followsLoss: Bool = false) {
        self.bytes = bytes
        self.timestamp = timestamp
        self.isKeyFrame = isKeyFrame
        self.isComplete = isComplete
        self.followsLoss = followsLoss
    }
}
