// SPDX-License-Identifier: Apache-2.0
// RTP payloads back to VP8 frames. Used by FrameAssembler.

/// RFC 7741: takes the descriptors off and puts the rest together.
public struct VP8Depacketizer: Sendable {
    private var builder = FrameBuilder()

    public init() {}

    /// Takes the next payload in sequence order; gives a frame when one is finished.
    ///
    /// - Parameters:
    ///   - marker: the packet ends its frame.
    ///   - lost: packets in front of this one are missing.
    public mutating func push(
        payload: UnsafeRawBufferPointer, marker: Bool, timestamp: UInt32, lost: Bool
    ) -> EncodedFrame? {
        let isStart = !payload.isEmpty && VP8Payload.isFrameStart(payload)
        let (closed, isNew) = builder.begin(timestamp: timestamp, lost: lost, isStart: isStart)
        let length = payload.isEmpty ? Int.max : VP8Payload.descriptorLength(payload)
        if length < payload.count {
            if isNew, isStart, payload[length] & 1 == 0 { builder.markKeyFrame() }
            builder.append(payload[length...])
        } else {
            builder.markBroken()
        }
        return builder.end(marker: marker, closed: closed)
    }

    /// What is left at the end of the stream; call until `nil`.
    public mutating func flush() -> EncodedFrame? { builder.flush() }
}
