// SPDX-License-Identifier: Apache-2.0
// The compound that a sender repeats each second, sender report and source description, kept so that repeating it allocates nothing.

/// A sender report without report blocks and the CNAME behind it, as bytes (RFC 3550 §6.4.1, §6.5).
public struct SenderReportPacket: Sendable {
    /// The compound packet, before encryption.
    public private(set) var bytes: [UInt8]

    public init(ssrc: UInt32, cname: String) {
        let empty = SenderReport(senderSSRC: ssrc, ntpTimestamp: 0, rtpTimestamp: 0, packetCount: 0, octetCount: 0)
        bytes = RTCP.serialize([.senderReport(empty), .sourceDescription(SourceDescription(ssrc: ssrc, cname: cname))])
    }

    /// Takes over the report's times and counts; its SSRC and blocks don't matter.
    public mutating func update(_ report: SenderReport) {
        bytes.withUnsafeMutableBytes { bytes in
            bytes.storeBytes(of: report.ntpTimestamp.bigEndian, toByteOffset: 8, as: UInt64.self)
            bytes.storeBytes(of: report.rtpTimestamp.bigEndian, toByteOffset: 16, as: UInt32.self)
            bytes.storeBytes(of: report.packetCount.bigEndian, toByteOffset: 20, as: UInt32.self)
            bytes.storeBytes(of: report.octetCount.bigEndian, toByteOffset: 24, as: UInt32.self)
        }
    }
}
