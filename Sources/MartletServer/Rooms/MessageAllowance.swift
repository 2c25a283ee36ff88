// SPDX-License-Identifier: Apache-2.0
// How many text messages a participant may still send now. A page sends a line of chat once to everybody in the room, so what is
// allowed grows with the room.

struct MessageAllowance: Sendable, Equatable {
    /// Seconds that may be saved up: people write in bursts.
    private static let reserve = 5.0

    private var available: Double
    private var updated: ContinuousClock.Instant

    /// Full for a room of any size; what is too much is cut off at the first use.
    init(at now: ContinuousClock.Instant) {
        available = .infinity
        updated = now
    }

    /// Takes one message. The store refills at `rate` per second and addressee and holds what five seconds bring.
    mutating func take(rate: Int, addressees: Int, at now: ContinuousClock.Instant) -> Bool {
        let perSecond = Double(rate * max(1, addressees))
        let elapsed = updated.duration(to: now) / .seconds(1)
        updated = max(updated, now)
        available = min(perSecond * Self.reserve, available + max(0, elapsed) * perSecond)
        guard available >= 1 else { return false }
        available -= 1
        return true
    }
}
