// SPDX-License-Identifier: Apache-2.0
// The smallest of what was noted lately. Owned by StreamTimeline.
import Primitives

/// A minimum that forgets: over the newest 10 to 20 seconds, so that clocks may drift meanwhile.
struct RecentLeast: Sendable {
    static let bucket = TimeSpan.seconds(10)

    private var filling: TimeSpan?
    private var before: TimeSpan?
    private var start = Instant.zero

    /// `nil` when nothing was noted lately.
    func value(at now: Instant) -> TimeSpan? {
        let age = now.span(since: start)
        guard age < Self.bucket * 3, let filling else { return nil }
        return age < Self.bucket * 2 ? min(filling, before ?? filling) : filling
    }

    /// What was noted so far counts as this much more.
    mutating func raise(by span: TimeSpan) { (filling, before) = (filling.map { $0 + span }, before.map { $0 + span }) }

    mutating func note(_ value: TimeSpan, at now: Instant) {
        let age = now.span(since: start)
        if filling == nil || age >= Self.bucket {
            before = age < Self.bucket * 2 ? filling : nil
            filling = value
            start = now
        } else if let filling {
            self.filling = min(filling, value)
        }
    }
}
