// SPDX-License-Identifier: Apache-2.0
// AV1 temporal units to RTP payloads. Used by publishing tools.

/// AV1 RTP specification 1.0 §4: OBUs without size fields, several to a packet or one over several packets.
public struct AV1Packetizer: Sendable {
    private let maximum: Int

    /// - Parameter maximumPayload: bytes of a payload at most; 64…60000.
    public init(maximumPayload: Int = 1180) { maximum = PayloadSplit.clamp(maximumPayload) }

    /// The payloads of one temporal unit in the low-overhead format; the last one gets the marker. Temporal delimiters,
    /// tile lists and padding are left out (§5). Empty when the unit is malformed or nothing is left of it.
    public mutating func packetize(_ frame: UnsafeRawBufferPointer) -> [[UInt8]] {
        guard let (elements, beginsSequence) = Self.elements(of: frame), !elements.isEmpty else { return [] }
        // First with full packets to learn how many there must be, then again with even ones.
        let count = pack(elements, limits: { _, _ in maximum - 1 }).count
        let packets = pack(elements) { index, remaining in
            let left = max(count - index, 1)
            return min((remaining + left - 1) / left, maximum - 1)
        }
        return packets.enumerated().map { index, packet in
            packet.serialized(beginsSequence: index == 0 && beginsSequence)
        }
    }

    private static func elements(of frame: UnsafeRawBufferPointer) -> (elements: [[UInt8]], beginsSequence: Bool)? {
        var elements: [[UInt8]] = []
        var beginsSequence = false
        var rest = frame
        while !rest.isEmpty {
            guard let unit = AV1Unit(rest) else { return nil }
            switch unit.type {
            case AV1Payload.temporalDelimiter, AV1Payload.tileList, AV1Payload.padding: break
            default:
                if unit.type == AV1Payload.sequenceHeader { beginsSequence = true }
                var element = [unit.header[0] & ~0x02]
                element.reserveCapacity(unit.header.count + unit.payload.count)
                element.append(contentsOf: unit.header[1...])
                element.append(contentsOf: unit.payload)
                elements.append(element)
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[unit.length...])
        }
        return (elements, beginsSequence)
    }

    /// Elements and pieces of elements that travel in one packet.
    private struct Packet {
        var continues = false
        var isContinued = false
        var parts: [ArraySlice<UInt8>] = []

        /// W = 1…3 says how many elements there are and spares the last one's length.
        func serialized(beginsSequence: Bool) -> [UInt8] {
            let count = parts.count <= 3 ? parts.count : 0
            var payload: [UInt8] = [
                (continues ? 0x80 : 0) | (isContinued ? 0x40 : 0) | UInt8(count) << 4 | (beginsSequence ? 0x08 : 0)
            ]
            for (i, part) in parts.enumerated() {
                if i + 1 != count { LEB128.append(part.count, to: &payload) }
                payload.append(contentsOf: part)
            }
            return payload
        }
    }

    /// - Parameter limits: bytes behind the aggregation header for packet `index` when `remaining` bytes are still to go.
    private func pack(_ elements: [[UInt8]], limits: (_ index: Int, _ remaining: Int) -> Int) -> [Packet] {
        var packets: [Packet] = []
        // Each element but the last costs about one byte besides.
        var remaining = elements.reduce(-1) { $0 + $1.count + 1 }
        var packet = Packet()
        // Bytes of the parts so far, each with its length in front.
        var used = 0
        var limit = max(limits(0, remaining), 8)
        func finish(isContinued: Bool) {
            packet.isContinued = isContinued
            packets.append(packet)
            packet = Packet()
            packet.continues = isContinued
            used = 0
            limit = max(limits(packets.count, remaining), 8)
        }
        for element in elements {
            var offset = 0
            while offset < element.count {
                // From the fourth part on, all of them carry a length.
                let lengthField = packet.parts.count >= 3 ? 3 : 0
                let available = limit - used - lengthField
                if available < 1 {
                    finish(isContinued: offset > 0)
                    continue
                }
                let taken = min(available, element.count - offset)
                packet.parts.append(element[offset..<offset + taken])
                used += taken + LEB128.length(of: taken)
                offset += taken
                remaining -= taken + (offset == element.count ? 1 : 0)
                if offset < element.count { finish(isContinued: true) }
            }
        }
        if !packet.parts.isEmpty { finish(isContinued: false) }
        return packets
    }
}
