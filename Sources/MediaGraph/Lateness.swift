// SPDX-License-Identifier: Apache-2.0
// How long after its time a track's media comes: what pictures have to wait so that players get sound and picture of one time together.
import Primitives

/// The newest arrivals of a track, each held against the source's clock. Of two tracks of a source only the difference says anything.
public struct Lateness {
    private var values: [TimeSpan] = []
    private var next = 0
    private static let capacity = 64
    private static let minimum = 16

    public init() {}

    /// - Parameter lateness: from the media's time on the source's clock to its arrival on ours.
    mutating func note(_ lateness: TimeSpan) {
        guard values.count == Self.capacity else { return values.append(lateness) }
        values[next] = lateness
        next = (next + 1) % Self.capacity
    }

    /// The least, and what all but a twentieth stay below; `nil` before there is enough to say.
    var range: (least: TimeSpan, most: TimeSpan)? {
        guard values.count >= Self.minimum else { return nil }
        let sorted = values.sorted()
        return (sorted[0], sorted[sorted.count - 1 - sorted.count / 20])
    }
}
