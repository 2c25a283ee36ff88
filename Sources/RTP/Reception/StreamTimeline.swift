// When each packet of a stream was made, on one clock for all its tracks: sender reports put sound and picture on the publisher's
// wall clock, arrivals put that on ours. Sans-IO; owned by the recorder's job, tested with emulated loss and drift.

/// The common time line of a stream's tracks, in nanoseconds of the server's monotonic clock.
public struct StreamTimeline: Sendable {
    /// Media further than this from its arrival, and so for this many packets in a row, belongs to a source that counts anew.
    static let maximumDistance: Int64 = 3_000_000_000
    static let maximumStrangers = 10

    private struct Track: Sendable {
        var clock: TrackClock
        /// Of the track by itself, for as long as it has no reports.
        var delay = LeastDelay()
        var strangers = 0
    }
    private var tracks: [Track]
    /// Of the publisher's wall clock; one for all tracks, so that it can't pull them apart.
    private var sourceDelay = LeastDelay()
    private var isSettled = false

    public init(clockRates: [Int]) { tracks = clockRates.map { Track(clock: TrackClock(clockRate: $0)) } }

    /// Places are given out from now on: the time line bends no more than clocks drift.
    public mutating func settle() {
        isSettled = true
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
            tracks[track].clock.reset()
            tracks[track].delay = LeastDelay(isSettled: isSettled)
        }
        tracks[track].strangers = 0
        tracks[track].delay.note(arrival - media, at: arrival)
        if let wall = tracks[track].clock.wall(media) { sourceDelay.note(arrival - wall, at: arrival) }
    }

    /// A sender report has arrived.
    public mutating func report(ntp: UInt64, timestamp: UInt32, track: Int, arrival: Int64) {
        if let offset = sourceDelay.value, abs(TrackClock.nanoseconds(ntp: ntp) + offset - arrival) > Self.maximumDistance {
            // The publisher's wall clock has been set, or there is another publisher.
            for index in tracks.indices { tracks[index].clock.reset() }
            sourceDelay = LeastDelay(isSettled: isSettled)
        }
        tracks[track].clock.report(ntp: ntp, timestamp: timestamp)
        if sourceDelay.value == nil { sourceDelay.note(arrival - TrackClock.nanoseconds(ntp: ntp), at: arrival) }
    }

    /// The source began anew.
    public mutating func restart() {
        for index in tracks.indices {
            tracks[index].clock.reset()
            tracks[index].delay = LeastDelay(isSettled: isSettled)
        }
        sourceDelay = LeastDelay(isSettled: isSettled)
    }

    /// When the media was made, by our clock; `nil` before anything of the track has arrived.
    public func time(_ media: Int64, track: Int) -> Int64? {
        if let wall = tracks[track].clock.wall(media), let offset = sourceDelay.value { return wall + offset }
        return tracks[track].delay.value.map { media + $0 }
    }
}
