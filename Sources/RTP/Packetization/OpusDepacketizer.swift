// SPDX-License-Identifier: Apache-2.0
// RTP payloads back to Opus (or G.711, G.722) frames: one is the other. Used by FrameAssembler.

/// RFC 7587 §4.2: each payload is a frame by itself.
public struct OpusDepacketizer: Sendable {
    public init() {}

    /// Gives the frame in `payload`; `nil` when it is empty.
    public mutating func push(
        payload: UnsafeRawBufferPointer, marker: Bool, timestamp: UInt32, lost: Bool
    ) -> EncodedFrame? {
        guard !payload.isEmpty else { return nil }
        return EncodedFrame(
            bytes: Array(payload), timestamp: timestamp, isKeyFrame: true, isComplete: true, followsLoss: lost)
    }
}
