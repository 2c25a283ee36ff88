// SPDX-License-Identifier: Apache-2.0
// What a sender says about itself: ties RTP time to the wall clock. Sent to players, read from publishers.

/// RTCP sender report (RFC 3550 §6.4.1).
public struct SenderReport: Equatable, Sendable {
    public var senderSSRC: UInt32
    /// Wall clock as seconds since 1900 in 32.32 fixed point.
    public var ntpTimestamp: UInt64
    /// The same moment in RTP ticks of the source.
    public var rtpTimestamp: UInt32
    public var packetCount: UInt32
    /// Payload bytes sent, headers and padding not counted.
    public var octetCount: UInt32
    /// At most 31 are written.
    public var reports: [ReportBlock]

    public init(
        senderSSRC: UInt32, ntpTimestamp: UInt64, rtpTimestamp: UInt32, packetCount: UInt32, octetCount: UInt32,
        reports: [ReportBlock] = []
    ) {
        self.senderSSRC = senderSSRC
        self.ntpTimestamp = ntpTimestamp
        self.rtpTimestamp = rtpTimestamp
        self.packetCount = packetCount
        self.octetCount = octetCount
        self.reports = reports
    }
}
