// SPDX-License-Identifier: Apache-2.0
// What the clocks of a source's tracks have in common: the wall clock of its sender reports, jumps that several tracks make together, and
// how often that happens. Owned by MediaStream, shared by its tracks, used on the stream's reactor; nothing here is touched per packet.
import Primitives

/// The common part of a source's `SourceClock`s.
public final class SourceClockGroup {
    /// Re-bases within a minute beyond which a source's timestamps are of no use to anybody.
    public static let maximumPerMinute = 20
    static let minute = TimeSpan.seconds(60)
    /// Tracks that jump for the same reason do so within this time.
    static let togetherness = TimeSpan.seconds(5)
    /// The wall clock of sender reports is re-based when it parts from arrival by more than this.
    static let longestWallJump = TimeSpan.seconds(5)
    /// Two reports of a track on one clock differ by no more than this.
    static let longestNoise = TimeSpan.milliseconds(300)
    static let slewDivisor: Int64 = 100

    /// Times that a track of the source has been re-based, and that its wall clock has.
    public private(set) var rebases: UInt64 = 0
    public private(set) var wallRebases: UInt64 = 0
    /// When the newest of them were; the oldest is written over.
    private var recent = [Instant](repeating: .distantPast, count: maximumPerMinute + 1)
    private var nextRecent = 0
    private var told: UInt64 = 0
    private var nextTelling = Instant.distantPast
    private var jump: (amount: TimeSpan, at: Instant, track: ObjectIdentifier)?
    /// Added to the source's wall clock; where that was, and when by arrival.
    private var wallShift = TimeSpan.zero
    private var wallAnchor: (wall: WallTime, arrival: Instant)?
    /// By how much a track's clock was last set back, and which one's.
    private var setBack: (amount: TimeSpan, at: Instant, track: ObjectIdentifier)?

    public init() {}

    /// The jump that another track has made lately.
    func sharedJump(for track: ObjectIdentifier, at now: Instant) -> TimeSpan? {
        guard let jump, jump.track != track, now.span(since: jump.at) < Self.togetherness else { return nil }
        return jump.amount
    }

    /// By how much another track's clock has been set back lately.
    func sharedSetBack(for track: ObjectIdentifier, at now: Instant) -> TimeSpan? {
        guard let setBack, setBack.track != track, now.span(since: setBack.at) < Self.togetherness else { return nil }
        return setBack.amount
    }

    func note(setBack amount: TimeSpan, track: ObjectIdentifier, at now: Instant) { setBack = (amount, now, track) }

    /// A track has been re-based.
    /// - Parameter isShared: it was the other track's jump, which has been counted.
    func note(jump amount: TimeSpan, isShared: Bool, track: ObjectIdentifier, at now: Instant) {
        guard !isShared else { return jump = nil }
        jump = (amount, now, track)
        noteRestart(at: now)
    }

    /// A track's numbers began anew though its connection didn't.
    func noteRestart(at now: Instant) {
        rebases &+= 1
        recent[nextRecent] = now
        nextRecent = (nextRecent + 1) % recent.count
    }

    /// How often tracks have been re-based, when that is worth telling: it has happened since the last time, which was ten seconds ago.
    public func toTell(at now: Instant) -> UInt64? {
        guard rebases != told, now >= nextTelling else { return nil }
        told = rebases
        nextTelling = now + .seconds(10)
        return rebases
    }

    /// More re-bases within the last minute than any honest source needs.
    public func isBeyondReason(at now: Instant) -> Bool {
        // The one that is written over next is the oldest.
        now.span(since: recent[nextRecent]) < Self.minute
    }

    /// The source's wall clock as it is handed on: as it says, unless it parts from arrival; then it goes on by arrival. What has waited parts
    /// from arrival as well, and is known by the track's earlier reports.
    /// - Parameters:
    ///   - line: where those put the moment of this one; `nil` when there are none that still count.
    ///   - wasSetBack: the source's timestamps have been, and the track's have not: so may its wall clock.
    func hold(_ wall: WallTime, at arrival: Instant, line: WallTime? = nil, wasSetBack: Bool = false) -> WallTime {
        let isOnLine = line.map { ((wall + wallShift) - $0).magnitude <= Self.longestNoise } ?? false
        if wasSetBack, !isOnLine, let line { wallShift = line - wall }
        guard let anchor = wallAnchor else {
            wallAnchor = (wall, arrival)
            return wall
        }
        let passed = arrival.span(since: anchor.arrival)
        let expected = anchor.wall + passed
        var held = wall + wallShift
        if (held - expected).magnitude > (isOnLine ? SourceClock.hopelessLag : Self.longestWallJump) {
            wallShift = expected - wall
            held = expected
            wallRebases &+= 1
        }
        // Clocks drift, and the first report may have waited.
        let most = max(.zero, passed) / Self.slewDivisor
        wallAnchor = (expected + min(most, max(-most, held - expected)), arrival)
        return held
    }
}
