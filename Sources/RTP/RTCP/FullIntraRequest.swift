// SPDX-License-Identifier: Apache-2.0
// A request for a key frame, with a number that tells a repetition from a new wish.

/// Full intra request (RFC 5104 §4.3.1).
public struct FullIntraRequest: Equatable, Sendable {
    public struct Entry: Equatable, Sendable {
        /// Whose key frame is wanted.
        public var ssrc: UInt32
        /// Grows with each new request; a repetition keeps it.
        public var sequenceNumber: UInt8

        public init(ssrc: UInt32, sequenceNumber: UInt8) {
            self.ssrc = ssrc
            self.sequenceNumber = sequenceNumber
        }
    }

    public var senderSSRC: UInt32
    public var entries: [Entry]

    public init(senderSSRC: UInt32, entries: [Entry]) {
        self.senderSSRC = senderSSRC
        self.entries = entries
    }
}

extension FullIntraRequest {
    init(_ reader: inout ByteReader) throws(RTCPError) {
        senderSSRC = try reader.uint32()
        // The media source of the common part is not used.
        _ = try reader.uint32()
        entries = []
        while reader.remaining >= 8 {
            let ssrc = try reader.uint32()
            entries.append(Entry(ssrc: ssrc, sequenceNumber: UInt8(try reader.uint32() >> 24)))
        }
    }

    func write(to writer: inout ByteWriter) {
        writer.uint32(senderSSRC)
        writer.uint32(0)
        for entry in entries {
            writer.uint32(entry.ssrc)
            writer.uint32(UInt32(entry.sequenceNumber) << 24)
        }
    }
}
