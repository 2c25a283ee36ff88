// SPDX-License-Identifier: Apache-2.0
// What a publication's media comes from: the pattern or a file. Sans-IO apart from reading the file; driven by PublishEngine.
import Primitives
import RTP
import SDP

/// One encoded frame that is due.
struct ProducedUnit {
    /// Index into the producer's formats.
    let track: Int
    let bytes: [UInt8]
    /// RTP ticks of the track's clock since the start of the stream.
    let ticks: Int64
    let isKeyFrame: Bool
}

/// A source of encoded frames on a time line that starts at zero. One thread at a time.
protocol MediaProducer: AnyObject {
    /// The tracks, video first.
    var formats: [TrackFormat] { get }
    /// When something is due next (since the start); `nil` at the end.
    var nextDue: TimeSpan? { get }
    /// Everything due up to `elapsed` (since the start), in sending order. Work missed by far is skipped, not made up for.
    func produce(upTo elapsed: TimeSpan, unixMilliseconds: Int64) throws -> [ProducedUnit]
    /// The next video frame is to be a key frame, where that can be had.
    func requestKeyFrame()
}
