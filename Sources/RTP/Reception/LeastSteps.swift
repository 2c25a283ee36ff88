// SPDX-License-Identifier: Apache-2.0
// Finds out that a track's arrivals lie later than before for good, and no longer. Owned by StreamTimeline.
import Primitives

/// The least of arrival less media time, by pieces of half a second. A queue on the way raises it for all tracks; a microphone whose machine
/// was too busy to read it raises it for its own, since the samples that were lost are missing in its timestamps. A value.
struct LeastSteps: Sendable {
    static let bucket = TimeSpan.milliseconds(500)
    /// Buckets that are kept.
    static let maximum = 20
    /// So many buckets lie above all before until a track's rise counts, and below until its fall does: no packet comes before it is made. Of
    /// another track, which may have met the change a little sooner or later, one bucket less.
    static let riseBuckets = 3
    static let fallBuckets = 2

    private var filling: [TimeSpan?]
    /// By bucket, then by track; `nil`: nothing came.
    private var whole: [[TimeSpan?]] = []
    private var start: Instant?

    init(tracks: Int) { filling = Array(repeating: nil, count: tracks) }

    /// - Returns: true when another bucket is whole.
    mutating func note(_ value: TimeSpan, track: Int, at now: Instant) -> Bool {
        let begun = start ?? now, age = now.span(since: begun)
        start = begun
        guard age >= Self.bucket else {
            filling[track] = min(value, filling[track] ?? value)
            return false
        }
        whole.append(filling)
        if whole.count > Self.maximum { whole.removeFirst() }
        filling = filling.map { _ in nil }
        filling[track] = value
        start = now
        return true
    }

    /// By how much a track has risen, or fallen (< 0), beyond what the others have: the network. `nil`: that can't be said.
    func step(of track: Int) -> TimeSpan? {
        let others = filling.indices.filter { $0 != track }
        if let own = change(of: track, newest: Self.riseBuckets, before: Self.riseBuckets), own > .zero {
            let common = others.compactMap { change(of: $0, newest: Self.riseBuckets - 1, before: Self.riseBuckets - 1) }.max()
            return common.map { max(.zero, own - max(.zero, $0)) }
        }
        let newest = whole.suffix(Self.fallBuckets).compactMap { $0[track] }.max()
        if let newest, let before = least(of: track, in: whole.dropLast(Self.fallBuckets)), newest < before {
            let common = others.compactMap { change(of: $0, newest: Self.fallBuckets, before: Self.fallBuckets + 1) }.min()
            return common.map { min(.zero, newest - before - min(.zero, $0)) }
        }
        return .zero
    }

    /// The least of the newest buckets, and of those before a rise; `nil` where nothing came.
    func newest(of track: Int) -> TimeSpan? { least(of: track, in: whole.suffix(Self.fallBuckets)) }
    func beforeRise(of track: Int) -> TimeSpan? { least(of: track, in: whole.dropLast(Self.riseBuckets)) }

    /// The least of the newest buckets less the least of those in front of the newest `before`.
    private func change(of track: Int, newest count: Int, before: Int) -> TimeSpan? {
        guard let newest = least(of: track, in: whole.suffix(count)), let earlier = least(of: track, in: whole.dropLast(before)) else { return nil }
        return newest - earlier
    }

    private func least(of track: Int, in buckets: ArraySlice<[TimeSpan?]>) -> TimeSpan? { buckets.compactMap { $0[track] }.min() }

    /// The step has been taken into account: what comes is held against the buckets since.
    mutating func forget() { whole = Array(whole.suffix(Self.riseBuckets - 1)) }
}
