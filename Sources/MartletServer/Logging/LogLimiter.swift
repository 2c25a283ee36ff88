// SPDX-License-Identifier: Apache-2.0
// Bounds what peers can make the log grow by: lines of one message about one peer, all lines about one peer, all lines. What is
// left out is counted and told by one line, "… n more". Shared by all LineLogHandlers of the process.
import Dispatch
import Logging
import Primitives
import Synchronization

final class LogLimiter: Sendable {
    /// Lines per second, and at once, of one message about one peer.
    struct Limits: Sendable {
        var rate = 10.0
        var burst = 30.0
        /// … of all messages about one peer.
        var peerRate = 50.0
        var peerBurst = 200.0
        /// … of everything, for messages that say something else each time.
        var totalRate = 1_000.0
        var totalBurst = 2_000.0
        /// Messages and peers that are remembered.
        var maximumEntries = 4_096
    }

    private struct Key: Hashable {
        /// Empty: all messages of the peer.
        let message: String
        let peer: String
    }
    private struct Bucket {
        var tokens: Double
        var at: Int64
        var leftOut = 0
        /// Writes the line that tells how many were left out.
        var tell: (@Sendable (Int) -> Void)?
    }
    private struct State {
        var buckets: [Key: Bucket] = [:]
        var total: Bucket
        var isSweepDue = false
        var leftOut: UInt64 = 0
    }
    private let state: Mutex<State>
    private let limits: Limits
    private let now: @Sendable () -> Int64
    private let later: @Sendable (@escaping @Sendable () -> Void) -> Void

    /// - Parameters:
    ///   - now: nanoseconds of a clock that never goes back.
    ///   - later: runs a closure a second later.
    init(limits: Limits = Limits(), now: @escaping @Sendable () -> Int64, later: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void) {
        self.limits = limits
        self.now = now
        self.later = later
        state = Mutex(State(total: Bucket(tokens: limits.totalBurst, at: now())))
    }

    /// The one of this process.
    static let shared: LogLimiter = {
        let start = ContinuousClock.now
        return LogLimiter(
            now: { (ContinuousClock.now - start).inNanoseconds },
            later: { work in DispatchQueue.global(qos: .utility).asyncAfter(deadline: .now() + 1, execute: work) })
    }()

    /// Lines left out since the start.
    var leftOut: UInt64 { state.withLock { $0.leftOut } }

    /// Whether a line may be written. If lines like it had been left out before, that is told first.
    /// - Parameter tell: writes the line "… n more"; called now or later, on any thread.
    func takes(_ message: String, peer: String, tell: @escaping @Sendable (Int) -> Void) -> Bool {
        let now = now()
        var told: (count: Int, tell: @Sendable (Int) -> Void)?
        var isFirstLeftOut = false
        let isTaken = state.withLock { state in
            if state.buckets.count >= limits.maximumEntries { forget(&state, at: now) }
            let key = Key(message: message, peer: peer)
            var bucket = state.buckets[key] ?? Bucket(tokens: limits.burst, at: now)
            refill(&bucket, rate: limits.rate, burst: limits.burst, at: now)
            refill(&state.total, rate: limits.totalRate, burst: limits.totalBurst, at: now)
            let all = Key(message: "", peer: peer)
            var peerBucket = state.buckets[all] ?? Bucket(tokens: limits.peerBurst, at: now)
            refill(&peerBucket, rate: limits.peerRate, burst: limits.peerBurst, at: now)
            let isTaken = bucket.tokens >= 1 && state.total.tokens >= 1 && (peer.isEmpty || peerBucket.tokens >= 1)
            if isTaken {
                bucket.tokens -= 1
                state.total.tokens -= 1
                peerBucket.tokens -= 1
                if bucket.leftOut > 0 {
                    told = (bucket.leftOut, tell)
                    bucket.leftOut = 0
                }
                bucket.tell = nil
            } else {
                bucket.leftOut += 1
                state.leftOut &+= 1
                bucket.tell = bucket.tell ?? tell
                isFirstLeftOut = !state.isSweepDue
                state.isSweepDue = true
            }
            state.buckets[key] = bucket
            if !peer.isEmpty { state.buckets[all] = peerBucket }
            return isTaken
        }
        if let told { told.tell(told.count) }
        if isFirstLeftOut { later { [self] in sweep() } }
        return isTaken
    }

    /// Tells what was left out and is still untold, and forgets who is silent.
    private func sweep() {
        let now = now()
        let (untold, goesOn): ([(Int, @Sendable (Int) -> Void)], Bool) = state.withLock { state in
            var untold: [(Int, @Sendable (Int) -> Void)] = []
            for (key, bucket) in state.buckets where bucket.leftOut > 0 {
                // One line a second of each kind at most; the bound on all lines holds for these as well.
                if let tell = bucket.tell, untold.count < 100 {
                    untold.append((bucket.leftOut, tell))
                    state.buckets[key]?.leftOut = 0
                    state.buckets[key]?.tell = nil
                }
            }
            state.isSweepDue = state.buckets.values.contains { $0.leftOut > 0 }
            if !state.isSweepDue { forgetFull(&state, at: now) }
            return (untold, state.isSweepDue)
        }
        for (count, tell) in untold { tell(count) }
        if goesOn { later { [self] in sweep() } }
    }

    private func refill(_ bucket: inout Bucket, rate: Double, burst: Double, at now: Int64) {
        bucket.tokens = min(burst, bucket.tokens + Double(max(0, now - bucket.at)) / 1e9 * rate)
        bucket.at = now
    }

    /// A bucket that has been left alone for some seconds is the same as none.
    private func forgetFull(_ state: inout State, at now: Int64) {
        state.buckets = state.buckets.filter { $0.value.leftOut > 0 || now - $0.value.at < 5_000_000_000 }
    }

    private func forget(_ state: inout State, at now: Int64) {
        forgetFull(&state, at: now)
        // Rather a few lines too many than a table without bound.
        if state.buckets.count >= limits.maximumEntries { state.buckets = state.buckets.filter { $0.value.leftOut > 0 } }
        if state.buckets.count >= limits.maximumEntries { state.buckets.removeAll() }
    }
}
