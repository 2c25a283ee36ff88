// SPDX-License-Identifier: Apache-2.0
// Extended reports: of their blocks the two that measure a round trip are read and written, the others are carried along unread.
import Primitives

/// RTCP XR (RFC 3611) with its report blocks as they came.
public struct ExtendedReport: Equatable, Sendable {
    public var senderSSRC: UInt32
    /// The report blocks, a multiple of four bytes.
    public var blocks: [UInt8]

    public init(senderSSRC: UInt32, blocks: [UInt8]) {
        self.senderSSRC = senderSSRC
        self.blocks = blocks
    }
}

extension ExtendedReport {
    private static let referenceTime: UInt8 = 4, delaySinceReference: UInt8 = 5

    /// A receiver's reference time (RFC 3611 §4.4), which senders answer with their next report: a receiver that sends nothing has no
    /// other way to learn the round trip.
    public static func referenceTime(senderSSRC: UInt32, ntp: UInt64) -> ExtendedReport {
        ExtendedReport(senderSSRC: senderSSRC, blocks: [referenceTime, 0, 0, 2] + withUnsafeBytes(of: ntp.bigEndian) { Array($0) })
    }

    /// A receiver's reference time in this report, NTP; `nil` when there is none.
    public var referenceTime: UInt64? {
        var found: UInt64?
        forEachBlock { type, body in
            if type == Self.referenceTime, body.count >= 8, found == nil {
                found = UInt64(bigEndian: body.loadUnaligned(as: UInt64.self))
            }
        }
        return found
    }

    /// The answer to a receiver's reference time that has just come.
    public static func answer(senderSSRC: UInt32, to receiver: UInt32, referenceTime: UInt64) -> ExtendedReport {
        var blocks: [UInt8] = [delaySinceReference, 0, 0, 3]
        for word in [receiver, UInt32(truncatingIfNeeded: referenceTime >> 16), 0] {
            blocks += withUnsafeBytes(of: word.bigEndian) { Array($0) }
        }
        return ExtendedReport(senderSSRC: senderSSRC, blocks: blocks)
    }

    /// What the sender says about the newest reference time of the receiver `ssrc` (RFC 3611 §4.5): the middle 32 bits of it, and how long
    /// the sender has had it. `nil` when nothing is said, or it has had none.
    public func answer(to ssrc: UInt32) -> (reference: UInt32, delay: TimeSpan)? {
        var found: (reference: UInt32, delay: TimeSpan)?
        forEachBlock { type, body in
            guard type == Self.delaySinceReference, found == nil else { return }
            func word(_ offset: Int) -> UInt32 { UInt32(bigEndian: body.loadUnaligned(fromByteOffset: offset, as: UInt32.self)) }
            for item in stride(from: 0, to: body.count - 11, by: 12) where word(item) == ssrc && word(item + 4) != 0 {
                // Seconds, 16.16.
                found = (word(item + 4), TimeSpan(ticks: Int64(word(item + 8)), clockRate: 65_536))
                return
            }
        }
        return found
    }

    /// Block type and body, in order; ends at the first that is cut off.
    private func forEachBlock(_ visit: (UInt8, UnsafeRawBufferPointer) -> Void) {
        blocks.withUnsafeBytes { bytes in
            var offset = 0
            while offset + 4 <= bytes.count {
                let end = offset + 4 + (Int(bytes[offset + 2]) << 8 | Int(bytes[offset + 3])) * 4
                guard end <= bytes.count else { return }
                visit(bytes[offset], UnsafeRawBufferPointer(rebasing: bytes[(offset + 4)..<end]))
                offset = end
            }
        }
    }
}
