// SPDX-License-Identifier: Apache-2.0
// RTP timestamps counted on beyond their 32 bits. Used by whoever needs a track's time over hours.
import Primitives

/// Unwraps the timestamps of one track. No row of timestamps, however far they jump, makes it trap: counts stop at ±2^53.
public struct MediaTicks: Sendable {
    /// Hz, of the codec.
    public let clockRate: Int
    private var newest: (timestamp: UInt32, ticks: Int64)?

    /// Three thousand years at 90 kHz; doubles are exact up to here.
    static let bound: Int64 = 1 << 53

    /// - Parameter reference: a count near the first timestamp, from an earlier counter of the same track; `nil` = begin anywhere.
    public init(clockRate: Int, reference: Int64? = nil) {
        self.clockRate = max(1, clockRate)
        newest = reference.map { Self.bounded($0) }.map { (UInt32(truncatingIfNeeded: $0), $0) }
    }

    private static func bounded(_ ticks: Int64) -> Int64 { min(bound, max(-bound, ticks)) }

    /// The newest count; `nil` before the first.
    public var last: Int64? { newest?.ticks }

    /// Ticks of a timestamp. Timestamps may come out of order.
    public mutating func count(_ timestamp: UInt32) -> Int64 {
        guard let newest else {
            // Room below for what comes out of order. Fits: a timestamp is below 2^32.
            let ticks = Int64(timestamp) + (1 << 32)
            self.newest = (timestamp, ticks)
            return ticks
        }
        // Fits: the count is within ±2^53, the step within ±2^31.
        let ticks = Self.bounded(newest.ticks + Int64(Int32(bitPattern: timestamp &- newest.timestamp)))
        if ticks > newest.ticks { self.newest = (timestamp, ticks) }
        return ticks
    }

    /// A count as a point on the track's time line.
    public func time(_ ticks: Int64) -> MediaTime { MediaTime(ticks: ticks, clockRate: clockRate) }
}
