// SPDX-License-Identifier: Apache-2.0
// When each packet of a stream was made, on one clock for all its tracks: sender reports put audio and video on the publisher's
// wall clock, arrivals put that on ours. Sans-IO; owned by whoever takes a stream's packets apart, tested with emulated loss and drift.
import Primitives

/// The common time line of a stream's tracks, on the server's monotonic clock.
///
/// Two questions are answered apart. How the tracks lie to each other: by the sender reports, each track's on a line of its own
/// (`TrackClock`), put right by what arrivals say (`weigh`). Where all of them lie on our clock: by the least delay of all packets
/// (`LeastDelay`), one for the stream, so that it can't pull the tracks apart. A track without reports is placed by its arrivals alone.
///
/// Nothing here traps, whatever timestamps and reports say: times are of the types of Primitives, which stop at their bounds.
public struct StreamTimeline: Sendable {
    /// Media further than this from its arrival belongs to a source that counts anew: when it arrives before it was made, after so many packets
    /// in a row; when it is late, after so long, since a line that stood still brings all of it at once, or goes on faster for a while.
    static let maximumDistance = TimeSpan.seconds(3)
    static let maximumOutliers = 10
    static let patience = TimeSpan.seconds(2)
    static let leastProgress = TimeSpan.milliseconds(200)
    /// A line stands for all tracks: one of which a packet has come in time so lately has none that waits.
    static let togetherness = TimeSpan.seconds(1)

    /// From being made to being sent, frames of video take so long at least, and so does a packet of audio once it is full: what a
    /// capture and an encoder on the same machine need.
    static let usualWay = TimeSpan.milliseconds(5)
    /// What is beyond by this much or less raises no doubt: the jitter of a common line.
    static let doubtlessWay = TimeSpan.milliseconds(10)
    /// Reports are put right by arrivals as far as this; what differs by more has another reason, such as a slow encoder. Audio reports
    /// of browsers are late by up to 50 ms.
    static let maximumDoubt = TimeSpan.milliseconds(70)
    /// Arrivals of audio that lie later than before by this much, and those of other tracks don't, are those of a microphone that has lost samples.
    static let leastLoss = TimeSpan.milliseconds(12)
    /// No packet of audio holds less (Opus' shortest frame): a smaller step between two timestamps is rounding.
    static let shortestPacket = TimeSpan.microseconds(2500)
    /// So many steps of one length in a row are another length of packets.
    static let steadySteps = 8

    private struct Track: Sendable {
        var clock: TrackClock
        /// Of the track by itself, for as long as it has no reports.
        var delay = LeastDelay()
        /// When a packet last came no later than `maximumDistance`.
        var lastInTime: Instant?
        /// Packets in a row that arrive before they were made by more than `maximumDistance`, or late beside another track that isn't.
        var outliers = 0
        /// Since when packets have been later than `maximumDistance`, and by how much.
        var late: (since: Instant, by: TimeSpan)?
        var isAudio: Bool
        /// Least of arrival less media time.
        var arrivals = RecentLeast()
        /// What of its samples was lost.
        var lost = TimeSpan.zero
        /// How long a packet took from being made to being sent before that.
        var wayBefore: TimeSpan?
        /// The shortest step from packet to packet: what is in one packet of audio. The last one, and how often it has come in a row.
        var step: TimeSpan?
        var lastStep: (length: TimeSpan, count: Int)?
        var newest: MediaTime?

        /// Whether a packet that is `age` old when it arrives, which is far, belongs to a source that counts anew.
        /// - Parameter mayHaveWaited: nothing of the other tracks has come in time.
        mutating func countsAnew(age: TimeSpan, mayHaveWaited: Bool, at arrival: Instant) -> Bool {
            guard age > .zero, mayHaveWaited else {
                late = nil
                // Never beyond the bound: the caller begins anew.
                outliers += 1
                return outliers > StreamTimeline.maximumOutliers
            }
            outliers = 0
            guard let before = late, age > before.by - StreamTimeline.leastProgress else {
                // It has begun to be late, or catches up.
                late = (arrival, age)
                return false
            }
            return arrival.span(since: before.since) >= StreamTimeline.patience
        }
    }
    private var tracks: [Track]
    /// Of the publisher's wall clock; one for all tracks, so that it can't pull them apart.
    private var sourceDelay = LeastDelay()
    /// Least of arrival less wall clock of the sender reports themselves: what the network takes. Reports wait for nothing.
    private var reportArrivals = RecentLeast()
    private var steps: LeastSteps
    private var isSettled = false
    private let weighsArrivals: Bool
    private var now = Instant.zero

    /// - Parameters:
    ///   - clockRates: Hz, of the tracks' codecs; 90 kHz is video.
    ///   - weighsArrivals: the reports come from a real-time sender over a network, made from the packet it has just sent. What that is
    ///     wrong by can be seen by when packets come: see `weigh`. Not for reports that are known to be exact.
    public init(clockRates: [Int], weighsArrivals: Bool = false) {
        tracks = clockRates.map { Track(clock: TrackClock(clockRate: $0), isAudio: $0 != 90_000) }
        self.weighsArrivals = weighsArrivals && clockRates.count > 1
        steps = LeastSteps(tracks: clockRates.count)
    }

    /// Places are given out from now on: the time line bends no more than clocks drift.
    public mutating func settle() {
        isSettled = true
        weigh()
        // The least so far may be one of before the reports were put right.
        let delays = weighsArrivals ? tracks.compactMap { track in
            track.arrivals.value(at: now).flatMap { least in track.clock.wallOffset.map { least - $0 } }
        } : []
        if let least = delays.min() {
            sourceDelay = LeastDelay()
            sourceDelay.note(least, at: now)
        }
        sourceDelay.settle()
        for index in tracks.indices { tracks[index].delay.settle() }
    }

    /// true when every track can be placed by its reports.
    public func hasReports(of track: Int) -> Bool { tracks.indices.contains(track) && tracks[track].clock.hasReports }

    /// Media time of a timestamp: what `time` takes.
    public mutating func media(_ timestamp: UInt32, track: Int) -> MediaTime { tracks[track].clock.media(timestamp) }

    /// A packet has arrived. What was late says nothing, so any packet may be noted.
    public mutating func note(_ timestamp: UInt32, track: Int, arrival: Instant) {
        let media = tracks[track].clock.media(timestamp)
        if let time = time(media, track: track) {
            let age = arrival.span(since: time)
            if age.magnitude > Self.maximumDistance {
                let mayHaveWaited = !tracks.indices.contains {
                    $0 != track && tracks[$0].lastInTime.map { arrival.span(since: $0) < Self.togetherness } ?? false
                }
                guard tracks[track].countsAnew(age: age, mayHaveWaited: mayHaveWaited, at: arrival) else { return }
                begin(track)
            }
        }
        (tracks[track].outliers, tracks[track].late, tracks[track].lastInTime) = (0, nil, arrival)
        let delay = Self.offset(from: media, to: arrival)
        tracks[track].arrivals.note(delay, at: arrival)
        let step = tracks[track].newest.map { media - $0 } ?? .zero
        if tracks[track].newest.map({ media > $0 }) ?? true { tracks[track].newest = media }
        if step >= Self.shortestPacket { noteStep(step, track: track) }
        now = max(now, arrival)
        tracks[track].delay.note(delay, at: arrival)
        if weighsArrivals, steps.note(delay, track: track, at: arrival) {
            for index in tracks.indices where tracks[index].isAudio { followLoss(of: index) }
        }
        if let wall = tracks[track].clock.wall(media) { sourceDelay.note(Self.offset(from: wall, to: arrival), at: arrival) }
    }

    /// Packets that hold more or less than before come later or sooner by that much.
    private mutating func noteStep(_ step: TimeSpan, track: Int) {
        let before = tracks[track].lastStep
        tracks[track].lastStep = (step, before?.length == step ? (before?.count ?? 0) &+ 1 : 1)
        if tracks[track].isAudio, tracks[track].lastStep?.count == Self.steadySteps, let known = tracks[track].step, known != step {
            tracks[track].step = step
            steps = LeastSteps(tracks: tracks.count)
        }
        tracks[track].step = min(step, tracks[track].step ?? step)
    }

    /// Samples that a busy machine doesn't read from the microphone are missing in the timestamps: audio lies later from there on, and reports
    /// say so one by one, late. Arrivals say it at once.
    private mutating func followLoss(of track: Int) {
        guard let step = steps.step(of: track), step.magnitude > Self.leastLoss, let network = reportArrivals.value(at: now) else { return }
        let clock = tracks[track].clock
        /// From being made to being sent, by the reports as they are understood so far.
        func way(_ least: TimeSpan?) -> TimeSpan? { least.flatMap { least in clock.reportedOffset.map { least - $0 - network } } }
        if step > .zero {
            if tracks[track].lost == .zero { tracks[track].wayBefore = way(steps.beforeRise(of: track)) }
            tracks[track].lost = tracks[track].lost + step
            tracks[track].arrivals.raise(by: step)
            tracks[track].clock.lose(step)
        } else if tracks[track].lost > .zero, let before = tracks[track].wayBefore, let now = way(steps.newest(of: track)) {
            // It was not lost, it had waited. The reports may have said so by now.
            tracks[track].clock.lose(max(-tracks[track].lost, min(.zero, now - before)))
            tracks[track].lost = .zero
        }
        steps.forget()
        weigh()
    }

    /// A sender report has arrived.
    /// - Parameter ntp: the source's wall clock, 32.32.
    public mutating func report(ntp: UInt64, timestamp: UInt32, track: Int, arrival: Instant) {
        let wall = WallTime(ntp: ntp), delay = Self.offset(from: wall, to: arrival)
        if let known = sourceDelay.value, (known - delay).magnitude > Self.maximumDistance, !fits(wall, timestamp, track: track) {
            // The publisher's wall clock has been set, or there is another publisher. A report that has waited says what those before said.
            for index in tracks.indices { tracks[index].clock.reset() }
            reportArrivals = RecentLeast()
            sourceDelay = LeastDelay(isSettled: isSettled)
        }
        tracks[track].clock.report(wall, timestamp: timestamp)
        reportArrivals.note(delay, at: arrival)
        now = max(now, arrival)
        weigh()
        if sourceDelay.value == nil { sourceDelay.note(delay, at: arrival) }
    }

    private mutating func fits(_ wall: WallTime, _ timestamp: UInt32, track: Int) -> Bool {
        let media = media(timestamp, track: track)
        return tracks[track].clock.wall(media).map { (wall - $0).magnitude <= Self.maximumDistance } ?? false
    }

    /// The source began anew.
    public mutating func restart() {
        for index in tracks.indices { begin(index) }
        reportArrivals = RecentLeast()
        sourceDelay = LeastDelay(isSettled: isSettled)
    }

    private mutating func begin(_ track: Int) {
        tracks[track].clock.reset()
        tracks[track].delay = LeastDelay(isSettled: isSettled)
        tracks[track].arrivals = RecentLeast()
        steps = LeastSteps(tracks: tracks.count)
        (tracks[track].lost, tracks[track].wayBefore) = (.zero, nil)
        (tracks[track].step, tracks[track].lastStep, tracks[track].newest, tracks[track].late) = (nil, nil, nil, nil)
    }

    /// When the media was made, by our clock; `nil` before anything of the track has arrived.
    public func time(_ media: MediaTime, track: Int) -> Instant? {
        if let wall = tracks[track].clock.wall(media), let offset = sourceDelay.value {
            return Instant(nanoseconds: wall.nanoseconds) + offset
        }
        return tracks[track].delay.value.map { Instant(nanoseconds: media.nanoseconds) + $0 }
    }

    /// How far our clock is ahead of the source's: the only place where the two are put together.
    private static func offset(from media: MediaTime, to arrival: Instant) -> TimeSpan {
        TimeSpan(nanoseconds: arrival.nanoseconds.subtractingSaturating(media.nanoseconds))
    }
    private static func offset(from wall: WallTime, to arrival: Instant) -> TimeSpan {
        TimeSpan(nanoseconds: arrival.nanoseconds.subtractingSaturating(wall.nanoseconds))
    }

    /// Holds the reports against the arrivals. A browser makes a report of audio from a packet that has waited, so that it lies 10 to 50 ms
    /// late; timestamps of its video may be off by as much for as long as it lives; and of the first seconds there are one or two reports.
    /// But all tracks leave the same machine by the same way, so the least by which arrivals are behind the reports, less what the network
    /// takes, is the time from being made to being sent. No packet is sent before it is made; audio is hardly sent before its packet is
    /// full, which is believed the less the more reports say otherwise; and what seems to be sent unusually late is moved by half of that,
    /// which harms an encoder that is truly slow by little.
    private mutating func weigh() {
        guard weighsArrivals, let network = reportArrivals.value(at: now) else { return }
        let ways = tracks.map { way(of: $0, network: network) }
        for (index, track) in tracks.enumerated() {
            guard let least = track.arrivals.value(at: now) else { continue }
            let packet = track.isAudio ? track.step ?? .zero : .zero
            guard var way = ways[index] else {
                // Until there is a report, as if it were a track like any other.
                tracks[index].clock.assumedOffset = least - network - packet - Self.usualWay
                continue
            }
            // Reports are few and may all have met a queue; what the other tracks' packets took bounds that.
            let others = ways.enumerated().compactMap { $0.offset == index ? nil : $0.element }.min()
            if let others, others < .zero, way < .zero { way = min(.zero, way - others) }
            // Half of what is beyond doubt's bound: as likely an encoder that is slow as a report that is early.
            let late = max(.zero, way - packet - Self.usualWay - Self.doubtlessWay) / 2
            let early = max(.zero, -way)
            // One report counts as much as the arrivals do, so what they say is shared among all that there are.
            let unfilled = max(.zero, packet - max(.zero, way)) / Int64(track.clock.reportCount + 1)
            // Beyond what is in doubt the correction becomes less again, and nothing in the end.
            let correction = late > .zero
                ? max(.zero, min(late, Self.maximumDoubt - late))
                : -max(.zero, min(early + unfilled, Self.maximumDoubt * 2 - early))
            tracks[index].clock.correction = correction
        }
    }

    /// The least time from being made to being sent, by the reports; `nil` without.
    private func way(of track: Track, network: TimeSpan) -> TimeSpan? {
        guard let reported = track.clock.reportedOffset else { return nil }
        return track.arrivals.value(at: now).map { $0 - reported - network }
    }
}
