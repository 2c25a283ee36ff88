// SPDX-License-Identifier: Apache-2.0
// Transport-wide feedback read where it lies: no array per packet. Used by players' bandwidth estimation, and by
// TransportFeedback for whoever wants a value.

/// A checked view of the body of one transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).
/// Valid as long as the bytes under it.
public struct TransportFeedbackView {
    public let senderSSRC: UInt32
    public let mediaSSRC: UInt32
    /// Transport sequence number of the first packet spoken of.
    public let base: UInt16
    /// Packets spoken of, 1…`TransportFeedback.maximumPackets`.
    public let count: Int
    /// Units of 64 ms, 24 bits signed.
    public let referenceTime: Int32
    public let feedbackCount: UInt8

    private let bytes: UnsafeRawBufferPointer
    /// Where the chunks end and the arrival times begin.
    private let times: Int

    /// - Parameter body: what follows the common RTCP header, padding taken off.
    /// - Returns: `nil` when the lengths contradict each other or a status is none.
    public init?(_ body: UnsafeRawBufferPointer) {
        guard body.count >= 16 else { return nil }
        func word(_ offset: Int) -> UInt32 { UInt32(bigEndian: body.loadUnaligned(fromByteOffset: offset, as: UInt32.self)) }
        senderSSRC = word(0)
        mediaSSRC = word(4)
        base = UInt16(word(8) >> 16)
        count = Int(word(8) & 0xffff)
        referenceTime = Int32(bitPattern: word(12)) >> 8
        feedbackCount = UInt8(truncatingIfNeeded: word(12))
        guard count > 0, count <= TransportFeedback.maximumPackets else { return nil }
        bytes = body

        // One walk over the chunks tells where the times begin and how many bytes they must have.
        var offset = 16, seen = 0, needed = 0
        while seen < count {
            guard offset + 2 <= body.count else { return nil }
            let chunk = UInt16(body[offset]) << 8 | UInt16(body[offset + 1])
            let covered = min(Self.covered(by: chunk), count - seen)
            guard covered > 0 else { return nil }
            for i in 0..<(chunk & 0x8000 == 0 ? 1 : covered) {
                let symbol = Int(Self.symbol(i, of: chunk))
                guard symbol < 3 else { return nil }
                needed += chunk & 0x8000 == 0 ? symbol * covered : symbol
            }
            seen += covered
            offset += 2
        }
        guard offset + needed <= body.count else { return nil }
        times = offset
    }

    /// Calls `visit` for each packet in order. `arrival` is in units of 250 µs on the receiver's clock, from zero at
    /// reference time 0; `nil`: not received.
    @inline(__always)
    public func forEach(_ visit: (_ sequence: UInt16, _ arrivalTicks: Int64?) -> Void) {
        var offset = 16, seen = 0, position = times
        var time = Int64(referenceTime) << 8
        while seen < count {
            let chunk = UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1])
            offset += 2
            for i in 0..<min(Self.covered(by: chunk), count - seen) {
                let sequence = base &+ UInt16(truncatingIfNeeded: seen)
                seen += 1
                switch Self.symbol(i, of: chunk) {
                case Status.small:
                    time += Int64(bytes[position])
                    position += 1
                    visit(sequence, time)
                case Status.large:
                    time += Int64(Int16(bitPattern: UInt16(bytes[position]) << 8 | UInt16(bytes[position + 1])))
                    position += 2
                    visit(sequence, time)
                default:
                    visit(sequence, nil)
                }
            }
        }
    }

    /// How many packets a chunk speaks of (§3.1.3, §3.1.4).
    @inline(__always)
    private static func covered(by chunk: UInt16) -> Int {
        if chunk & 0x8000 == 0 { return Int(chunk & 0x1fff) }
        return chunk & 0x4000 == 0 ? 14 : 7
    }

    @inline(__always)
    private static func symbol(_ i: Int, of chunk: UInt16) -> UInt8 {
        if chunk & 0x8000 == 0 { return UInt8(chunk >> 13 & 3) }
        return chunk & 0x4000 == 0 ? UInt8(chunk >> (13 - i) & 1) : UInt8(chunk >> (12 - 2 * i) & 3)
    }

    /// Symbols of packet status chunks (§3.1.1); their value is the number of bytes that the arrival time takes.
    enum Status {
        static let absent: UInt8 = 0
        static let small: UInt8 = 1
        static let large: UInt8 = 2
    }
}
