// Follows the smallest difference between arrival and sending, which is the one that no queue has added to. Owned by StreamTimeline.

/// The offset from a remote clock to ours: found at the beginning, and from then on only followed as far as the clocks drift apart.
struct LeastDelay: Sendable {
    /// Minima over so long are compared, ns.
    static let bucket: Int64 = 10_000_000_000
    /// The offset moves by this much of the time that passes, at most.
    static let slew = 0.0005

    private var base: Int64?
    private var correction: Int64 = 0
    private var isSettled: Bool
    /// The smallest difference of the first bucket after the beginning, and of the newest whole one and the one that fills.
    private var reference: Int64?
    private var newest: Int64?
    private var filling = Int64.max
    private var bucketStart: Int64 = 0
    private var last: Int64 = 0

    /// - Parameter isSettled: the first value counts; there is no time to look for a better one.
    init(isSettled: Bool = false) { self.isSettled = isSettled }

    /// ns to be added to the remote clock; `nil` before the first packet.
    var value: Int64? { base.map { $0 + correction } }

    /// Places have been given out by the offset: it jumps no more.
    mutating func settle() { isSettled = true }

    /// - Parameters:
    ///   - difference: arrival (ns, our clock) less sending time (ns, theirs).
    ///   - now: arrival.
    mutating func note(_ difference: Int64, at now: Int64) {
        guard let base else {
            self.base = difference
            (bucketStart, last) = (now, now)
            return
        }
        guard isSettled else {
            self.base = min(base, difference)
            (bucketStart, last) = (now, now)
            return
        }
        filling = min(filling, difference)
        if now - bucketStart >= Self.bucket {
            newest = filling
            if reference == nil { reference = filling }
            filling = .max
            bucketStart = now
        }
        if let reference, let newest {
            let step = Int64(Double(max(0, now - last)) * Self.slew)
            correction += min(step, max(-step, newest - reference - correction))
        }
        last = max(last, now)
    }
}
