// SPDX-License-Identifier: Apache-2.0
// Puts H.264 parameter sets that a camera tells only in its description, or once, in front of its key frames, in RTP. Used by who
// pulls by RTSP.

/// Packets of one source in, the same and now and then one more out, with numbers that follow each other. Leaves streams that carry their
/// sets themselves as they are.
public struct ParameterSetInserter: Sendable {
    private var sets: ParameterSetStore
    private let payloadType: UInt8
    /// Timestamp of the newest packet that had sets of its own.
    private var ownSets: UInt32?
    private var inserted: UInt32?
    private var shift: UInt16 = 0
    /// Number of the packet in front of which the last one was put.
    private var place: UInt16?

    /// - Parameter parameterSets: SPS and PPS without start codes. `nil` when there are none, or none that fit a packet.
    public init?(parameterSets: [[UInt8]], payloadType: UInt8) {
        guard var sets = ParameterSetStore(codec: .h264) else { return nil }
        sets.describe(parameterSets)
        guard sets.isComplete else { return nil }
        self.sets = sets
        self.payloadType = payloadType
    }

    /// What goes on in the packet's place. Something that is no RTP is given back as it is.
    public mutating func take(_ packet: [UInt8]) -> [[UInt8]] {
        let seen = packet.withUnsafeBytes { bytes -> (sequence: UInt16, timestamp: UInt32, hasSet: Bool, startsIDR: Bool)? in
            guard let view = RTPView(bytes), !view.payload.isEmpty else { return nil }
            let units = H264Payload.units(view.payload)
            // What is sent outweighs what was described.
            if !units.isDisjoint(with: .sets) { _ = sets.take(view.payload) }
            return (view.sequenceNumber, view.timestamp, units.contains(.sequenceSet), !units.isDisjoint(with: [.instantStart, .recovery]))
        }
        guard let seen else { return [packet] }
        if seen.hasSet { ownSets = seen.timestamp }
        var output: [[UInt8]] = []
        if seen.startsIDR, ownSets != seen.timestamp, inserted != seen.timestamp, sets.isComplete {
            inserted = seen.timestamp
            var extra = Array(packet[0..<12])
            extra[0] = 0x80
            extra[1] = payloadType
            output.append(numbered(extra + sets.payload, seen.sequence &+ shift))
            shift &+= 1
            place = seen.sequence
        }
        // What comes late belongs in front of it.
        let isBefore = place.map { Int16(bitPattern: seen.sequence &- $0) < 0 } ?? false
        output.append(numbered(packet, seen.sequence &+ (isBefore ? shift &- 1 : shift)))
        return output
    }

    private func numbered(_ packet: [UInt8], _ sequence: UInt16) -> [UInt8] {
        var packet = packet
        packet[2] = UInt8(sequence >> 8)
        packet[3] = UInt8(sequence & 0xff)
        return packet
    }
}
