// SPDX-License-Identifier: Apache-2.0
// The door of RTCP: compound datagrams in and out. Called by endpoints after decryption and before encryption.

/// Reads and writes compound RTCP packets (RFC 3550 §6.1, reduced size RFC 5506).
public enum RTCP {
    /// Most packets read from one datagram.
    public static let maximumPackets = 128

    static let senderReport: UInt8 = 200
    static let receiverReport: UInt8 = 201
    static let sourceDescription: UInt8 = 202
    static let goodbye: UInt8 = 203
    static let transportLayerFeedback: UInt8 = 205
    static let payloadSpecificFeedback: UInt8 = 206
    static let extendedReport: UInt8 = 207

    /// The packets of one datagram, in order. A compound packet need not begin with a report.
    ///
    /// - Parameter readsTransportFeedback: false leaves transport-wide feedback out, for those who read it in place
    ///   (`forEachTransportFeedback`).
    /// - Throws: when any of them is malformed; then none of them counts.
    public static func parse(
        _ datagram: UnsafeRawBufferPointer, readsTransportFeedback: Bool = true
    ) throws(RTCPError) -> [RTCPPacket] {
        var packets: [RTCPPacket] = []
        try forEachPacket(in: datagram) { type, count, body throws(RTCPError) in
            if !readsTransportFeedback, type == transportLayerFeedback, count == 15 { return }
            packets.append(try parse(type: type, count: count, body: body))
        }
        return packets
    }

    /// Calls `visit` for each well-formed transport-wide feedback of a datagram, without allocating.
    @inline(__always)
    public static func forEachTransportFeedback(
        in datagram: UnsafeRawBufferPointer, _ visit: (TransportFeedbackView) -> Void
    ) {
        try? forEachPacket(in: datagram) { type, count, body throws(RTCPError) in
            if type == transportLayerFeedback, count == 15, let view = TransportFeedbackView(body) { visit(view) }
        }
    }

    /// Walks over the packets of a datagram: type, the five bits of count or format, body without padding.
    private static func forEachPacket(
        in datagram: UnsafeRawBufferPointer,
        _ visit: (_ type: UInt8, _ count: Int, _ body: UnsafeRawBufferPointer) throws(RTCPError) -> Void
    ) throws(RTCPError) {
        var seen = 0
        var rest = datagram
        guard !rest.isEmpty else { throw .invalidHeader }
        while !rest.isEmpty {
            guard seen < maximumPackets else { throw .tooManyPackets }
            guard rest.count >= 4, rest[0] >> 6 == 2 else { throw .invalidHeader }
            let length = (Int(rest[2]) << 8 | Int(rest[3])) * 4 + 4
            guard length <= rest.count else { throw .invalidHeader }
            var end = length
            if rest[0] & 0x20 != 0 {
                let padding = Int(rest[length - 1])
                guard padding > 0, padding <= length - 4 else { throw .invalidHeader }
                end -= padding
            }
            try visit(rest[1], Int(rest[0] & 0x1f), UnsafeRawBufferPointer(rebasing: rest[4..<end]))
            rest = UnsafeRawBufferPointer(rebasing: rest[length...])
            seen += 1
        }
    }

    /// - Parameter count: the five bits that are a count of reports or the format of a feedback.
    private static func parse(type: UInt8, count: Int, body: UnsafeRawBufferPointer) throws(RTCPError) -> RTCPPacket {
        var reader = ByteReader(body, type: type)
        switch (type, count) {
        case (senderReport, _):
            var report = SenderReport(
                senderSSRC: try reader.uint32(),
                ntpTimestamp: UInt64(try reader.uint32()) << 32 | UInt64(try reader.uint32()),
                rtpTimestamp: try reader.uint32(), packetCount: try reader.uint32(), octetCount: try reader.uint32())
            for _ in 0..<count { report.reports.append(try ReportBlock(&reader)) }
            return .senderReport(report)
        case (receiverReport, _):
            var report = ReceiverReport(senderSSRC: try reader.uint32(), reports: [])
            for _ in 0..<count { report.reports.append(try ReportBlock(&reader)) }
            return .receiverReport(report)
        case (sourceDescription, _):
            return .sourceDescription(try SourceDescription(&reader, count: count))
        case (goodbye, _):
            return .goodbye(try Goodbye(&reader, count: count))
        case (transportLayerFeedback, 1):
            return .nack(try NACK(&reader))
        case (transportLayerFeedback, 15):
            return .transportFeedback(try TransportFeedback(&reader))
        case (payloadSpecificFeedback, 1):
            return .pictureLossIndication(senderSSRC: try reader.uint32(), mediaSSRC: try reader.uint32())
        case (payloadSpecificFeedback, 4):
            return .fullIntraRequest(try FullIntraRequest(&reader))
        case (payloadSpecificFeedback, 15):
            guard let estimate = try ReceiverEstimatedMaximumBitrate(&reader) else { return .unknown(type: type) }
            return .receiverEstimatedMaximumBitrate(estimate)
        case (extendedReport, _):
            let ssrc = try reader.uint32()
            return .extendedReport(ExtendedReport(senderSSRC: ssrc, blocks: Array(try reader.bytes(reader.remaining))))
        default:
            return .unknown(type: type)
        }
    }

    /// The packets as one datagram, in order. Keeping it within the path's MTU is the caller's job.
    public static func serialize(_ packets: [RTCPPacket]) -> [UInt8] {
        var writer = ByteWriter()
        for packet in packets { write(packet, to: &writer) }
        return writer.output
    }

    private static func write(_ packet: RTCPPacket, to writer: inout ByteWriter) {
        func framed(_ type: UInt8, _ count: Int, _ body: (inout ByteWriter) -> Void) {
            let start = writer.output.count
            writer.uint8(0x80 | UInt8(min(count, 31)))
            writer.uint8(type)
            writer.uint16(0)
            body(&writer)
            writer.pad()
            writer.setUInt16(UInt16(truncatingIfNeeded: (writer.output.count - start) / 4 - 1), at: start + 2)
        }
        switch packet {
        case .senderReport(let report):
            framed(senderReport, report.reports.count) { writer in
                writer.uint32(report.senderSSRC)
                writer.uint32(UInt32(truncatingIfNeeded: report.ntpTimestamp >> 32))
                writer.uint32(UInt32(truncatingIfNeeded: report.ntpTimestamp))
                writer.uint32(report.rtpTimestamp)
                writer.uint32(report.packetCount)
                writer.uint32(report.octetCount)
                for block in report.reports.prefix(31) { block.write(to: &writer) }
            }
        case .receiverReport(let report):
            framed(receiverReport, report.reports.count) { writer in
                writer.uint32(report.senderSSRC)
                for block in report.reports.prefix(31) { block.write(to: &writer) }
            }
        case .sourceDescription(let description):
            framed(sourceDescription, description.chunks.count) { description.write(to: &$0) }
        case .goodbye(let goodbye):
            framed(Self.goodbye, goodbye.ssrcs.count) { goodbye.write(to: &$0) }
        case .nack(let nack):
            framed(transportLayerFeedback, 1) { nack.write(to: &$0) }
        case .transportFeedback(let feedback):
            guard !feedback.packets.isEmpty else { return }
            framed(transportLayerFeedback, 15) { feedback.write(to: &$0) }
        case .pictureLossIndication(let senderSSRC, let mediaSSRC):
            framed(payloadSpecificFeedback, 1) { writer in
                writer.uint32(senderSSRC)
                writer.uint32(mediaSSRC)
            }
        case .fullIntraRequest(let request):
            framed(payloadSpecificFeedback, 4) { request.write(to: &$0) }
        case .receiverEstimatedMaximumBitrate(let estimate):
            framed(payloadSpecificFeedback, 15) { estimate.write(to: &$0) }
        case .extendedReport(let report):
            framed(extendedReport, 0) { writer in
                writer.uint32(report.senderSSRC)
                writer.bytes(report.blocks)
            }
        case .unknown:
            break
        }
    }
}
