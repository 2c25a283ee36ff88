// SPDX-License-Identifier: Apache-2.0
// A track's timestamps held against their arrival, once for everybody who takes the track: what leaves here never parts from the time
// that really passes. Owned by UplinkTrack, asked for every packet in order; what a source's tracks share is in SourceClockGroup.
import Primitives

/// Turns the timestamps of a source (RTP, 32 bits, its own start) into those of the track, which go on whatever the source does.
///
/// As long as the source's clock runs as clocks do, the two differ by a constant, and nothing is done but a few comparisons. When they
/// part, the constant is chosen anew ("re-based"): the track goes on from its last time by the time that has passed.
///
/// What is left alone, since it is usual: pauses, whether timestamps count on meanwhile or not (up to `longestLag`), packets that a stalled
/// line brings all at once, the past that a server sends in front of a live stream (`settlingLead`), clocks that drift, frames in
/// decoding order (`longestReordering`), and timestamps that wrap.
///
/// A clock that stands while frames go on coming (`longestStand`) counts by arrival, from frame to frame, until it moves again.
///
/// All arithmetic wraps or saturates: no row of timestamps and arrivals makes it trap.
struct SourceClock {
    /// A step that leaves the arrivals behind by more than this is no step of a clock.
    static let longestJump = TimeSpan.seconds(3)
    /// Steps backwards up to this are the order of decoding.
    static let longestReordering = TimeSpan.seconds(2)
    /// The same where frames are shown in the order in which they are decoded: rounding.
    static let longestWobble = TimeSpan.milliseconds(20)
    /// Media may be this far ahead of where it would be had it always come in time: a line that was slow when the track began.
    static let longestLead = TimeSpan.seconds(10)
    /// The same in the first seconds, when a server may send the group of pictures that it has kept.
    static let settlingLead = TimeSpan.seconds(30)
    static let settlingTime = TimeSpan.seconds(5)
    /// Media may be this far behind for as long as it catches up, or for `patience`.
    static let longestLag = TimeSpan.seconds(10)
    static let patience = TimeSpan.seconds(2)
    /// No line stands for so long and goes on: what is this far behind is not going to catch up.
    static let hopelessLag = TimeSpan.seconds(30)
    /// Frames that come for so long, and so many of them, without a timestamp beyond the newest are those of a clock that stands. The packets
    /// of one frame may come for longer than this.
    static let longestStand = TimeSpan.milliseconds(500)
    static let standFrames: UInt64 = 5
    /// The track's beginning is moved by one part in so many of the time that passes: clocks differ by less than 1 %.
    static let slewDivisor: Int64 = 100
    /// How often lag and drift are looked at.
    static let interval = TimeSpan.milliseconds(100)
    /// A late packet, or a sender report, may lie this far from the newest packet.
    static let longestDistance = TimeSpan.seconds(15)

    /// What is to be told of a packet.
    enum Verdict: Equatable {
        /// The track's time goes on.
        case inStep
        /// The source's clock was set back by this much, less than `longestReordering`, and the track's time has gone on. Reports count as before.
        case smoothed(setBack: TimeSpan)
        /// The source's clock has jumped by this much; it has been re-based. `isShared`: another track jumped likewise just before.
        case rebased(jump: TimeSpan, isShared: Bool)
    }

    /// Hz, of the codec.
    private let rate: Int
    /// Added to the source's timestamps.
    private(set) var shift: UInt32 = 0
    /// The source's newest timestamp, and when the packet that brought it arrived.
    private(set) var newest: UInt32 = 0
    private var newestArrival = Instant.zero
    /// Ticks from the anchor to `newest` on the track's own time line.
    private var media: Int64 = 0
    /// Where `media` was 0, by arrival.
    private var anchor = Instant.zero
    /// When the source, or its connection, began; its first seconds are over.
    private var start = Instant.zero
    private var isSettled = false
    /// What the fast way is content with: `media`, one step, and `now`.
    private var mediaLimit: Int64 = .min
    private let stepLimit: Int64
    /// As far as this a step backwards is left alone.
    private var backLimit: Int64
    private let reorderLimit: Int64
    private var nextLook = Instant.distantPast
    /// The usual step from one packet to the next, ticks.
    private var usualStep: Int64
    /// Since when the media has been too far behind, and how far it was.
    private var lagging: (since: Instant, lead: TimeSpan)?
    /// The newest timestamp when a look first found it standing, and the frames that had come by then.
    private var stand: (newest: UInt32, frames: UInt64)?
    /// The timestamp that a look saw last.
    private var lookedAt: UInt32 = 0
    /// The clock stands; the frames that had come when its time last went on.
    private var framesStanding: UInt64?
    private var standEnd = Instant.distantPast
    private(set) var hasBegun = false

    init(clockRate: Int) {
        rate = max(1, clockRate)
        stepLimit = TimeSpan.seconds(1).ticks(clockRate: rate)
        reorderLimit = Self.longestReordering.ticks(clockRate: rate)
        backLimit = reorderLimit
        usualStep = Int64(rate / 30)
    }

    /// Frames may come in another order than they are shown in.
    var mayGoBack: Bool {
        get { backLimit == reorderLimit }
        set { backLimit = newValue ? reorderLimit : Self.longestWobble.ticks(clockRate: rate) }
    }

    /// The track's newest timestamp.
    var newestOfTrack: UInt32 { newest &+ shift }

    /// The fast way for a packet in order, `true` for nearly all. Otherwise `look` decides.
    @inline(__always)
    mutating func isInStep(_ timestamp: UInt32, at now: Instant) -> Bool {
        let step = Int64(Int32(bitPattern: timestamp &- newest))
        guard now < nextLook, step <= stepLimit, step >= -backLimit else { return false }
        guard step > 0 else { return true }
        // Fits: `media` is never beyond `mediaLimit`, the step below 2^31.
        let ahead = media &+ step
        guard ahead <= mediaLimit else { return false }
        media = ahead
        newest = timestamp
        newestArrival = now
        return true
    }

    /// The first packet of a source, or of a new connection of one: its timestamp says nothing about what was before.
    mutating func begin(_ timestamp: UInt32, at now: Instant) {
        if hasBegun {
            advance(to: timestamp, by: stepByArrival(at: now), at: now)
        } else {
            hasBegun = true
            (newest, newestArrival, anchor, media) = (timestamp, now, now, 0)
        }
        (start, isSettled, lagging) = (now, false, nil)
        schedule(at: now)
    }

    /// The slow way: whatever `isInStep` was not content with.
    ///
    /// - Parameters:
    ///   - shared: a jump of another track of the source that the same cause may have had.
    ///   - sharedSetBack: by how much another track's clock has been set back lately.
    ///   - frames: how many have come whole, of audio packets; wraps.
    @inline(never)
    mutating func look(_ timestamp: UInt32, at now: Instant, frames: UInt64, shared: TimeSpan?, sharedSetBack: TimeSpan? = nil) -> Verdict {
        settle(at: now)
        let step = Int64(Int32(bitPattern: timestamp &- newest))
        if let verdict = standing(step, timestamp, at: now, frames: frames) { return verdict }
        let elapsed = now.span(since: newestArrival)
        let deviation = TimeSpan(ticks: step, clockRate: rate) - elapsed
        // Fits: `media` is at most what passed since the anchor and the bounds here; both saturate.
        let lead = TimeSpan(ticks: media.addingSaturating(max(0, step)), clockRate: rate) - now.span(since: anchor)
        defer { schedule(at: now) }

        if let shared, deviation.magnitude > .seconds(1), (deviation - shared).magnitude <= .seconds(1) {
            // What lies to each other stays so: the other track's jump is taken out to the tick.
            let rest = step.subtractingSaturating(shared.ticks(clockRate: rate))
            advance(to: timestamp, by: rest > 0 ? rest : usualStep, at: now)
            return .rebased(jump: shared, isShared: true)
        }
        // What may be shown in another order goes back with the other track; its frames may have gone back before that one's did.
        let followsOther = sharedSetBack.map { (deviation + $0).magnitude <= max(Self.longestWobble, $0 / 4) } ?? false
        if step < 0, step >= -reorderLimit, step < -backLimit || followsOther {
            advance(to: timestamp, by: stepByArrival(at: now), at: now)
            return .smoothed(setBack: -deviation)
        }
        let isJump = step < -backLimit || deviation > Self.longestJump && lead > Self.longestJump
        guard !isJump, step <= 0 || lead <= longestLeadNow else {
            let before = media
            advance(to: timestamp, by: stepByArrival(at: now), at: now)
            return .rebased(jump: TimeSpan(ticks: step.subtractingSaturating(media.subtractingSaturating(before)), clockRate: rate), isShared: false)
        }
        if step > 0 {
            if step <= stepLimit { usualStep = step }
            media = media.addingSaturating(step)
            newest = timestamp
            newestArrival = now
        }
        return catchUp(lead, at: now)
    }

    /// A timestamp that isn't beyond the newest, when that has been so for long, and the first that is again; `nil` when the clock runs.
    private mutating func standing(_ step: Int64, _ timestamp: UInt32, at now: Instant, frames: UInt64) -> Verdict? {
        // Of frames that come in decoding order, some go up though none is beyond the newest.
        let goesUp = Int32(bitPattern: timestamp &- lookedAt) > 0
        lookedAt = timestamp
        let elapsed = now.span(since: newestArrival)
        guard step <= 0, step >= -backLimit else {
            stand = nil
            guard framesStanding != nil else { return nil }
            // While it stood the track has gone on by arrival, and does so up to here: what the clock makes up for now has been counted.
            (framesStanding, standEnd) = (nil, now)
            advance(to: timestamp, by: max(1, elapsed.ticks(clockRate: rate)), at: now)
            schedule(at: now)
            return .rebased(jump: TimeSpan(ticks: step, clockRate: rate) - elapsed, isShared: true)
        }
        if let last = framesStanding {
            // Every packet is looked at, so that all of a frame have one timestamp.
            if last != frames {
                advance(to: timestamp, by: max(1, elapsed.ticks(clockRate: rate)), at: now)
                framesStanding = frames
            }
            return .inStep
        }
        guard let stand, stand.newest == newest, !goesUp else {
            stand = elapsed > Self.interval ? (newest, frames) : nil
            return nil
        }
        guard elapsed >= Self.longestStand, frames &- stand.frames >= Self.standFrames else { return nil }
        advance(to: timestamp, by: elapsed.ticks(clockRate: rate), at: now)
        framesStanding = frames
        nextLook = .distantPast
        // A clock with steps of a second stands again and again; that is told once.
        return .rebased(jump: -elapsed, isShared: now.span(since: standEnd) < Self.patience)
    }

    /// Looks at how far the media is behind.
    private mutating func catchUp(_ lead: TimeSpan, at now: Instant) -> Verdict {
        guard lead < -Self.longestLag else {
            lagging = nil
            return .inStep
        }
        let before = lagging ?? (now, lead)
        lagging = before
        if lead > before.lead + .seconds(1), lead > -Self.hopelessLag {
            // It catches up.
            lagging = (now, lead)
            return .inStep
        }
        guard lead < -Self.hopelessLag || now.span(since: before.since) >= Self.patience else { return .inStep }
        lagging = nil
        let ticks = (-lead).ticks(clockRate: rate)
        shift = shift &+ UInt32(truncatingIfNeeded: ticks)
        media = media.addingSaturating(ticks)
        return .rebased(jump: lead, isShared: false)
    }

    /// By how many ticks the track goes on when the source's timestamps don't say: by the usual step where the packet came in about that
    /// time, else by what has passed.
    private func stepByArrival(at now: Instant) -> Int64 {
        let elapsed = max(.zero, now.span(since: newestArrival))
        let usual = TimeSpan(ticks: usualStep, clockRate: rate)
        return (elapsed - usual).magnitude < .milliseconds(500) ? usualStep : max(1, elapsed.ticks(clockRate: rate))
    }

    /// Goes on by `ticks`, as far as that doesn't lead too far.
    private mutating func advance(to timestamp: UInt32, by ticks: Int64, at now: Instant) {
        let room = (now.span(since: anchor) + longestLeadNow).ticks(clockRate: rate).subtractingSaturating(media)
        let ticks = max(0, min(ticks, room))
        shift = newestOfTrack &+ UInt32(truncatingIfNeeded: ticks) &- timestamp
        newest = timestamp
        newestArrival = now
        media = media.addingSaturating(ticks)
    }

    private var longestLeadNow: TimeSpan { isSettled ? Self.longestLead : Self.settlingLead }

    /// The first seconds are over. What came first had waited; what came since is the measure.
    private mutating func settle(at now: Instant) {
        guard !isSettled, now.span(since: start) >= Self.settlingTime else { return }
        isSettled = true
        anchor = anchor - max(.zero, TimeSpan(ticks: media, clockRate: rate) - now.span(since: anchor))
    }

    /// Lets the anchor follow the source's clock, and says up to where the fast way may go.
    private mutating func schedule(at now: Instant) {
        if isSettled, nextLook > .distantPast {
            let lead = TimeSpan(ticks: media, clockRate: rate) - now.span(since: anchor)
            // The last look was one interval before `nextLook`.
            let most = max(.zero, now.span(since: nextLook) + Self.interval) / Self.slewDivisor
            anchor = anchor - min(most, max(-most, lead))
        }
        nextLook = now + Self.interval
        mediaLimit = (now.span(since: anchor) + longestLeadNow).ticks(clockRate: rate)
    }

    // MARK: what comes late

    /// Whether a timestamp of the track's own lies near the newest packet: anything else is not one of its packets.
    func isNear(_ timestampOfTrack: UInt32) -> Bool {
        let distance = TimeSpan(ticks: Int64(Int32(bitPattern: timestampOfTrack &- newestOfTrack)), clockRate: rate)
        return distance > -Self.longestDistance && distance < .seconds(1)
    }

    /// Whether the source may have been at `timestamp` at `now`, by its newest packet: else a report says nothing about its packets.
    func isPlausible(_ timestamp: UInt32, at now: Instant) -> Bool {
        guard hasBegun else { return false }
        let passed = now.span(since: newestArrival)
        let said = TimeSpan(ticks: Int64(Int32(bitPattern: timestamp &- newest)), clockRate: rate)
        return (said - passed).magnitude < Self.longestDistance || said.magnitude < Self.longestDistance
    }
}
