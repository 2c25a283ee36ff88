// SPDX-License-Identifier: Apache-2.0
// What losses say of the line. Part of CongestionController.
import Primitives

/// Loss-based bound of GCC (draft-ietf-rmcat-gcc-02 §6), for a sender whose rate is given: what gets through at tolerable
/// loss is never called too much.
struct LossBound: Sendable {
    /// Above this the line is taken to be too thin; below, losses are the line's nature and repaired.
    static let tolerable = 0.10
    private static let low = 0.02
    private static let shortest = TimeSpan.milliseconds(500)
    private static let longest = TimeSpan.seconds(1)

    /// bit/s; infinite while losses give no reason for a bound.
    private(set) var bitrate = Double.infinity
    /// 0…1 over the last window.
    private(set) var fraction = 0.0
    private var received = 0
    private var lost = 0
    private var since: Instant?

    mutating func note(received: Bool, wasLost: Bool = false) {
        if received {
            self.received += 1
            // It was only late.
            if wasLost { lost -= 1 }
        } else {
            lost += 1
        }
    }

    /// - Parameters:
    ///   - estimate: what is thought of the line so far.
    ///   - delivered: what arrives, bit/s.
    mutating func update(estimate: Double, delivered: Double?, at now: Instant) {
        let begun = since ?? now
        since = begun
        let elapsed = now.span(since: begun)
        let count = received + max(0, lost)
        guard elapsed >= Self.shortest, count >= 100 || (elapsed >= Self.longest && count >= 20) else {
            if elapsed > Self.longest * 3 { begin(at: now) }
            return
        }
        fraction = Double(max(0, lost)) / Double(count)
        begin(at: now)
        if fraction > Self.tolerable {
            bitrate = max(min(bitrate, estimate) * (1 - fraction / 2), delivered ?? 0)
        } else if bitrate.isFinite {
            if let delivered { bitrate = max(bitrate, delivered / (1 - fraction)) }
            if fraction < Self.low { bitrate *= 1 + 0.08 * elapsed.seconds }
            if bitrate > estimate * 1.5 { bitrate = .infinity }
        }
    }

    private mutating func begin(at now: Instant) {
        since = now
        received = 0
        lost = 0
    }
}
