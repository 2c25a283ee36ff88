// SPDX-License-Identifier: Apache-2.0
// When the packets of a transport arrived, or that they did not: what a sender's bandwidth estimation lives on.
// Made by TransportFeedbackRecorder towards publishers, read from players.

/// Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).
public struct TransportFeedback: Equatable, Sendable {
    /// Fate of one packet.
    public struct Packet: Equatable, Sendable {
        public var sequenceNumber: UInt16
        /// Arrival in units of 250 µs on the receiver's clock; `nil` = not received.
        public var arrivalTicks: Int64?

        public init(sequenceNumber: UInt16, arrivalTicks: Int64?) {
            self.sequenceNumber = sequenceNumber
            self.arrivalTicks = arrivalTicks
        }
    }

    /// Packets that one feedback may speak of when it is read; more is refused as malformed.
    public static let maximumPackets = 8192

    public var senderSSRC: UInt32
    public var mediaSSRC: UInt32
    /// Grows with each feedback.
    public var feedbackCount: UInt8
    /// Base of the arrival times in units of 64 ms, 24 bits signed.
    public var referenceTime: Int32
    /// Consecutive sequence numbers, at least one. A received packet must lie within ±8 s of the one before (the first:
    /// of the reference time); one that doesn't is written as not received.
    public var packets: [Packet]

    public init(senderSSRC: UInt32, mediaSSRC: UInt32, feedbackCount: UInt8, referenceTime: Int32, packets: [Packet]) {
        self.senderSSRC = senderSSRC
        self.mediaSSRC = mediaSSRC
        self.feedbackCount = feedbackCount
        self.referenceTime = referenceTime
        self.packets = packets
    }
}

extension TransportFeedback {
    private typealias Status = TransportFeedbackView.Status

    init(_ reader: inout ByteReader) throws(RTCPError) {
        let body = try reader.bytes(reader.remaining)
        guard let view = TransportFeedbackView(body) else { throw .malformed(type: RTCP.transportLayerFeedback) }
        self.init(
            senderSSRC: view.senderSSRC, mediaSSRC: view.mediaSSRC, feedbackCount: view.feedbackCount,
            referenceTime: view.referenceTime, packets: [])
        packets.reserveCapacity(view.count)
        view.forEach { packets.append(Packet(sequenceNumber: $0, arrivalTicks: $1)) }
    }

    func write(to writer: inout ByteWriter) {
        var symbols: [UInt8] = []
        var deltas: [Int16] = []
        symbols.reserveCapacity(packets.count)
        var time = Int64(referenceTime) << 8
        for packet in packets.prefix(Self.maximumPackets) {
            guard let arrival = packet.arrivalTicks, let delta = Int16(exactly: arrival - time) else {
                symbols.append(Status.absent)
                continue
            }
            time = arrival
            symbols.append(0...255 ~= delta ? Status.small : Status.large)
            deltas.append(delta)
        }

        writer.uint32(senderSSRC)
        writer.uint32(mediaSSRC)
        writer.uint16(packets.first?.sequenceNumber ?? 0)
        writer.uint16(UInt16(symbols.count))
        writer.uint32(UInt32(bitPattern: referenceTime) << 8 | UInt32(feedbackCount))
        Self.writeChunks(symbols, to: &writer)
        for delta in deltas {
            if 0...255 ~= delta { writer.uint8(UInt8(delta)) } else { writer.uint16(UInt16(bitPattern: delta)) }
        }
        writer.pad()
    }

    /// Takes for each chunk the form that covers most packets.
    private static func writeChunks(_ symbols: [UInt8], to writer: inout ByteWriter) {
        var i = 0
        while i < symbols.count {
            var run = 1
            while i + run < symbols.count, run < 0x1fff, symbols[i + run] == symbols[i] { run += 1 }
            let ones = symbols[i..<min(i + 14, symbols.count)]
            let oneBitCount = ones.contains(Status.large) ? 0 : ones.count
            let pairs = symbols[i..<min(i + 7, symbols.count)]
            if run >= max(oneBitCount, pairs.count) {
                writer.uint16(UInt16(symbols[i]) << 13 | UInt16(run))
                i += run
            } else if oneBitCount > 0 {
                var chunk: UInt16 = 0x8000
                for (k, symbol) in ones.enumerated() { chunk |= UInt16(symbol) << (13 - k) }
                writer.uint16(chunk)
                i += ones.count
            } else {
                var chunk: UInt16 = 0xc000
                for (k, symbol) in pairs.enumerated() { chunk |= UInt16(symbol) << (12 - 2 * k) }
                writer.uint16(chunk)
                i += pairs.count
            }
        }
    }
}
