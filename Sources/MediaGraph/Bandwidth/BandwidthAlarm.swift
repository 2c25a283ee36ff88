// SPDX-License-Identifier: Apache-2.0
// Whether a player is told that its line is too thin. Part of PlayerEndpoint; keeps a line at the edge from flapping.
import Primitives

/// Raised when the line has been too thin for a while, repeated as long as it lasts, cleared when it has sufficed for a while.
struct BandwidthAlarm: Sendable {
    enum Change: Equatable { case raised, lasting, cleared }

    static let raiseAfter = TimeSpan.seconds(1)
    static let clearAfter = TimeSpan.seconds(2)
    static let repeatAfter = TimeSpan.seconds(5)

    private(set) var isRaised = false
    /// Since when the line is in the other state than what is told; `nil`: it isn't.
    private var differsSince: Instant?
    private var toldAt = Instant.zero

    /// To be called several times a second.
    mutating func update(isThin: Bool, at now: Instant) -> Change? {
        guard isThin != isRaised else {
            differsSince = nil
            guard isRaised, now.span(since: toldAt) >= Self.repeatAfter else { return nil }
            toldAt = now
            return .lasting
        }
        let since = differsSince ?? now
        differsSince = since
        guard now.span(since: since) >= (isRaised ? Self.clearAfter : Self.raiseAfter) else { return nil }
        isRaised = isThin
        differsSince = nil
        toldAt = now
        return isThin ? .raised : .cleared
    }
}
