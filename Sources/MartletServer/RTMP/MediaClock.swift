// SPDX-License-Identifier: Apache-2.0
// The timestamps of one RTMP connection as media time, held against the arrival of the messages: a jump of the sender's clock begins its time
// line anew where arrival says, so that nothing is ever added up. Owned by IngestState.
import Primitives

struct MediaClock: Sendable {
    /// Timestamps may run ahead of what has passed by this much from one message of a track to the next.
    static let longestJump = TimeSpan.seconds(10)
    /// They may go back by this much: frames in decoding order with the times at which they are shown.
    static let longestStepBack = TimeSpan.milliseconds(500)
    /// Audio is heard in the order in which it comes; by less, two frames may have changed places.
    static let longestAudioStepBack = TimeSpan.milliseconds(50)
    /// Timestamps that don't get beyond the highest one for so long, and so many times apart from each other, are those of a clock that stands
    /// or runs backwards.
    static let longestStand = TimeSpan.milliseconds(500)
    static let standCount = 5
    /// So many steps back in a row are those of a clock that runs backwards: no order of frames has them.
    static let longestFall = 5
    /// Messages of one frame come closer together than this.
    static let shortestFrame = TimeSpan.milliseconds(5)
    /// Media time and arrival may part by this much in small steps: a relay's first burst, a connection that stood still.
    static let widestDrift = TimeSpan.seconds(30)
    /// More new beginnings than these in a minute are no clock.
    static let rebasesPerMinute = 20

    /// Where one track is.
    private struct Line {
        var timestamp: UInt32
        var time: MediaTime
        var arrival: Instant
        /// The clock's jumps until then.
        var jumps: UInt64 = 0
        /// The highest timestamp, its time, and when it came.
        var highest: UInt32
        var highestTime: MediaTime
        var since: Instant
        /// How often timestamps have come since that aren't beyond it, when that last counted, and how many of the last were steps back.
        var repeats = 0
        var repeated: Instant
        var falls = 0
        /// The clock stands or runs backwards: until it gets beyond its highest timestamp, time goes on by arrival.
        var stands: Bool {
            repeats > MediaClock.standCount && repeated.span(since: since) >= MediaClock.longestStand || falls >= MediaClock.longestFall
        }

        init(_ timestamp: UInt32, _ time: MediaTime, _ arrival: Instant) {
            (self.timestamp, self.time, self.arrival, highest, highestTime, since, repeated) = (timestamp, time, arrival, timestamp, time, arrival, arrival)
        }

        /// The line at the next message, whose time is still to be found.
        func next(_ timestamp: UInt32, at arrival: Instant) -> Line {
            guard Int32(bitPattern: timestamp &- highest) <= 0 else { return Line(timestamp, time, arrival) }
            let step = Int32(bitPattern: timestamp &- self.timestamp)
            var line = self
            line.timestamp = timestamp
            line.arrival = arrival
            if arrival.span(since: repeated) >= MediaClock.shortestFrame { (line.repeats, line.repeated) = (min(repeats + 1, 1000), arrival) }
            line.falls = step < 0 ? min(falls + 1, 1000) : step == 0 ? falls : 0
            return line
        }

        /// The message's time is found.
        mutating func put(at time: MediaTime) {
            self.time = time
            if timestamp == highest, arrival == since { highestTime = time }
        }

        mutating func shift(by span: TimeSpan) {
            time = time + span
            highestTime = highestTime + span
        }
    }

    private var video: Line?
    private var audio: Line?
    /// Where the time line would be by arrival alone; follows a clock that is a little off by 1 %.
    private var expected: (time: MediaTime, arrival: Instant)?
    private var recent: [Instant] = []
    /// How often timestamps have begun to mean other times; `Line.jumps` says up to which of them a track has come along.
    private var jumps: UInt64 = 0
    /// How often the time line was begun anew.
    private(set) var rebases: UInt64 = 0
    /// It was begun anew too often in the last minute.
    private(set) var isRunaway = false

    /// The media time of a message's timestamp (milliseconds, modulo 2³²); 0 for the connection's first. Audio and video are on one clock.
    mutating func time(of timestamp: UInt32, isVideo: Bool, at arrival: Instant) -> MediaTime {
        let own = isVideo ? video : audio, other = isVideo ? audio : video
        var line = own?.next(timestamp, at: arrival) ?? Line(timestamp, .zero, arrival)
        var time = MediaTime.zero
        if let own {
            if let other, other.jumps > own.jumps, !other.stands, let step = Self.step(from: other, to: timestamp, at: arrival) {
                // The other track has jumped since: this one follows it, so that both stay in step.
                time = max(own.time, other.time + step)
                line = Line(timestamp, time, arrival)
            } else if own.stands || line.stands {
                if !own.stands { rebases &+= 1 }
                if !line.stands { jumps &+= 1 }
                time = own.stands ? own.time + max(.zero, arrival.span(since: own.arrival)) : own.highestTime + max(.zero, arrival.span(since: own.since))
            } else if let step = Self.step(from: own, to: timestamp, at: arrival) {
                if !isVideo, step < -Self.longestAudioStepBack {
                    // The clock has been set back a little; the pictures follow.
                    time = own.time + max(.zero, arrival.span(since: own.arrival))
                    line = Line(timestamp, time, arrival)
                    jumps &+= 1
                } else {
                    time = own.time + step
                }
            } else if let other, other.arrival >= own.arrival, !other.stands, let step = Self.step(from: other, to: timestamp, at: arrival) {
                // The other has gone there in steps.
                time = max(own.time, other.time + step)
                line = Line(timestamp, time, arrival)
            } else {
                time = own.time + max(.zero, arrival.span(since: own.arrival))
                line = Line(timestamp, time, arrival)
                count(arrival)
                jumps &+= 1
            }
        } else if let other {
            // A track on a clock of its own is placed by its arrival.
            time = other.time + (Self.step(from: other, to: timestamp, at: arrival) ?? max(.zero, arrival.span(since: other.arrival)))
        }
        let shift = self.shift(of: time, isVideo: isVideo, at: arrival)
        time = time + shift
        line.shift(by: shift)
        line.put(at: time)
        line.jumps = jumps
        if isVideo { video = line } else { audio = line }
        return time
    }

    /// The step to a timestamp; `nil` for a jump.
    private static func step(from line: Line, to timestamp: UInt32, at arrival: Instant) -> TimeSpan? {
        let step = TimeSpan.milliseconds(Int64(Int32(bitPattern: timestamp &- line.timestamp)))
        let passed = max(.zero, arrival.span(since: line.arrival))
        return step >= -longestStepBack && step <= passed + longestJump ? step : nil
    }

    /// Bounds what small steps add up to: by how much a message's time, and its track's from here on, is to be later.
    private mutating func shift(of time: MediaTime, isVideo: Bool, at arrival: Instant) -> TimeSpan {
        guard let expected else {
            self.expected = (time, arrival)
            return .zero
        }
        let passed = max(.zero, arrival.span(since: expected.arrival))
        let drift = time - (expected.time + passed)
        guard drift.magnitude <= Self.widestDrift else {
            count(arrival)
            // Behind: the track goes on where arrival is, and the other with it where it is behind as well. Ahead: it can't go back, and arrival
            // counts from here.
            let shift = max(.zero, -drift)
            if let other = isVideo ? audio : video {
                let lag = (expected.time + other.arrival.span(since: expected.arrival)) - other.time
                if lag > Self.widestDrift / 2 {
                    if isVideo { audio?.shift(by: shift) } else { video?.shift(by: shift) }
                }
            }
            self.expected = (time + shift, arrival)
            return shift
        }
        let correction = min(drift.magnitude, passed / 100)
        self.expected = (expected.time + passed + (drift < .zero ? -correction : correction), arrival)
        return .zero
    }

    private mutating func count(_ arrival: Instant) {
        rebases &+= 1
        recent.append(arrival)
        if recent.count > Self.rebasesPerMinute + 1 { recent.removeFirst() }
        if recent.count > Self.rebasesPerMinute, arrival.span(since: recent[0]) <= .seconds(60) { isRunaway = true }
    }
}
