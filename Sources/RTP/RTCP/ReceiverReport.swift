// SPDX-License-Identifier: Apache-2.0
// What a receiver says about the sources it hears. Sent to publishers, read from players.

/// RTCP receiver report (RFC 3550 §6.4.2).
public struct ReceiverReport: Equatable, Sendable {
    public var senderSSRC: UInt32
    /// At most 31 are written.
    public var reports: [ReportBlock]

    public init(senderSSRC: UInt32, reports: [ReportBlock]) {
        self.senderSSRC = senderSSRC
        self.reports = reports
    }
}
