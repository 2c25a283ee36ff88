// SPDX-License-Identifier: Apache-2.0
// Whether packets come as they are made. Sources often begin with the past, and lines that stood still bring all of it at once: such packets
// say nothing about the time. Owned by LocalSourceCore.
import Primitives

/// Compares how far one track's timestamps and arrivals go on, window by window. A value.
struct ArrivalPace {
    static let window = TimeSpan.milliseconds(100)
    /// Jitter: so much, and half of the window's length up to as much again.
    static let tolerance = TimeSpan.milliseconds(75)
    /// A clock that doesn't run as time does for so long is not going to.
    static let patience = TimeSpan.seconds(5)

    private var start: (timestamp: UInt32, arrival: Instant)?
    /// For how long it hasn't, pauses apart.
    private var outOfStep = TimeSpan.zero
    /// In the newest whole window media went on about as fast as time, or it never does.
    private(set) var isLive = false

    /// The track's next packet. Timestamps may jump, wrap or go back.
    /// - Parameter clockRate: Hz
    mutating func note(_ timestamp: UInt32, clockRate: Int, at now: Instant) {
        guard let begun = start else { return start = (timestamp, now) }
        let passed = now.span(since: begun.arrival)
        guard passed >= Self.window else { return }
        let media = TimeSpan(ticks: Int64(Int32(bitPattern: timestamp &- begun.timestamp)), clockRate: clockRate)
        let isInStep = (media - passed).magnitude <= min(passed / 2, Self.tolerance) + Self.tolerance
        outOfStep = isInStep ? .zero : outOfStep + min(passed, Self.window * 2)
        isLive = isInStep || outOfStep >= Self.patience
        start = (timestamp, now)
    }
}
