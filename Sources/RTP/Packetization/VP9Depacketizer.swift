// SPDX-License-Identifier: Apache-2.0
// RTP payloads back to VP9 frames. Used by FrameAssembler.

/// RFC 9628: takes the descriptors off. All spatial layers of a picture become one frame, one behind the other.
public struct VP9Depacketizer: Sendable {
    private var builder = FrameBuilder()

    public init() {}

    /// Takes the next payload in sequence order; gives a frame when one is finished.
    ///
    /// - Parameters:
    ///   - marker: the packet ends its picture.
    ///   - lost: packets in front of this one are missing.
    public mutating func push(
        payload: UnsafeRawBufferPointer, marker: Bool, timestamp: UInt32, lost: Bool
    ) -> EncodedFrame? {
        let descriptor = VP9Payload(payload)
        let isStart = descriptor.map { $0.isStart && $0.spatialLayer == 0 } ?? false
        let (closed, isNew) = builder.begin(timestamp: timestamp, lost: lost, isStart: isStart)
        if let descriptor {
            if isNew, isStart, !descriptor.isPredicted { builder.markKeyFrame() }
            builder.append(payload[descriptor.dataOffset...])
        } else {
            builder.markBroken()
        }
        return builder.end(marker: marker, closed: closed)
    }

    /// What is left at the end of the stream; call until `nil`.
    public mutating func flush() -> EncodedFrame? { builder.flush() }
}
