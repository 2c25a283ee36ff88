// SPDX-License-Identifier: Apache-2.0
// Finds out that a track's arrivals lie later than before for good, and no longer. Owned by StreamTimeline.
import Primitives

/// The least of arrival less media time, by pieces of half a second. A queue on the way raises it for all tracks; a microphone whose machine
/// was too busy to read it raises it for its own, since the samples that were lost are missing in its timestamps. A value.
struct LeastSteps: Sendable {
    static let bucket = TimeSpan.milliseconds(500)
    /// Buckets that are kept.
    static let maximum = 20
    /// Until a track's rise counts, so many buckets lie above all before, and of another track, which may have met the change a little later,
    /// one less. A fall is known one sooner: no packet comes before it is made.
    static let patience = 3

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
        if let own = rise(of: track, over: Self.patience), own > .zero {
            return others.compactMap { rise(of: $0, over: Self.patience - 1) }.max().map { own - max(.zero, $0) }
        }
        if let own = fall(of: track, over: Self.patience - 1), own < .zero {
            return others.compactMap { fall(of: $0, over: Self.patience - 2) }.min().map { own - min(.zero, $0) }
        }
        return .zero
    }

    private func rise(of track: Int, over count: Int) -> TimeSpan? {
        guard let newest = least(of: track, in: whole.suffix(count)), let before = least(of: track, in: whole.dropLast(count)) else { return nil }
        return newest - before
    }

    private func fall(of track: Int, over count: Int) -> TimeSpan? {
        let newest = whole.suffix(count).compactMap { $0[track] }.max()
        guard let newest, let before = least(of: track, in: whole.dropLast(count)) else { return nil }
        return newest - before
    }

    private func least(of track: Int, in buckets: ArraySlice<[TimeSpan?]>) -> TimeSpan? { buckets.compactMap { $0[track] }.min() }

    /// The step has been taken into account: what comes is held against the buckets since.
    mutating func forget() { whole = Array(whole.suffix(Self.patience - 1)) }
}
