// SPDX-License-Identifier: Apache-2.0
// RTP payloads back to H.264 access units. Used by FrameAssembler.

/// Single units, STAP-A and FU-A (RFC 6184) to Annex B. Broken units are left out and their frame is incomplete.
public struct H264Depacketizer: Sendable {
    private var builder = FrameBuilder()
    /// Where the unit being put together from fragments begins in the frame; `nil` = none.
    private var fragmentStart: Int?
    private var hasBegun = false
    /// What the open frame holds so far.
    private var seen: VideoUnits = []
    /// Timestamp of the frame that a marker ended last.
    private var ended: UInt32?
    /// The source marks packets in the middle of its pictures: only the next timestamp ends one.
    private var distrustsMarkers = false
    /// Sets and messages that came in a frame of their own are kept for the next one up to here, bytes.
    private static let maximumCarried = 1 << 16

    public init() {}

    /// Takes the next payload in sequence order; gives a frame when one is finished.
    ///
    /// - Parameters:
    ///   - marker: the packet ends its access unit.
    ///   - lost: packets in front of this one are missing.
    public mutating func push(
        payload: UnsafeRawBufferPointer, marker: Bool, timestamp: UInt32, lost: Bool
    ) -> EncodedFrame? {
        var timestamp = timestamp
        // A unit belongs to the frame that it began in, whatever its other packets say.
        if !lost, fragmentStart != nil, Self.isContinuation(payload) { timestamp = builder.timestamp }
        if lost { dropFragment() }
        // Not all sources set the bit that says where a unit ends: where nothing is missing it ends before whatever is no part of it.
        if fragmentStart != nil, !payload.isEmpty, !Self.isContinuation(payload) { fragmentStart = nil }
        // After a loss, and at the very beginning, nothing tells whether a frame's first packet is this one, but for the kind of unit in it.
        let isStart = (hasBegun && !lost) || (!payload.isEmpty && H264Payload.isFrameStart(payload))
        hasBegun = true
        let units = H264Payload.units(payload)
        // Access units without a picture are none: they belong to the picture that follows.
        if builder.isOpen, !seen.contains(.slice), timestamp != builder.timestamp, !lost, builder.isIntact, builder.bytes.count <= Self.maximumCarried {
            builder.carry(to: timestamp)
        }
        if !builder.isOpen, ended == timestamp, !lost, units.contains(.slice), !units.contains(.pictureStart) { distrustsMarkers = true }
        let (closed, isNew) = builder.begin(timestamp: timestamp, lost: lost, isStart: isStart)
        if isNew { seen = [] }
        if !payload.isEmpty { take(payload) }
        if marker, !distrustsMarkers { fragmentStart = nil }
        let isEnd = marker && seen.contains(.slice) && !distrustsMarkers
        if isEnd { ended = timestamp }
        return builder.end(marker: isEnd, closed: closed)
    }

    /// What is left at the end of the stream; call until `nil`.
    public mutating func flush() -> EncodedFrame? {
        dropFragment()
        return builder.flush()
    }

    private mutating func take(_ payload: UnsafeRawBufferPointer) {
        let type = payload[0] & 0x1f
        switch type {
        case 1...23:
            append(payload)
        case H264Payload.stapA:
            var offset = 1
            while offset < payload.count {
                guard offset + 2 < payload.count else { return builder.markBroken() }
                let length = Int(payload[offset]) << 8 | Int(payload[offset + 1])
                offset += 2
                guard length > 0, offset + length <= payload.count else { return builder.markBroken() }
                append(UnsafeRawBufferPointer(rebasing: payload[offset..<offset + length]))
                offset += length
            }
        case H264Payload.fuA:
            takeFragment(payload)
        default:
            builder.markBroken()
        }
    }

    private static func isContinuation(_ payload: UnsafeRawBufferPointer) -> Bool {
        payload.count > 2 && payload[0] & 0x1f == H264Payload.fuA && payload[1] & 0x80 == 0
    }

    private mutating func takeFragment(_ payload: UnsafeRawBufferPointer) {
        guard payload.count > 2 else { return builder.markBroken() }
        let flags = payload[1]
        if flags & 0x80 != 0 {
            fragmentStart = builder.bytes.count
            note(H264Payload.units(payload))
            appendStart(payload[0] & 0xe0 | flags & 0x1f)
        } else if fragmentStart == nil {
            return builder.markBroken()
        }
        builder.append(payload[2...])
        if flags & 0x40 != 0 { fragmentStart = nil }
    }

    /// A unit whose end never came is of no use to a decoder.
    private mutating func dropFragment() {
        guard let start = fragmentStart else { return }
        fragmentStart = nil
        builder.removeLast(builder.bytes.count - start)
        builder.markBroken()
    }

    private mutating func append(_ unit: UnsafeRawBufferPointer) {
        note(H264Payload.unit(unit[0] & 0x1f, unit, 1, unit.count))
        appendStart(unit[0])
        builder.append(unit[1...])
    }

    /// Decoding can begin with an IDR picture, at a recovery point, and with an I picture that brings a sequence parameter set.
    private mutating func note(_ units: VideoUnits) {
        seen.formUnion(units)
        if units.contains(.recovery) || (units.contains(.intraStart) && seen.contains(.sequenceSet)) { builder.markKeyFrame() }
    }

    private mutating func appendStart(_ header: UInt8) {
        if header & 0x1f == H264Payload.idr { builder.markKeyFrame() }
        builder.append([0, 0, 0, 1, header])
    }
}
