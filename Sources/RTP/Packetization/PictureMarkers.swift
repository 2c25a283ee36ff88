// SPDX-License-Identifier: Apache-2.0
// Puts the marker where it belongs: on a picture's last packet, and nowhere else (RFC 6184 §5.1). Used by RTSPInlet.
import Primitives

/// The packets of one H.264 or H.265 track of a source that may set no markers, or one for each slice, or give the packets of a picture
/// timestamps that are a tick apart: decoders read pictures out of a file all the same, browsers don't. A value.
///
/// As long as the markers are right the packets pass as they are. Once they have turned out to be wrong, the last packet is held back until the
/// next one shows whether it ends a picture.
public struct PictureMarkers: Sendable {
    /// So many pictures in a row without a marker, and the source sets none.
    static let patience = 3
    /// So many pictures in a row with the right one, and it is trusted again.
    static let trust = 50

    /// A packet further back than this comes from a source that has begun anew.
    private static let window: Int16 = 3000

    private let codec: CodecKind
    private var sequence: UInt16?
    private var timestamp: UInt32 = 0
    /// What the picture under way has brought.
    private var hasSlice = false, isMarked = false
    /// The markers of the picture are not right, as far as it has come.
    private var isWrong = false
    private var unmarked = 0, right = 0
    private var held: [UInt8]?
    /// The source's markers are not to be trusted.
    public private(set) var isMending = false

    public init(codec: CodecKind) { self.codec = codec }

    /// Takes the next packet, in the order of arrival; gives those that can go on.
    public mutating func take(_ packet: [UInt8]) -> [[UInt8]] {
        let read = packet.withUnsafeBytes { bytes in
            RTPView(bytes).map { ($0.sequenceNumber, $0.timestamp, $0.marker, PayloadInspector.units(codec: codec, payload: $0.payload)) }
        }
        guard let (number, time, marker, units) = read else { return [packet] }
        // Late, or once more: UDP brings packets in any order. Their picture is being read, or over.
        if let sequence, (-Self.window...0).contains(Int16(bitPattern: number &- sequence)) {
            var packet = packet
            if isMending { packet[1] &= 0x7f }
            return [packet]
        }
        // Only where nothing is missing do neighbours say anything of each other.
        let follows = sequence.map { $0 &+ 1 == number } ?? false
        sequence = number
        let goesOn = units.contains(.slice) && !units.contains(.pictureStart)
        var packet = packet
        if time != timestamp, follows, goesOn, hasSlice, !isMarked {
            for index in 0..<4 { packet[4 + index] = UInt8(truncatingIfNeeded: timestamp >> UInt32(24 - 8 * index)) }
        } else if time != timestamp || isMarked && units.contains(.pictureStart) {
            // The timestamps of a clock that stands are all the same.
            endPicture(follows: follows)
            timestamp = time
        } else if isMarked, follows, goesOn {
            // A picture that had ended goes on.
            isWrong = true
            isMending = true
        }
        if units.contains(.slice) { hasSlice = true }
        if marker, hasSlice { isMarked = true }
        let before = held.map { [$0] } ?? []
        held = nil
        guard isMending else { return before + [packet] }
        packet[1] &= 0x7f
        held = packet
        return before
    }

    /// Another picture begins.
    private mutating func endPicture(follows: Bool) {
        if follows, hasSlice {
            unmarked = isMarked ? 0 : min(unmarked + 1, Self.patience)
            right = isMarked && !isWrong ? min(right + 1, Self.trust) : 0
            if unmarked == Self.patience { isMending = true }
        }
        if hasSlice { held?[1] |= 0x80 }
        if right == Self.trust { isMending = false }
        (hasSlice, isMarked, isWrong) = (false, false, false)
    }
}
