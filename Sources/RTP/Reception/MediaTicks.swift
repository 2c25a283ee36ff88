// RTP timestamps counted on beyond their 32 bits. Used by whoever needs a track's time over hours.

/// Unwraps the timestamps of one track.
public struct MediaTicks: Sendable {
    /// Hz
    public let clockRate: Int64
    private var newest: (timestamp: UInt32, ticks: Int64)?

    /// - Parameter reference: a count near the first timestamp, from an earlier counter of the same track; `nil` = begin anywhere.
    public init(clockRate: Int, reference: Int64? = nil) {
        self.clockRate = Int64(max(1, clockRate))
        newest = reference.map { (UInt32(truncatingIfNeeded: $0), $0) }
    }

    /// The newest count; `nil` before the first.
    public var last: Int64? { newest?.ticks }

    /// Ticks of a timestamp. Timestamps may come out of order.
    public mutating func count(_ timestamp: UInt32) -> Int64 {
        guard let newest else {
            // Room below for what comes out of order.
            let ticks = Int64(timestamp) + (1 << 32)
            self.newest = (timestamp, ticks)
            return ticks
        }
        let ticks = newest.ticks + Int64(Int32(bitPattern: timestamp &- newest.timestamp))
        if ticks > newest.ticks { self.newest = (timestamp, ticks) }
        return ticks
    }

    public func nanoseconds(_ ticks: Int64) -> Int64 {
        let (seconds, rest) = ticks.quotientAndRemainder(dividingBy: clockRate)
        return seconds * 1_000_000_000 + rest * 1_000_000_000 / clockRate
    }
}
