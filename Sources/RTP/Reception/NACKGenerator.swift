// SPDX-License-Identifier: Apache-2.0
// Finds the gaps in what arrives on one SSRC and says what to ask for again. Owned by the receiving track: told of every
// packet, asked by a timer.
import Primitives

/// The missing packets of one source and when to ask for each (RFC 4585 §6.2.1).
///
/// A gap is not asked for at once: only when three newer packets have come or 10 ms have passed, so that reordering costs
/// nothing. Where packets turn out to have been late rather than lost, it waits as long as they took (100 ms at most) and counts no
/// packets, until that has not happened for ten seconds. Each packet is asked for again after a round trip, which is measured by
/// the retransmissions themselves (20 ms at least), ten times and for two seconds at most.
/// Bounded to 512 missing packets. A packet in order costs a comparison; memory is taken at the first gap, once.
@frozen public struct NACKGenerator: Sendable {
    /// Most packets missed at a time; a longer gap is given up and calls for a key frame.
    public static let maximumMissing = 512
    /// Requests for one packet before it is given up.
    public static let maximumTries: UInt8 = 10
    static let maximumAge = TimeSpan.seconds(2)
    @usableFromInline static var reorderingTime: TimeSpan { .milliseconds(10) }
    static let longestReordering = TimeSpan.milliseconds(100)
    static let reorderingMemory = TimeSpan.seconds(10)
    static let reorderingPackets: Int64 = 3
    static let minimumInterval = TimeSpan.milliseconds(20)

    @usableFromInline struct Missing: Sendable {
        var sequence: Int64
        var since: Instant
        var asked: Instant
        var tries: UInt8
    }

    @usableFromInline var unwrapper = SequenceUnwrapper()
    /// Ascending by sequence number.
    private var missing: [Missing] = []
    @usableFromInline var missingCount = 0
    /// Something could not be repaired: decoding goes on at a key frame only. Set here, cleared by the owner.
    public var needsKeyFrame = false
    /// Packets asked for, repetitions included.
    public private(set) var requested: UInt64 = 0
    /// Missing packets that came after all, by retransmission or late.
    public private(set) var recovered: UInt64 = 0
    /// Missing packets that were given up.
    public private(set) var abandoned: UInt64 = 0
    /// Packets that were asked for and then came by themselves, late: requests that were not needed.
    public private(set) var unneeded: UInt64 = 0
    /// From a request to the packet's arrival, smoothed; zero = not known.
    public private(set) var roundTrip = TimeSpan.zero
    /// Retransmissions can be told from late packets (RTX): only then the two teach something.
    public var tellsRetransmissions = true
    private var patience = reorderingTime
    private var lastReordering = Instant.zero

    public init() {}

    /// The source begins anew; the counters go on.
    public mutating func restart() {
        unwrapper = SequenceUnwrapper()
        missing.removeAll(keepingCapacity: true)
        missingCount = 0
        needsKeyFrame = false
        roundTrip = .zero
        patience = Self.reorderingTime
    }

    /// Notes a packet that arrived.
    @inlinable @inline(__always)
    public mutating func receive(_ sequence: UInt16, isRetransmission: Bool, at now: Instant) {
        let newest = unwrapper.newest
        let number = unwrapper.unwrap(sequence)
        if number == newest &+ 1 || newest == 0 { return }
        if number > newest {
            addGap(from: newest &+ 1, to: number, at: now)
        } else if missingCount != 0 {
            remove(number, isRetransmission: isRetransmission, at: now)
        }
    }

    /// Packets missing at the moment.
    @inlinable public var count: Int { missingCount }

    /// Forgets what is missing before `sequence`: a key frame begins there, so nothing older is needed to go on.
    public mutating func forget(before sequence: UInt16) {
        let newest = unwrapper.newest
        guard missingCount != 0 else { return }
        let number = newest + Int64(Int16(bitPattern: sequence &- UInt16(truncatingIfNeeded: newest)))
        missing.removeAll { $0.sequence < number }
        missingCount = missing.count
    }

    /// What to ask for now, ascending; empty when nothing is due.
    ///
    /// - Parameter rtt: round trip to the sender as long as none has been measured; a repetition waits that long, 20 ms at least.
    public mutating func pending(at now: Instant, rtt: TimeSpan) -> [UInt16] {
        guard missingCount != 0 else { return [] }
        // A quarter more than the round trip: the answer may wait for its turn.
        let interval = max(Self.minimumInterval, roundTrip > .zero ? roundTrip + roundTrip / 4 : rtt)
        if patience > Self.reorderingTime, now.span(since: lastReordering) > Self.reorderingMemory { patience = Self.reorderingTime }
        let countsPackets = patience == Self.reorderingTime
        let newest = unwrapper.newest
        var due: [UInt16] = []
        var kept = 0
        for i in missing.indices {
            var entry = missing[i]
            let waited = now.span(since: entry.asked)
            if now.span(since: entry.since) > Self.maximumAge || (entry.tries >= Self.maximumTries && waited >= interval) {
                abandoned &+= 1
                needsKeyFrame = true
                continue
            }
            let isDue =
                entry.tries == 0
                ? countsPackets && newest - entry.sequence >= Self.reorderingPackets || now.span(since: entry.since) >= patience
                : waited >= interval
            if isDue, entry.tries < Self.maximumTries {
                entry.tries += 1
                entry.asked = now
                requested &+= 1
                due.append(UInt16(truncatingIfNeeded: entry.sequence))
            }
            missing[kept] = entry
            kept += 1
        }
        missing.removeLast(missing.count - kept)
        missingCount = kept
        return due
    }

    @usableFromInline @inline(never)
    mutating func addGap(from first: Int64, to end: Int64, at now: Instant) {
        let gap = Int(end - first)
        if gap > Self.maximumMissing {
            // Too much to repair, and nothing before it helps a decoder either.
            abandoned &+= UInt64(gap + missing.count)
            missing.removeAll(keepingCapacity: true)
            missingCount = 0
            needsKeyFrame = true
            return
        }
        if missing.capacity < Self.maximumMissing { missing.reserveCapacity(Self.maximumMissing) }
        let excess = missing.count + gap - Self.maximumMissing
        if excess > 0 {
            missing.removeFirst(excess)
            abandoned &+= UInt64(excess)
            needsKeyFrame = true
        }
        for sequence in first..<end { missing.append(Missing(sequence: sequence, since: now, asked: .zero, tries: 0)) }
        missingCount = missing.count
    }

    @usableFromInline @inline(never)
    mutating func remove(_ sequence: Int64, isRetransmission: Bool, at now: Instant) {
        var low = 0
        var high = missing.count
        while low < high {
            let middle = (low + high) / 2
            if missing[middle].sequence < sequence { low = middle + 1 } else { high = middle }
        }
        guard low < missing.count, missing[low].sequence == sequence else { return }
        let entry = missing.remove(at: low)
        if tellsRetransmissions { learn(from: entry, isRetransmission: isRetransmission, at: now) }
        missingCount = missing.count
        recovered &+= 1
    }

    private mutating func learn(from entry: Missing, isRetransmission: Bool, at now: Instant) {
        if isRetransmission {
            // Of a packet asked for twice it is not known which request was answered (Karn).
            guard entry.tries == 1 else { return }
            let sample = now.span(since: entry.asked)
            roundTrip = roundTrip == .zero ? sample : (roundTrip * 7 + sample) / 8
        } else {
            if entry.tries > 0 { unneeded &+= 1 }
            lastReordering = now
            let late = now.span(since: entry.since)
            patience = max(patience, min(late + late / 4, Self.longestReordering))
        }
    }
}
