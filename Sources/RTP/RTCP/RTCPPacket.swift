// SPDX-License-Identifier: Apache-2.0
// The RTCP packets known here as one value. Made by RTCP.parse, written by RTCP.serialize.

/// One packet of a compound RTCP datagram.
public enum RTCPPacket: Equatable, Sendable {
    case senderReport(SenderReport)
    case receiverReport(ReceiverReport)
    case sourceDescription(SourceDescription)
    case goodbye(Goodbye)
    case nack(NACK)
    /// A decoder lost its picture and wants a key frame (RFC 4585 §6.3.1).
    case pictureLossIndication(senderSSRC: UInt32, mediaSSRC: UInt32)
    case fullIntraRequest(FullIntraRequest)
    case receiverEstimatedMaximumBitrate(ReceiverEstimatedMaximumBitrate)
    case transportFeedback(TransportFeedback)
    case extendedReport(ExtendedReport)
    /// Well formed, but nothing we know. Not written by `serialize`.
    case unknown(type: UInt8)
}
