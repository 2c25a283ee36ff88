// SPDX-License-Identifier: Apache-2.0
// How a frame is cut into packets of nearly one size, so that a burst of them can leave in one UDP_SEGMENT send.

/// Splits lengths evenly.
enum PayloadSplit {
    /// Payload sizes that a packetiser can work with.
    static func clamp(_ maximumPayload: Int) -> Int { min(max(maximumPayload, 64), 60_000) }

    /// Lengths that add up to `total`, none above `capacity`, as few as possible, differing by one at most.
    ///
    /// - Parameter firstOverhead: bytes that the first packet carries besides; its length is smaller by as much.
    static func lengths(of total: Int, capacity: Int, firstOverhead: Int = 0) -> [Int] {
        guard total > 0 else { return [] }
        let whole = total + firstOverhead
        let count = (whole + capacity - 1) / capacity
        let (share, rest) = whole.quotientAndRemainder(dividingBy: count)
        var lengths = (0..<count).map { share + ($0 < rest ? 1 : 0) }
        lengths[0] -= firstOverhead
        return lengths
    }
}
