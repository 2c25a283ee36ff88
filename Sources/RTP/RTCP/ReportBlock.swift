// SPDX-License-Identifier: Apache-2.0
// One block of a sender or receiver report. Made by ReceiverStatistics, read by whoever sends to the peer.

/// What a receiver says about one source (RFC 3550 §6.4.1). 24 bytes on the wire.
public struct ReportBlock: Equatable, Sendable {
    /// The source this is about.
    public var ssrc: UInt32
    /// Lost since the last report, in 1/256.
    public var fractionLost: UInt8
    /// Lost since the beginning; 24 bits signed on the wire.
    public var cumulativeLost: Int32
    /// Highest sequence number received, cycles in the upper half.
    public var highestSequence: UInt32
    /// Interarrival jitter in RTP ticks.
    public var jitter: UInt32
    /// Middle 32 bits of the NTP time of the last sender report; 0 = none came.
    public var lastSR: UInt32
    /// Time since that report came, in 1/65536 s.
    public var delaySinceLastSR: UInt32

    public init(
        ssrc: UInt32, fractionLost: UInt8 = 0, cumulativeLost: Int32 = 0, highestSequence: UInt32 = 0, jitter: UInt32 = 0,
        lastSR: UInt32 = 0, delaySinceLastSR: UInt32 = 0
    ) {
        self.ssrc = ssrc
        self.fractionLost = fractionLost
        self.cumulativeLost = cumulativeLost
        self.highestSequence = highestSequence
        self.jitter = jitter
        self.lastSR = lastSR
        self.delaySinceLastSR = delaySinceLastSR
    }
}

extension ReportBlock {
    init(_ reader: inout ByteReader) throws(RTCPError) {
        ssrc = try reader.uint32()
        let loss = try reader.uint32()
        fractionLost = UInt8(loss >> 24)
        cumulativeLost = Int32(bitPattern: loss << 8) >> 8
        highestSequence = try reader.uint32()
        jitter = try reader.uint32()
        lastSR = try reader.uint32()
        delaySinceLastSR = try reader.uint32()
    }

    func write(to writer: inout ByteWriter) {
        writer.uint32(ssrc)
        let lost = UInt32(bitPattern: min(max(cumulativeLost, -0x80_0000), 0x7f_ffff)) & 0xff_ffff
        writer.uint32(UInt32(fractionLost) << 24 | lost)
        writer.uint32(highestSequence)
        writer.uint32(jitter)
        writer.uint32(lastSR)
        writer.uint32(delaySinceLastSR)
    }
}
