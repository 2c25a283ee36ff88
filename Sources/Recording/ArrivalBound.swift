// SPDX-License-Identifier: Apache-2.0
// Holds where a track's own clock puts its media against when it arrived, so that no sequence of timestamps makes a file longer than what
// was recorded. Inside the worker; one per track of a recording.
import Primitives
import RTP

struct ArrivalBound {
    /// Media is made before it arrives. Clocks that are put right, and sender reports that are off, may make it seem a little later.
    static let aheadOfArrival = TimeSpan.milliseconds(500)
    /// A network that stood still may deliver what is this old. Older media belongs to a clock that has jumped.
    static let behindArrival = TimeSpan.seconds(10)
    /// Up to here the time on the way is taken for usual.
    static let usualWay = TimeSpan.seconds(3)

    /// What lay between making and arrival of the media before.
    private var way = TimeSpan.zero
    /// Frames that were put by their arrival.
    private(set) var corrections = 0

    /// The time to be used for media that seems to have been made at `time`: that time where it can be true, otherwise as long before its
    /// arrival as was usual before.
    mutating func place(_ time: Instant, arrival: Instant) -> Instant {
        let age = arrival.span(since: time)
        guard age >= -Self.aheadOfArrival, age <= Self.behindArrival else {
            corrections &+= 1
            return arrival - way
        }
        if age <= Self.usualWay { way = max(.zero, age) }
        return time
    }
}

extension StreamTimeline {
    /// Where a timestamp lies on its track's own time line, and when that was by our clock; the latter is `nil` before anything of the track
    /// has arrived.
    mutating func place(_ timestamp: UInt32, track: Int) -> (media: MediaTime, time: Instant?) {
        let media = media(timestamp, track: track)
        return (media, time(media, track: track))
    }
}
