// SPDX-License-Identifier: Apache-2.0
// Remembers when each packet of a transport arrived, for the sender's bandwidth estimation. Owned by the publisher's
// endpoint: told of every packet, asked for feedback by a timer.
import Primitives

/// Receiver side of transport-wide congestion control (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3).
///
/// Keeps arrival times of the newest 2048 transport sequence numbers. `record` does not allocate, apart from that table at
/// the first packet.
@frozen public struct TransportFeedbackRecorder: Sendable {
    @usableFromInline static var capacity: Int { 2048 }
    /// Packets in one feedback; keeps it within a datagram (at most about 1.1 kB).
    static let maximumReceived = 400
    static let maximumStatuses = 1000

    @usableFromInline var unwrapper = SequenceUnwrapper()
    /// Arrival by sequence number modulo capacity; `absent` = not here.
    @usableFromInline var arrivals: [Instant] = []
    /// Next sequence number to report.
    @usableFromInline var base: Int64 = 0
    @usableFromInline static var absent: Instant { Instant(nanoseconds: .min) }
    private var feedbackCount: UInt8 = 0

    public init() {}

    /// Notes the packet with transport sequence number `sequence`.
    @inlinable @inline(__always)
    public mutating func record(sequence: UInt16, at now: Instant) {
        let newest = unwrapper.newest
        let number = unwrapper.unwrap(sequence)
        if number == newest &+ 1, !arrivals.isEmpty {
            // The usual case: the slot of a packet 2048 ago is taken over.
            if number &- base >= Int64(Self.capacity) { base = number &- Int64(Self.capacity) &+ 1 }
            arrivals[Int(truncatingIfNeeded: number) & (Self.capacity &- 1)] = now
        } else {
            recordOutOfOrder(number, after: newest, at: now)
        }
    }

    @usableFromInline @inline(never)
    mutating func recordOutOfOrder(_ number: Int64, after newest: Int64, at now: Instant) {
        if newest == 0 || number - newest >= Int64(Self.capacity) {
            arrivals = [Instant](repeating: Self.absent, count: Self.capacity)
            base = number
        } else if number > newest {
            for skipped in newest + 1..<number { arrivals[slot(skipped)] = Self.absent }
            base = max(base, number - Int64(Self.capacity) + 1)
        } else {
            guard newest - number < Int64(Self.capacity), arrivals[slot(number)] == Self.absent else { return }
            // Reported as missing before: report anew from here on.
            base = min(base, number)
        }
        arrivals[slot(number)] = now
    }

    private func slot(_ number: Int64) -> Int { Int(truncatingIfNeeded: number) & (Self.capacity - 1) }

    /// Feedback on what arrived since the last call; `nil` when nothing did. Call until `nil`: one packet holds about 400.
    ///
    /// - Parameters:
    ///   - senderSSRC: who reports.
    ///   - mediaSSRC: any SSRC of the sender.
    public mutating func makeFeedback(senderSSRC: UInt32, mediaSSRC: UInt32, at now: Instant) -> TransportFeedback? {
        let newest = unwrapper.newest
        guard newest != 0 else { return nil }
        while base <= newest, arrivals[slot(base)] == Self.absent { base += 1 }
        guard base <= newest else { return nil }

        // 64 ms units, 24 bits signed on the wire: everything is told relative to what fits there.
        let firstTick = ticks(arrivals[slot(base)])
        let unit = firstTick >> 8
        let reference = Int64(Int32(truncatingIfNeeded: unit << 8) >> 8)
        let shift = (reference - unit) << 8
        var packets: [TransportFeedback.Packet] = []
        packets.reserveCapacity(Int(min(newest - base + 1, Int64(Self.maximumStatuses))))
        var previous = reference << 8
        var received = 0
        var next = base
        while next <= newest, received < Self.maximumReceived, packets.count < Self.maximumStatuses {
            let arrival = arrivals[slot(next)]
            var tick: Int64?
            if arrival != Self.absent {
                let value = ticks(arrival) + shift
                guard Int16(exactly: value - previous) != nil else { break }
                previous = value
                tick = value
                received += 1
            }
            packets.append(.init(sequenceNumber: UInt16(truncatingIfNeeded: next), arrivalTicks: tick))
            next += 1
        }
        // What is missing at the end may only be late: it belongs to the next feedback.
        while let last = packets.last, last.arrivalTicks == nil {
            packets.removeLast()
            next -= 1
        }
        base = next
        defer { feedbackCount &+= 1 }
        return TransportFeedback(
            senderSSRC: senderSSRC, mediaSSRC: mediaSSRC, feedbackCount: feedbackCount,
            referenceTime: Int32(reference), packets: packets)
    }

    /// Units of 250 µs.
    private func ticks(_ arrival: Instant) -> Int64 { arrival.nanoseconds / 250_000 }
}
