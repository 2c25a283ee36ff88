// SPDX-License-Identifier: Apache-2.0
// When the last flight is sent again (RFC 6347 §4.2.4.1), by the caller's clock. Owned by DTLSSession.
import Primitives

/// Exponential back-off with a bound on tries and on the whole handshake.
struct RetransmissionTimer {
    static let firstInterval: Int64 = 50
    static let longestInterval: Int64 = 1_600
    static let maximumTries = 12
    static let handshakeLimit: Int64 = 20_000
    /// A server repeats a flight so often to a peer that sends nothing at all: five times its flight is what a silent one gets.
    static let maximumUnheard = 4

    private var giveUpAt: Instant?
    private var retransmitAt: Instant?
    private var interval = firstInterval
    private var tries = 0
    private var unheard = 0

    var nextDeadline: Instant? {
        guard let giveUpAt else { return nil }
        return retransmitAt.map { min($0, giveUpAt) } ?? giveUpAt
    }

    /// The handshake begins: it has 20 s. Later calls change nothing.
    mutating func startHandshake(at now: Instant, limit: Int64 = handshakeLimit) {
        if giveUpAt == nil { giveUpAt = now.advanced(byMilliseconds: limit) }
    }

    /// The peer has sent something: it is there, and may be repeated to again.
    mutating func heard(at now: Instant) {
        if unheard >= Self.maximumUnheard, retransmitAt == nil, tries > 0 { retransmitAt = now }
        unheard = 0
    }

    /// A new flight has been sent.
    mutating func startFlight(at now: Instant) {
        interval = Self.firstInterval
        tries = 0
        unheard = 0
        retransmitAt = now.advanced(byMilliseconds: interval)
    }

    /// Nothing waits for an answer at the moment.
    mutating func stopFlight() {
        retransmitAt = nil
        tries = 0
    }

    mutating func stop() {
        retransmitAt = nil
        giveUpAt = nil
    }

    enum Expiry { case nothing, retransmit, giveUp }

    /// - Parameter patiently: stop repeating when nothing is heard, until something is.
    mutating func expire(at now: Instant, patiently: Bool = false) -> Expiry {
        if let giveUpAt, now >= giveUpAt { return .giveUp }
        guard let due = retransmitAt, now >= due else { return .nothing }
        if tries == Self.maximumTries { return .giveUp }
        tries += 1
        unheard += 1
        interval = min(interval * 2, Self.longestInterval)
        retransmitAt = patiently && unheard >= Self.maximumUnheard ? nil : now.advanced(byMilliseconds: interval)
        return .retransmit
    }

    /// The retransmission could not be made yet: try again soon, and don't count it.
    mutating func postpone(at now: Instant) {
        tries -= 1
        unheard -= 1
        interval = max(interval / 2, Self.firstInterval)
        retransmitAt = now.advanced(byMilliseconds: 10)
    }
}
