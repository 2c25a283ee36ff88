// SPDX-License-Identifier: Apache-2.0
// Why a received RTCP packet could not be read.

/// What is wrong with an RTCP packet. The datagram it came in is to be dropped as a whole.
public enum RTCPError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Not version 2, shorter than its header, or a length that leads beyond the datagram.
    case invalidHeader
    /// The body of a packet of this type contradicts its length or its counts.
    case malformed(type: UInt8)
    /// More packets in one datagram than anybody sends.
    case tooManyPackets

    public var description: String {
        switch self {
        case .invalidHeader: "RTCP header is not version 2 or its length leads beyond the datagram"
        case .malformed(let type): "RTCP packet of type \(type) is shorter than its counts say"
        case .tooManyPackets: "more than \(RTCP.maximumPackets) RTCP packets in one datagram"
        }
    }
}
