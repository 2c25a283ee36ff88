// SPDX-License-Identifier: Apache-2.0
// One direction of an emulated network path, sans-IO and seeded: the same seed and calls give the same deliveries.
// Owned by a test, which moves bytes between two state machines with it.
public import Primitives

/// A lossy, slow, jittery pipe for datagrams.
///
/// Each datagram is judged when it is sent: lost or not, queued behind the rate limit, delayed, perhaps held back or
/// doubled. `deliver(at:)` hands out what has arrived by then, in order of arrival.
public struct Link: Sendable {
    /// What became of the datagrams.
    public struct Counters: Equatable, Sendable {
        public var sent = 0
        public var lost = 0
        /// Dropped because the rate limit's queue was full.
        public var overflowed = 0
        public var duplicated = 0
        public var reordered = 0
        public var delivered = 0

        public init() {}

        public static func += (a: inout Counters, b: Counters) {
            a.sent += b.sent
            a.lost += b.lost
            a.overflowed += b.overflowed
            a.duplicated += b.duplicated
            a.reordered += b.reordered
            a.delivered += b.delivered
        }

        public var json: String {
            #"{"sent": \#(sent), "lost": \#(lost), "overflowed": \#(overflowed), "duplicated": \#(duplicated), "#
                + #""reordered": \#(reordered), "delivered": \#(delivered)}"#
        }
    }

    private struct Flight: Sendable {
        let arrival: Instant
        let bytes: [UInt8]
    }

    /// May be changed at any time; datagrams already under way are not affected.
    public var profile: LinkProfile
    public private(set) var counters = Counters()
    private var random: RandomSource
    /// Sorted by arrival; among equals, first sent first.
    private var flights: [Flight] = []
    private var isBad = false
    /// When the rate-limited transmitter has sent all it holds.
    private var transmitterFreeAt = Instant.zero
    /// Jitter doesn't reorder: nothing arrives before what was sent earlier, unless held back on purpose.
    private var lastArrival = Instant.zero

    public init(profile: LinkProfile = .perfect, seed: UInt64) {
        self.profile = profile
        random = .seeded(seed)
    }

    /// Puts a datagram on the way.
    public mutating func send(_ bytes: [UInt8], at now: Instant) {
        counters.sent += 1
        // The draws are made in every case, so that changing one property doesn't shift the fate of all the others.
        let isLost = isLost()
        let jitter = unit()
        let isReordered = unit() < profile.reorder
        let isDuplicated = unit() < profile.duplicate
        guard !isLost else {
            counters.lost += 1
            return
        }
        guard let departure = transmit(bytes.count, at: now) else {
            counters.overflowed += 1
            return
        }
        var arrival = (departure + profile.delay).advanced(
            byNanoseconds: Int64(Double(profile.jitter.inNanoseconds) * jitter))
        arrival = max(arrival, lastArrival)
        if isReordered {
            counters.reordered += 1
            arrival = arrival + profile.reorderDelay
        } else {
            lastArrival = arrival
        }
        enqueue(bytes, arrival)
        if isDuplicated {
            counters.duplicated += 1
            enqueue(bytes, arrival)
        }
    }

    /// Everything that has arrived by `now`.
    public mutating func deliver(at now: Instant) -> [[UInt8]] {
        let count = flights.firstIndex { $0.arrival > now } ?? flights.count
        guard count > 0 else { return [] }
        let arrived = flights[..<count].map(\.bytes)
        flights.removeFirst(count)
        counters.delivered += count
        return arrived
    }

    /// When the next datagram arrives; `nil` when none is under way.
    public var nextDeadline: Instant? { flights.first?.arrival }

    /// Datagrams under way.
    public var inFlight: Int { flights.count }

    private mutating func isLost() -> Bool {
        let (independent, transition, burst) = (unit(), unit(), unit())
        guard let model = profile.bursts else {
            isBad = false
            return independent < profile.loss
        }
        isBad = isBad ? transition >= model.leaveBad : transition < model.enterBad
        return independent < profile.loss || burst < (isBad ? model.lossWhenBad : model.lossWhenGood)
    }

    /// When the last bit leaves a transmitter of the profile's rate; `nil` when its queue is full.
    private mutating func transmit(_ size: Int, at now: Instant) -> Instant? {
        guard let rate = profile.rate, rate > 0 else { return now }
        let start = max(now, transmitterFreeAt)
        let queued = Double(start.nanoseconds(since: now)) * Double(rate) / 8e9
        guard queued + Double(size) <= Double(profile.queueLimit) else { return nil }
        transmitterFreeAt = start.advanced(byNanoseconds: Int64(Double(size) * 8e9 / Double(rate)))
        return transmitterFreeAt
    }

    private mutating func enqueue(_ bytes: [UInt8], _ arrival: Instant) {
        let index = flights.lastIndex { $0.arrival <= arrival }.map { $0 + 1 } ?? 0
        flights.insert(Flight(arrival: arrival, bytes: bytes), at: index)
    }

    /// Uniform in 0 ..< 1.
    private mutating func unit() -> Double { Double(random.next() >> 11) * 0x1p-53 }
}
