// SPDX-License-Identifier: Apache-2.0
// Says no to sources that ask too often: a bucket of tokens each, in a table of bounded size. For requests that need no login.
import Synchronization

/// Safe from any thread. Time comes from the clock given, so that tests need not wait. Sources are told apart as `AddressKey` says: all of
/// an IPv6 /64 are one.
public final class SourceRateLimiter: Sendable {
    private struct Bucket {
        var tokens: Double
        var at: Instant
    }
    private struct State {
        var buckets: [AddressKey: Bucket] = [:]
        var refused: UInt64 = 0
    }
    private let state = Mutex(State())
    private let rate: Double
    private let burst: Double
    private let maximumSources: Int
    private let now: @Sendable () -> Instant

    /// - Parameters:
    ///   - rate: tokens per second that each source gets.
    ///   - burst: tokens that it may save up.
    ///   - now: the time of a clock that never goes back.
    public init(rate: Double, burst: Double, maximumSources: Int = 65_536, now: @escaping @Sendable () -> Instant) {
        self.rate = rate
        self.burst = max(1, burst)
        self.maximumSources = maximumSources
        self.now = now
    }

    /// Takes a token of `source`; false when it has none left.
    public func take(_ source: AddressKey) -> Bool {
        let now = now()
        return state.withLock { state in
            var bucket = state.buckets[source] ?? Bucket(tokens: burst, at: now)
            bucket.tokens = min(burst, bucket.tokens + max(.zero, now.span(since: bucket.at)).seconds * rate)
            bucket.at = now
            if state.buckets[source] == nil, state.buckets.count >= maximumSources { forgetIdle(&state, at: now) }
            guard bucket.tokens >= 1 else {
                state.refused &+= 1
                state.buckets[source] = bucket
                return false
            }
            bucket.tokens -= 1
            state.buckets[source] = bucket
            return true
        }
    }

    /// Takes a token of the host in `address:port`, the port left out: `192.0.2.1:5000`, `[2001:db8::1]:5000`.
    public func take(hostOf address: String) -> Bool { take(AddressKey(address)) }

    /// How often somebody was told no.
    public var refused: UInt64 { state.withLock { $0.refused } }
    public var sources: Int { state.withLock { $0.buckets.count } }

    /// A full bucket is the same as none. If nobody's is, all are forgotten: better a few too many let in than none.
    private func forgetIdle(_ state: inout State, at now: Instant) {
        state.buckets = state.buckets.filter { $0.value.tokens + now.span(since: $0.value.at).seconds * rate < burst }
        if state.buckets.count >= maximumSources { state.buckets.removeAll() }
    }
}
