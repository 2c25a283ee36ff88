// SPDX-License-Identifier: Apache-2.0
// Who speaks in one room: judges the levels of its streams, without a clock or a stream of its own. One for each room, owned by
// RoomSpeakers, which asks a few times a second.

struct LoudestSpeaker: Sendable, Equatable {
    typealias Instant = ContinuousClock.Instant

    /// −dBov (RFC 6464): what is quieter is not speech.
    static let speech: UInt8 = 50
    /// Whoever is marked may get quieter by this much and still speaks.
    static let slack: UInt8 = 5
    /// Somebody else must be louder by this much …
    static let margin: UInt8 = 6
    /// … for this long, so that the mark doesn't flicker between two who speak at once or follow a cough.
    static let patience = Duration.milliseconds(400)
    /// Whoever spoke last keeps the mark for this long while nobody speaks.
    static let memory = Duration.seconds(2)

    struct Level: Sendable, Equatable {
        let stream: String
        /// −dBov; `nil`: the publisher sends no levels, and can't be judged.
        let level: UInt8?
    }

    /// The stream that is the loudest; `nil` while nobody has spoken.
    private(set) var current: String?
    private var lastSpoke: Instant?
    private var challenger: String?
    private var challengedSince: Instant?

    /// Takes what everybody's level is now. true: `current` has changed.
    mutating func update(_ levels: [Level], at now: Instant) -> Bool {
        let before = current
        judge(levels, at: now)
        return current != before
    }

    private mutating func judge(_ levels: [Level], at now: Instant) {
        let own = levels.first { $0.stream == current }
        if own == nil { current = nil }
        let ownLevel = own?.level ?? UInt8.max
        if ownLevel <= Self.speech + Self.slack { lastSpoke = now }

        guard let best = Self.loudest(levels, preferring: current) else {
            challenge(by: nil, at: now)
            if let lastSpoke, now - lastSpoke >= Self.memory { current = nil }
            return
        }
        if best.stream == current { return challenge(by: nil, at: now) }
        if current != nil {
            guard Int(best.level) + Int(Self.margin) <= Int(ownLevel) else { return challenge(by: nil, at: now) }
            challenge(by: best.stream, at: now)
            guard let challengedSince, now - challengedSince >= Self.patience else { return }
        }
        current = best.stream
        lastSpoke = now
        challenge(by: nil, at: now)
    }

    private mutating func challenge(by stream: String?, at now: Instant) {
        guard stream != challenger else { return }
        challenger = stream
        challengedSince = stream == nil ? nil : now
    }

    /// The loudest of those that speak; of several, the one marked already, else the first.
    private static func loudest(_ levels: [Level], preferring current: String?) -> (stream: String, level: UInt8)? {
        var best: (stream: String, level: UInt8)?
        for one in levels {
            guard let level = one.level, level <= speech else { continue }
            if let found = best, found.level < level || (found.level == level && one.stream != current) { continue }
            best = (one.stream, level)
        }
        return best
    }
}
