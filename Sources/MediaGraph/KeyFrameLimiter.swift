// SPDX-License-Identifier: Apache-2.0
// When a source may be asked for a key frame: at once for those who come one after the other, at a bounded rate for many. A value; owned by
// UplinkTrack, used on its reactor.
import Primitives

/// One per uplink track.
struct KeyFrameLimiter {
    /// Requests that may follow each other at once; after them there is one for each gap.
    static let burst: Int64 = 3

    private(set) var lastRequest = Instant.distantPast
    /// When all of the burst may be used again.
    private var isWholeAt = Instant.distantPast

    /// Whether the source may be asked now; notes the request when so.
    ///
    /// - Parameters:
    ///   - gap: between two requests of many that have been answered each.
    ///   - repeatAfter: after which one that has not been answered is repeated.
    ///   - lastKeyFrame: when the newest one came.
    mutating func mayRequest(gap: TimeSpan, repeatAfter: TimeSpan, lastKeyFrame: Instant, at now: Instant) -> Bool {
        if lastKeyFrame >= lastRequest {
            guard isWholeAt.span(since: now) <= gap * (Self.burst - 1) else { return false }
            isWholeAt = max(isWholeAt, now) + gap
        } else {
            guard now.span(since: lastRequest) >= min(gap, repeatAfter) else { return false }
        }
        lastRequest = now
        return true
    }
}
