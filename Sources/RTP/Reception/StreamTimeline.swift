// When each packet of a stream was made, on one clock for all its tracks: sender reports put sound and picture on the publisher's
// wall clock, arrivals put that on ours. Sans-IO; owned by the recorder's job, tested with emulated loss and drift.

/// The common time line of a stream's tracks, in nanoseconds of the server's monotonic clock.
public struct StreamTimeline: Sendable {
    /// Media further than this from its arrival, and so for this many packets in a row, belongs to a source that counts anew.
    static let maximumDistance: Int64 = 3_000_000_000
    static let maximumStrangers = 10

    /// From being made to being sent, pictures take so long at least, and so does a packet of sound once it is full, ns.
    static let usualWay: Int64 = 5_000_000
    /// What is beyond by this much or less raises no doubt, ns.
    static let doubtlessWay: Int64 = 10_000_000
    /// Reports are put right by arrivals as far as this; what differs by more has another reason, ns.
    static let maximumDoubt: Int64 = 70_000_000

    private struct Track: Sendable {
        var clock: TrackClock
        /// Of the track by itself, for as long as it has no reports.
        var delay = LeastDelay()
        var strangers = 0
        var isSound: Bool
        /// Least of arrival less media time.
        var arrivals = RecentLeast()
        /// The shortest step from packet to packet: what is in one packet of sound, ns.
        var step: Int64?
        var newest: Int64 = .min / 2
    }
    private var tracks: [Track]
    /// Of the publisher's wall clock; one for all tracks, so that it can't pull them apart.
    private var sourceDelay = LeastDelay()
    /// Least of arrival less wall clock of the sender reports themselves: what the network takes. Reports wait for nothing.
    private var reportArrivals = RecentLeast()
    private var isSettled = false
    private let weighsArrivals: Bool
    private var now: Int64 = 0

    /// - Parameter weighsArrivals: the reports come from a real-time sender over a network, made from the packet it has just sent. What
    ///   that is wrong by can be seen by when packets come: see `weigh`. Not for reports that are known to be exact.
    public init(clockRates: [Int], weighsArrivals: Bool = false) {
        tracks = clockRates.map { Track(clock: TrackClock(clockRate: $0), isSound: $0 != 90_000) }
        self.weighsArrivals = weighsArrivals && clockRates.count > 1
    }

    /// Places are given out from now on: the time line bends no more than clocks drift.
    public mutating func settle() {
        isSettled = true
        weigh()
        sourceDelay.settle()
        for index in tracks.indices { tracks[index].delay.settle() }
    }

    /// true when every track can be placed by its reports.
    public func hasReports(of track: Int) -> Bool { tracks.indices.contains(track) && tracks[track].clock.hasReports }

    /// Media time (ns) of a timestamp: what `time` takes.
    public mutating func media(_ timestamp: UInt32, track: Int) -> Int64 { tracks[track].clock.media(timestamp) }

    /// A packet has arrived. What was late says nothing, so any packet may be noted.
    public mutating func note(_ timestamp: UInt32, track: Int, arrival: Int64) {
        let media = tracks[track].clock.media(timestamp)
        if let time = time(media, track: track), abs(arrival - time) > Self.maximumDistance {
            tracks[track].strangers += 1
            guard tracks[track].strangers > Self.maximumStrangers else { return }
            begin(track)
        }
        tracks[track].strangers = 0
        tracks[track].arrivals.note(arrival - media, at: arrival)
        let step = media - tracks[track].newest
        if step > 0 {
            tracks[track].newest = media
            if step >= 2_500_000 { tracks[track].step = min(step, tracks[track].step ?? step) }
        }
        now = max(now, arrival)
        tracks[track].delay.note(arrival - media, at: arrival)
        if let wall = tracks[track].clock.wall(media) { sourceDelay.note(arrival - wall, at: arrival) }
    }

    /// A sender report has arrived.
    public mutating func report(ntp: UInt64, timestamp: UInt32, track: Int, arrival: Int64) {
        if let offset = sourceDelay.value, abs(NTPTime.nanoseconds(ntp) + offset - arrival) > Self.maximumDistance {
            // The publisher's wall clock has been set, or there is another publisher.
            for index in tracks.indices { tracks[index].clock.reset() }
            reportArrivals = RecentLeast()
            sourceDelay = LeastDelay(isSettled: isSettled)
        }
        tracks[track].clock.report(ntp: ntp, timestamp: timestamp)
        reportArrivals.note(arrival - NTPTime.nanoseconds(ntp), at: arrival)
        now = max(now, arrival)
        weigh()
        if sourceDelay.value == nil { sourceDelay.note(arrival - NTPTime.nanoseconds(ntp), at: arrival) }
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
        (tracks[track].step, tracks[track].newest) = (nil, .min / 2)
    }

    /// When the media was made, by our clock; `nil` before anything of the track has arrived.
    public func time(_ media: Int64, track: Int) -> Int64? {
        if let wall = tracks[track].clock.wall(media), let offset = sourceDelay.value { return wall + offset }
        return tracks[track].delay.value.map { media + $0 }
    }

    /// Holds the reports against the arrivals. A browser makes a report of sound from a packet that has waited, so that it lies 10 to 50 ms
    /// late; timestamps of its pictures may be off by as much for as long as it lives; and of the first seconds there are one or two reports.
    /// But all tracks leave the same machine by the same way, so the least by which arrivals are behind the reports, less what the network
    /// takes, is the time from being made to being sent. No packet is sent before it is made; sound is hardly sent before its packet is
    /// full, which is believed the less the more reports say otherwise; and what seems to be sent unusually late is moved by half of that,
    /// which harms an encoder that is truly slow by little.
    private mutating func weigh() {
        guard weighsArrivals, let network = reportArrivals.value(at: now) else { return }
        let ways = tracks.map { way(of: $0, network: network) }
        for (index, track) in tracks.enumerated() {
            guard let least = track.arrivals.value(at: now) else { continue }
            let packet = track.isSound ? track.step ?? 0 : 0
            guard var way = ways[index] else {
                // Until there is a report, as if it were a track like any other.
                tracks[index].clock.assumedOffset = least - network - packet - Self.usualWay
                continue
            }
            // Reports are few and may all have met a queue; what the other tracks' packets took bounds that.
            let others = ways.enumerated().compactMap { $0.offset == index ? nil : $0.element }.min()
            if let others, others < 0, way < 0 { way = min(0, way - others) }
            let late = max(0, way - packet - Self.usualWay - Self.doubtlessWay) / 2
            let early = max(0, -way), unfilled = max(0, packet - max(0, way)) / Int64(track.clock.reportCount + 1)
            // Beyond what is in doubt the correction becomes less again, and nothing in the end.
            let correction = late > 0 ? max(0, min(late, Self.maximumDoubt - late)) : -max(0, min(early + unfilled, 2 * Self.maximumDoubt - early))
            tracks[index].clock.correction = correction
        }
    }

    /// The least time from being made to being sent, by the reports; `nil` without.
    private func way(of track: Track, network: Int64) -> Int64? {
        guard let reported = track.clock.reportedOffset else { return nil }
        return track.arrivals.value(at: now).map { $0 - reported - network }
    }
}
