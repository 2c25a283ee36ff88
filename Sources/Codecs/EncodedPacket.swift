// SPDX-License-Identifier: Apache-2.0
// One encoded frame of audio or video as plain bytes. Made by the encoders and the demuxer, taken by decoders and packetisers.

/// An encoded frame: an H.264 access unit in Annex B form, a VP8/VP9 frame, an AV1 temporal unit, or an audio packet.
public struct EncodedPacket: Sendable, Equatable {
    public var bytes: [UInt8]
    /// Presentation time in ticks of the producer (90 kHz for video, the sampling rate for audio encoders).
    public var timestamp: Int64
    /// How long it lasts, in the same ticks; 0 when unknown.
    public var duration: Int64
    /// A decoder can start here. Always true for audio.
    public var isKeyFrame: Bool

    public init(bytes: [UInt8], timestamp: Int64, duration: Int64 = 0, isKeyFrame: Bool) {
        self.bytes = bytes
        self.timestamp = timestamp
        self.duration = duration
        self.isKeyFrame = isKeyFrame
    }
}
