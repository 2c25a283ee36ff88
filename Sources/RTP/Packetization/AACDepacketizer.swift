// SPDX-License-Identifier: Apache-2.0
// RTP payloads back to AAC frames (RFC 3640). Used by FrameAssembler.

/// Takes several frames out of a payload, and puts one together that lies in several.
public struct AACDepacketizer: Sendable {
    private let format: AACPayloadFormat
    /// A frame whose beginning has come.
    private var partial: (bytes: [UInt8], size: Int, timestamp: UInt32)?

    public init(format: AACPayloadFormat = AACPayloadFormat()) { self.format = format }

    /// The frames that this payload completes; none when it is malformed.
    public mutating func push(
        payload: UnsafeRawBufferPointer, marker: Bool, timestamp: UInt32, lost: Bool
    ) -> [EncodedFrame] {
        if lost { partial = nil }
        guard let (sizes, data) = format.frames(in: payload) else { return [] }
        if sizes.count == 1, sizes[0] > data.count { return take(piece: data, size: sizes[0], timestamp, lost) }
        partial = nil
        var frames: [EncodedFrame] = []
        var offset = 0
        for (index, size) in sizes.enumerated() {
            guard size > 0, offset + size <= data.count else { break }
            frames.append(EncodedFrame(
                bytes: Array(data[offset..<offset + size]), timestamp: timestamp &+ UInt32(index * format.frameDuration), isKeyFrame: true,
                isComplete: true, followsLoss: lost && index == 0))
            offset += size
        }
        return frames
    }

    private mutating func take(piece: UnsafeRawBufferPointer, size: Int, _ timestamp: UInt32, _ lost: Bool) -> [EncodedFrame] {
        var whole = partial.flatMap { $0.timestamp == timestamp && $0.size == size ? $0 : nil } ?? (bytes: [], size: size, timestamp: timestamp)
        partial = nil
        whole.bytes.append(contentsOf: piece)
        if whole.bytes.count < size {
            partial = whole
            return []
        }
        guard whole.bytes.count == size else { return [] }
        return [EncodedFrame(bytes: whole.bytes, timestamp: timestamp, isKeyFrame: true, isComplete: true, followsLoss: lost)]
    }
}
