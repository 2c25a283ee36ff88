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
    private var order = PictureOrder()
    /// Groups that are shown in another order have been seen, not just single steps back.
    private var hasGroups = false
    /// As they came, and as they are placed: the newest time, the latest, and what was the latest before.
    private var newest: Int64?
    private var latest = Int64.min, floor = Int64.min
    /// By how much the latest was beyond that, and the same one before.
    private var step: Int64 = 0, stepBefore: Int64 = 0
    private var waiting: [RecordedSample] = []
    private var last: Int64?
    /// How long it is decoded is known when the next one's time is. A muxer that ends a fragment behind it goes by that.
    private var open: (decoding: Int64, picture: RecordedSample)?

    /// - Parameter mayReorder: the codec has pictures that are shown in another order than they are decoded in.
    init(mayReorder: Bool) { self.mayReorder = mayReorder }

    /// Takes the next pictures; gives those whose decoding time is known, microseconds.
    /// - Parameter isLast: nothing comes behind them.
    mutating func take(_ pictures: [RecordedSample], isLast: Bool) -> [(decoding: Int64, picture: RecordedSample)] {
        for var picture in pictures {
            if mayReorder { picture.time = place(picture.time) }
            waiting.append(picture)
        }
        var found: [(decoding: Int64, picture: RecordedSample)] = [], count = 0
        for index in waiting.indices {
            var least = waiting[index].time, distance = 0
            if mayReorder {
                let end = min(index + Self.depth, waiting.count)
                guard isLast || !isReordered || end == index + Self.depth else { break }
                for ahead in index + 1..<end where waiting[ahead].time < least { (least, distance) = (waiting[ahead].time, ahead - index) }
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

    /// When the next picture is shown. One that goes back belongs where a longer step than usual has left room for it; without that its clock has
    /// been set back, and it follows on.
    private mutating func place(_ time: Int64) -> Int64 {
        if let newest { order.take(step: .microseconds(time.subtractingSaturating(newest))) }
        newest = time
        if order.isReordered { hasGroups = true }
        guard time <= latest else {
            if latest > .min { (step, stepBefore) = (time.subtractingSaturating(latest), step) }
            (floor, latest) = (latest, time)
            return time
        }
        let hasRoom = time > floor && step.multipliedSaturating(by: 2) > stepBefore.multipliedSaturating(by: 3)
        let isFar = TimeSpan.microseconds(latest.subtractingSaturating(time)) >= PictureOrder.longestReordering
        guard !hasGroups, !hasRoom, !isFar else {
            isReordered = true
            return time
        }
        latest = latest.addingSaturating(Self.tick)
        floor = latest
        return latest
    }
}
