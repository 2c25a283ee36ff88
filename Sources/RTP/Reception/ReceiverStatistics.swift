// SPDX-License-Identifier: Apache-2.0
// What a receiver knows about one SSRC: how much should have come, how much did, how evenly. Owned by the track that
// receives it, updated for every packet, read when reports are due.
import Primitives

/// Reception statistics of one RTP source (RFC 3550 §6.4.1, A.3, A.8). Trivial; `receive` does not allocate.
@frozen public struct ReceiverStatistics: Sendable {
    @usableFromInline let clockRate: Int64
    @usableFromInline var unwrapper: SequenceUnwrapper
    @usableFromInline var first: Int64
    @usableFromInline var received: Int64
    @usableFromInline var lastArrival: Instant
    @usableFromInline var lastTimestamp: UInt32
    /// Jitter in 1/16 ticks, as in A.8.
    @usableFromInline var scaledJitter: Int64
    private var expectedBefore: Int64
    private var receivedBefore: Int64
    private var reportMiddle: UInt32
    private var reportArrival: Instant

    /// - Parameter clockRate: RTP ticks per second, above 0.
    public init(clockRate: UInt32) {
        self.clockRate = Int64(max(clockRate, 1))
        unwrapper = SequenceUnwrapper()
        (first, received, lastArrival, lastTimestamp, scaledJitter) = (0, 0, .zero, 0, 0)
        (expectedBefore, receivedBefore, reportMiddle, reportArrival) = (0, 0, 0, .zero)
    }

    /// Notes a packet. Give retransmissions that came on an own SSRC not to this: the loss they repair did happen.
    @inlinable @inline(__always)
    public mutating func receive(sequence: UInt16, timestamp: UInt32, at now: Instant) {
        let newest = unwrapper.newest
        let number = unwrapper.unwrap(sequence)
        received &+= 1
        if newest == 0 {
            first = number
        } else if number > newest {
            // Packets of one picture share a timestamp and leave paced: only the first of each says something about the way.
            if timestamp != lastTimestamp { updateJitter(timestamp, now) }
        } else {
            // Reordered right at the beginning; anything older belongs to another life of the source.
            if number < first, first &- number < 64 { first = number }
            return
        }
        if newest == 0 || timestamp != lastTimestamp {
            lastArrival = now
            lastTimestamp = timestamp
        }
    }

    @inlinable @inline(__always)
    mutating func updateJitter(_ timestamp: UInt32, _ now: Instant) {
        let elapsed = min(max(now.span(since: lastArrival).nanoseconds, -(1 << 36)), 1 << 36)
        let difference = abs(elapsed &* clockRate / 1_000_000_000 &- Int64(Int32(bitPattern: timestamp &- lastTimestamp)))
        // A source that paused or restarted its clock is not jitter.
        if difference < clockRate &* 5 { scaledJitter &+= difference &- (scaledJitter &+ 8) >> 4 }
    }

    /// Notes a sender report of this source, whose middle 32 bits are echoed in report blocks.
    public mutating func receiveSenderReport(ntpTimestamp: UInt64, at now: Instant) {
        reportMiddle = UInt32(truncatingIfNeeded: ntpTimestamp >> 16)
        reportArrival = now
    }

    /// Packets received, duplicates included.
    public var receivedPackets: Int64 { received }
    /// Packets that should have come, from the first to the highest sequence number.
    public var expectedPackets: Int64 { received == 0 ? 0 : unwrapper.newest - first + 1 }
    /// Packets lost so far; negative when duplicates came (RFC 3550 A.3).
    public var cumulativeLost: Int { Int(expectedPackets - received) }
    /// Interarrival jitter in RTP ticks.
    public var jitter: UInt32 { UInt32(truncatingIfNeeded: scaledJitter >> 4) }
    /// Highest sequence number with the number of its cycles above it, as reports carry it.
    public var extendedHighestSequence: UInt32 {
        received == 0 ? 0 : UInt32(truncatingIfNeeded: unwrapper.newest - 65_536)
    }

    /// The report block for `ssrc`; begins a new interval for the fraction lost.
    public mutating func makeReportBlock(ssrc: UInt32, at now: Instant) -> ReportBlock {
        let expected = expectedPackets
        let expectedInterval = expected - expectedBefore
        let lostInterval = expectedInterval - (received - receivedBefore)
        expectedBefore = expected
        receivedBefore = received
        let fraction = expectedInterval <= 0 || lostInterval <= 0 ? 0 : min(255, (lostInterval << 8) / expectedInterval)
        let delay = reportMiddle == 0 ? .zero : max(.zero, now.span(since: reportArrival))
        return ReportBlock(
            ssrc: ssrc, fractionLost: UInt8(fraction),
            cumulativeLost: Int32(min(max(cumulativeLost, -0x80_0000), 0x7f_ffff)),
            highestSequence: extendedHighestSequence, jitter: jitter, lastSR: reportMiddle,
            delaySinceLastSR: UInt32(min(delay.milliseconds * 65_536 / 1_000, Int64(UInt32.max))))
    }
}
