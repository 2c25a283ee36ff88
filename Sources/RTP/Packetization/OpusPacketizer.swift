// SPDX-License-Identifier: Apache-2.0
// Opus frames to RTP payloads: one is the other. Exists so that all codecs are used alike.

/// RFC 7587 §4.2: a payload is one Opus packet. Serves the other audio codecs whose frames are payloads as well.
public struct OpusPacketizer: Sendable {
    /// Bytes of the largest Opus frame of 20 ms (RFC 6716 §3.2.1) and its head; a packet of this still fits a path of 1400 bytes.
    public static let largestFrame = 1280
    private let maximum: Int

    /// - Parameter maximumPayload: bytes of a payload at most; 64…60000. A longer frame can't be sent.
    public init(maximumPayload: Int = 1180) { maximum = PayloadSplit.clamp(maximumPayload) }

    /// The one payload of a frame; empty when the frame is empty or too long.
    public mutating func packetize(_ frame: UnsafeRawBufferPointer) -> [[UInt8]] {
        frame.isEmpty || frame.count > maximum ? [] : [Array(frame)]
    }
}
