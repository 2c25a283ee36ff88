// SPDX-License-Identifier: Apache-2.0
// What an RTP payload of H.264 or H.265 holds, as far as beginning to decode depends on it. Found by PayloadInspector, used by the
// uplink track to find entry points and by the depacketisers.

/// The kinds of units in one payload. Of a fragmented unit only the first fragment says more than `slice`.
@frozen public struct VideoUnits: OptionSet, Sendable {
    public let rawValue: UInt16
    @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Sequence parameter set.
    @inlinable public static var sequenceSet: VideoUnits { VideoUnits(rawValue: 1) }
    /// Picture parameter set.
    @inlinable public static var pictureSet: VideoUnits { VideoUnits(rawValue: 2) }
    /// Video parameter set (H.265).
    @inlinable public static var videoSet: VideoUnits { VideoUnits(rawValue: 4) }
    /// First slice of a picture that nothing after it looks behind: IDR, or BLA of H.265.
    @inlinable public static var instantStart: VideoUnits { VideoUnits(rawValue: 8) }
    /// First slice of a picture that refers to no other (H.264 slice type I).
    @inlinable public static var intraStart: VideoUnits { VideoUnits(rawValue: 16) }
    /// A recovery point SEI, or the first slice of a CRA picture of H.265: decoding may begin here.
    @inlinable public static var recovery: VideoUnits { VideoUnits(rawValue: 32) }
    /// First slice of any picture.
    @inlinable public static var pictureStart: VideoUnits { VideoUnits(rawValue: 64) }
    /// A slice or a part of one.
    @inlinable public static var slice: VideoUnits { VideoUnits(rawValue: 128) }

    @inlinable public static var sets: VideoUnits { [.sequenceSet, .pictureSet, .videoSet] }
    /// Whatever says more than that a picture goes on.
    @inlinable public var isTelling: Bool { !subtracting(.slice).isEmpty }
}

/// Supplemental enhancement information (H.264 §7.3.2.3, H.265 §7.3.2.4): the same in both but for the unit's header.
@usableFromInline enum SupplementalInformation {
    /// Messages and bytes that are looked at; a recovery point is among the first.
    @usableFromInline static var maximumMessages: Int { 8 }

    /// Whether a recovery point (payload type 6) is among the messages.
    /// - Parameter body: the unit without its header.
    @usableFromInline static func hasRecoveryPoint(_ body: UnsafeRawBufferPointer) -> Bool {
        var offset = 0
        for _ in 0..<maximumMessages {
            guard let type = number(body, &offset), let size = number(body, &offset) else { return false }
            if type == 6 { return size > 0 }
            // The size counts bytes without those that prevent emulation.
            var left = size, zeros = 0
            while left > 0 {
                guard offset < body.count else { return false }
                if zeros >= 2, body[offset] == 3 { zeros = 0 } else {
                    zeros = body[offset] == 0 ? zeros + 1 : 0
                    left -= 1
                }
                offset += 1
            }
            // What follows a message is another one or the stop bit.
            guard offset + 1 < body.count else { return false }
        }
        return false
    }

    /// A number in bytes of 255 and a last one. At most 16 of them: the sum stays far from any bound.
    private static func number(_ body: UnsafeRawBufferPointer, _ offset: inout Int) -> Int? {
        var value = 0
        for _ in 0..<16 {
            guard offset < body.count else { return nil }
            let byte = Int(body[offset])
            offset += 1
            value += byte
            if byte != 255 { return value }
        }
        return nil
    }
}
