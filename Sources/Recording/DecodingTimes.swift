// SPDX-License-Identifier: Apache-2.0
// When the pictures of a file are decoded, where that is another order than they are shown in. Inside the worker; owned by RecordingPart.
import Primitives
import RTP

/// Pictures come in decoding order with the times at which they are shown. Files want a decoding time as well: it grows from picture to
/// picture, and no picture is shown before it.
///
/// A picture is decoded just before the earliest of those that follow it is shown. Where that can't be kept, since times go back further
/// than any decoder keeps pictures, the order stays, and pictures are shown late. So they are where times go back once in a while: that is a
/// clock which has been set back.
struct DecodingTimes {
    /// Pictures that may be decoded before one that is shown earlier (H.264 §A.3.1: 16 are kept at most).
    static let depth = 16
    /// Between two that are decoded for the same one that is shown, microseconds: a tick of Matroska.
    static let tick: Int64 = 1000

    private let mayReorder: Bool
    private var isReordered = false
    private var latest = Int64.min
    /// How many pictures have come, and how many when the newest group that is shown in another order was seen.
    private var taken = 0
    private var order = PictureOrder()
    private var reorderedAt: Int?
    private var newest: Int64?
    /// The latest time among those given.
    private var latestGiven = Int64.min
    private var waiting: [RecordedSample] = []
    private var last: Int64?
    /// How long it is decoded is known when the next one's time is. A muxer that ends a fragment behind it goes by that.
    private var open: (decoding: Int64, picture: RecordedSample)?

    /// - Parameter mayReorder: the codec has pictures that are shown in another order than they are decoded in.
    init(mayReorder: Bool) { self.mayReorder = mayReorder }

    /// Takes the next pictures; gives those whose decoding time is known, microseconds.
    /// - Parameter isLast: nothing comes behind them.
    mutating func take(_ pictures: [RecordedSample], isLast: Bool) -> [(decoding: Int64, picture: RecordedSample)] {
        waiting += pictures
        for picture in pictures where mayReorder {
            if picture.time < latest { isReordered = true }
            latest = max(latest, picture.time)
            taken += 1
            if let newest { order.take(step: .microseconds(picture.time.subtractingSaturating(newest))) }
            newest = picture.time
            if order.isReordered { reorderedAt = taken }
        }
        let first = taken - waiting.count
        var found: [(decoding: Int64, picture: RecordedSample)] = [], count = 0
        for index in waiting.indices {
            var least = waiting[index].time, distance = 0
            if mayReorder {
                let end = min(index + Self.depth, waiting.count)
                guard isLast || !isReordered || end == index + Self.depth else { break }
                // The first groups that are shown in another order are known by those that follow.
                let isByClock = reorderedAt.map { $0 + PictureOrder.longestGroup < first + index } ?? true
                func isSetBack(_ time: Int64, from other: Int64) -> Bool {
                    isByClock && time <= other && .microseconds(other.subtractingSaturating(time)) < PictureOrder.longestReordering
                }
                if isSetBack(least, from: latestGiven) { least = latestGiven + Self.tick }
                waiting[index].time = least
                latestGiven = max(latestGiven, least)
                for ahead in index + 1..<end where waiting[ahead].time < least && !isSetBack(waiting[ahead].time, from: waiting[index].time) {
                    (least, distance) = (waiting[ahead].time, ahead - index)
                }
            }
            // Times lie within the file, distances within the depth.
            let decoding = max(least - Int64(distance) * Self.tick, last.map { $0 + 1 } ?? 0)
            if var done = open {
                done.picture.duration = decoding - done.decoding
                found.append(done)
            }
            open = (decoding, waiting[index])
            last = decoding
            count += 1
        }
        waiting.removeFirst(count)
        if isLast, let open {
            found.append(open)
            self.open = nil
        }
        return found
    }
}
