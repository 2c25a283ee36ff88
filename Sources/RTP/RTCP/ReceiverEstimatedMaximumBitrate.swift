// SPDX-License-Identifier: Apache-2.0
// How much a receiver wants to get at most; for peers without transport-wide feedback.

/// REMB (draft-alvestrand-rmcat-remb-03 §2.2).
public struct ReceiverEstimatedMaximumBitrate: Equatable, Sendable {
    public var senderSSRC: UInt32
    /// Bits per second. Written with 18 significant bits, rounded down; `.max` when the wire says more than 64 bits hold.
    public var bitrate: UInt64
    /// What the limit is for; at most 255 are written.
    public var ssrcs: [UInt32]

    public init(senderSSRC: UInt32, bitrate: UInt64, ssrcs: [UInt32]) {
        self.senderSSRC = senderSSRC
        self.bitrate = bitrate
        self.ssrcs = ssrcs
    }
}

/// The usual short name.
public typealias REMB = ReceiverEstimatedMaximumBitrate

extension ReceiverEstimatedMaximumBitrate {
    static let identifier: UInt32 = 0x52454d42  // "REMB"

    /// `nil` when the application layer feedback is of another kind.
    init?(_ reader: inout ByteReader) throws(RTCPError) {
        senderSSRC = try reader.uint32()
        _ = try reader.uint32()
        guard reader.remaining >= 8, try reader.uint32() == Self.identifier else { return nil }
        let head = try reader.uint32()
        let exponent = Int(head >> 18 & 0x3f)
        let mantissa = UInt64(head & 0x3ffff)
        bitrate = mantissa != 0 && exponent > mantissa.leadingZeroBitCount ? .max : mantissa << UInt64(exponent)
        ssrcs = []
        for _ in 0..<Int(head >> 24) { ssrcs.append(try reader.uint32()) }
    }

    func write(to writer: inout ByteWriter) {
        writer.uint32(senderSSRC)
        writer.uint32(0)
        writer.uint32(Self.identifier)
        let exponent = max(0, 64 - bitrate.leadingZeroBitCount - 18)
        let named = ssrcs.prefix(255)
        writer.uint32(UInt32(named.count) << 24 | UInt32(exponent) << 18 | UInt32(bitrate >> UInt64(exponent)))
        for ssrc in named { writer.uint32(ssrc) }
    }
}
