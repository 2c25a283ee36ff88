// SPDX-License-Identifier: Apache-2.0
// Audio times of RTMP made even. Owned by IngestState, behind its MediaClock.
import Primitives

/// Puts each audio frame where the one before it ends.
///
/// Timestamps of RTMP are whole milliseconds, and some encoders (GStreamer's `flvmux`) never let one be lower than that of the video message
/// in front of it, which makes it late by up to a video frame's length. Frames of a codec with a fixed length say exactly where they
/// belong: a timestamp can be later than that, never earlier. So the earliest of a row of timestamps counts.
struct AudioPace: Sendable {
    /// What parts by more than this isn't rounding: audio is missing, or the clock is another.
    static let tolerance = TimeSpan.milliseconds(100)
    /// After so many frames that were all late, time moves to the least late of them: clocks drift, and audio may have been missing.
    static let patience = 32

    private var expected: MediaTime?
    private var least = tolerance
    private var lateFrames = 0

    /// The time of a frame that is stamped `time` and lasts `length`.
    mutating func time(of time: MediaTime, length: TimeSpan) -> MediaTime {
        var found = time
        if let expected, (time - expected).magnitude <= Self.tolerance {
            let late = time - expected
            least = min(least, late)
            lateFrames += 1
            if late > .zero { found = lateFrames < Self.patience ? expected : expected + least }
        }
        if found != expected || lateFrames >= Self.patience { (least, lateFrames) = (Self.tolerance, 0) }
        expected = found + length
        return found
    }

    /// A frame whose length isn't known has come.
    mutating func restart() { self = AudioPace() }
}
