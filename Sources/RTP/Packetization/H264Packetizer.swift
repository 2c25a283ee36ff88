// SPDX-License-Identifier: Apache-2.0
// H.264 access units to RTP payloads, as browsers send them. Used by publishing tools and by the doors that are not RTP.

/// Packetisation mode 1 (RFC 6184 §6.3): single units, STAP-A for small neighbours, FU-A for what is too long.
public struct H264Packetizer: Sendable {
    private let maximum: Int

    /// - Parameter maximumPayload: bytes of a payload at most; 64…60000.
    public init(maximumPayload: Int = 1180) { maximum = PayloadSplit.clamp(maximumPayload) }

    /// The payloads of one access unit in Annex B format; the last one gets the marker. Access unit delimiters are left out.
    /// Empty when there is no unit in it.
    public mutating func packetize(_ frame: UnsafeRawBufferPointer) -> [[UInt8]] {
        var payloads: [[UInt8]] = []
        var small: [UnsafeRawBufferPointer] = []
        var smallLength = 1
        func flush() {
            if small.count == 1 {
                payloads.append(Array(small[0]))
            } else if small.count > 1 {
                payloads.append(Self.aggregate(small, length: smallLength))
            }
            small.removeAll(keepingCapacity: true)
            smallLength = 1
        }
        for range in AnnexB.units(in: frame) {
            let unit = UnsafeRawBufferPointer(rebasing: frame[range])
            if unit[0] & 0x1f == H264Payload.delimiter { continue }
            guard unit.count <= maximum else {
                flush()
                fragment(unit, into: &payloads)
                continue
            }
            if smallLength + 2 + unit.count > maximum { flush() }
            small.append(unit)
            smallLength += 2 + unit.count
        }
        flush()
        return payloads
    }

    private static func aggregate(_ units: [UnsafeRawBufferPointer], length: Int) -> [UInt8] {
        var payload: [UInt8] = []
        payload.reserveCapacity(length)
        // F is the or, NRI the maximum of what is inside (§5.7).
        let forbidden = units.reduce(0) { $0 | $1[0] & 0x80 }
        let importance = units.reduce(0) { max($0, $1[0] & 0x60) }
        payload.append(forbidden | importance | H264Payload.stapA)
        for unit in units {
            payload.append(UInt8(unit.count >> 8))
            payload.append(UInt8(unit.count & 0xff))
            payload.append(contentsOf: unit)
        }
        return payload
    }

    private func fragment(_ unit: UnsafeRawBufferPointer, into payloads: inout [[UInt8]]) {
        let lengths = PayloadSplit.lengths(of: unit.count - 1, capacity: maximum - 2)
        var offset = 1
        for (i, length) in lengths.enumerated() {
            var payload: [UInt8] = []
            payload.reserveCapacity(length + 2)
            payload.append(unit[0] & 0xe0 | H264Payload.fuA)
            payload.append((i == 0 ? 0x80 : 0) | (i == lengths.count - 1 ? 0x40 : 0) | unit[0] & 0x1f)
            payload.append(contentsOf: unit[offset..<offset + length])
            payloads.append(payload)
            offset += length
        }
    }
}
