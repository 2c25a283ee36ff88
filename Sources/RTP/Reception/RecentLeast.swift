// The smallest of what was noted lately. Owned by StreamTimeline.

/// A minimum that forgets: over the newest 10 to 20 seconds, so that clocks may drift meanwhile.
struct RecentLeast: Sendable {
    /// ns
    static let bucket: Int64 = 10_000_000_000

    private var filling: Int64?
    private var before: Int64?
    private var start: Int64 = 0

    /// `nil` when nothing was noted lately.
    func value(at now: Int64) -> Int64? {
        let age = now - start
        guard age < 3 * Self.bucket, let filling else { return nil }
        return age < 2 * Self.bucket ? min(filling, before ?? filling) : filling
    }

    mutating func note(_ value: Int64, at now: Int64) {
        if filling == nil || now - start >= Self.bucket {
            before = now - start < 2 * Self.bucket ? filling : nil
            filling = value
            start = now
        } else if let filling {
            self.filling = min(filling, value)
        }
    }
}
