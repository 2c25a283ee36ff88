// SPDX-License-Identifier: Apache-2.0
// A request to send packets again. Made from NACKGenerator towards publishers, read from players.

/// Generic NACK (RFC 4585 §6.2.1).
public struct NACK: Equatable, Sendable {
    /// Most sequence numbers taken from one packet; what is beyond is ignored.
    public static let maximumSequenceNumbers = 1024

    public var senderSSRC: UInt32
    public var mediaSSRC: UInt32
    /// The packets wanted, in the order in which they were listed.
    public var sequenceNumbers: [UInt16]

    public init(senderSSRC: UInt32, mediaSSRC: UInt32, sequenceNumbers: [UInt16]) {
        self.senderSSRC = senderSSRC
        self.mediaSSRC = mediaSSRC
        self.sequenceNumbers = sequenceNumbers
    }
}

extension NACK {
    /// The same request in as many packets as keep each at `maximumLength` bytes at most, so that no datagram outgrows the path's MTU.
    public func split(maximumLength: Int = 1100) -> [NACK] {
        let most = max(1, (maximumLength - 12) / 4)
        guard sequenceNumbers.count > most else { return sequenceNumbers.isEmpty ? [] : [self] }
        var parts: [NACK] = []
        var start = 0, entries = 0, first: UInt16 = 0
        for (index, sequence) in sequenceNumbers.enumerated() {
            // An entry holds its first number and those of the 16 behind it, as `write` puts them together.
            if index > start, entries > 0, sequence &- first >= 1, sequence &- first <= 16 { continue }
            if entries == most {
                parts.append(NACK(senderSSRC: senderSSRC, mediaSSRC: mediaSSRC, sequenceNumbers: Array(sequenceNumbers[start..<index])))
                start = index
                entries = 0
            }
            entries += 1
            first = sequence
        }
        parts.append(NACK(senderSSRC: senderSSRC, mediaSSRC: mediaSSRC, sequenceNumbers: Array(sequenceNumbers[start...])))
        return parts
    }

    init(_ reader: inout ByteReader) throws(RTCPError) {
        senderSSRC = try reader.uint32()
        mediaSSRC = try reader.uint32()
        sequenceNumbers = []
        while reader.remaining >= 4, sequenceNumbers.count < Self.maximumSequenceNumbers {
            let first = try reader.uint16()
            let following = try reader.uint16()
            sequenceNumbers.append(first)
            for bit in 0..<16 where following >> bit & 1 != 0 { sequenceNumbers.append(first &+ UInt16(bit) &+ 1) }
        }
    }

    func write(to writer: inout ByteWriter) {
        writer.uint32(senderSSRC)
        writer.uint32(mediaSSRC)
        var i = 0
        while i < sequenceNumbers.count {
            let first = sequenceNumbers[i]
            var following: UInt16 = 0
            i += 1
            while i < sequenceNumbers.count {
                let distance = sequenceNumbers[i] &- first
                guard distance >= 1, distance <= 16 else { break }
                following |= 1 << (distance - 1)
                i += 1
            }
            writer.uint16(first)
            writer.uint16(following)
        }
    }
}
