// When a source may be asked for a key frame: at once for those who come one after the other, at a bounded rate for many. A value; owned by
// UplinkTrack, used on its reactor.

/// One per uplink track. Times are ns.
struct KeyFrameLimiter {
    /// Requests that may follow each other at once; after them there is one for each gap.
    static let burst: Int64 = 3

    private(set) var lastRequest: Int64 = .min / 2
    /// When all of the burst may be used again.
    private var isWholeAt: Int64 = .min / 2

    /// Whether the source may be asked now; notes the request when so.
    ///
    /// - Parameters:
    ///   - gap: between two requests of many that have been answered each.
    ///   - repeatAfter: after which one that has not been answered is repeated.
    ///   - lastKeyFrame: when the newest one came.
    mutating func mayRequest(gap: Int64, repeatAfter: Int64, lastKeyFrame: Int64, at now: Int64) -> Bool {
        if lastKeyFrame >= lastRequest {
            guard isWholeAt - now <= (Self.burst - 1) * gap else { return false }
            isWholeAt = max(isWholeAt, now) + gap
        } else {
            guard now - lastRequest >= min(gap, repeatAfter) else { return false }
        }
        lastRequest = now
        return true
    }
}
