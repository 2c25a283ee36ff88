// Whether a player is told that its line is too thin. Part of PlayerEndpoint; keeps a line at the edge from flapping.

/// Raised when the line has been too thin for a while, repeated as long as it lasts, cleared when it has sufficed for a while.
struct BandwidthAlarm: Sendable {
    enum Change: Equatable { case raised, lasting, cleared }

    /// ns
    static let raiseAfter: Int64 = 1_000_000_000
    static let clearAfter: Int64 = 2_000_000_000
    static let repeatAfter: Int64 = 5_000_000_000

    private(set) var isRaised = false
    /// Since when the line is in the other state than what is told; `nil`: it isn't.
    private var differsSince: Int64?
    private var toldAt: Int64 = 0

    /// To be called several times a second.
    mutating func update(isThin: Bool, at now: Int64) -> Change? {
        guard isThin != isRaised else {
            differsSince = nil
            guard isRaised, now - toldAt >= Self.repeatAfter else { return nil }
            toldAt = now
            return .lasting
        }
        let since = differsSince ?? now
        differsSince = since
        guard now - since >= (isRaised ? Self.clearAfter : Self.raiseAfter) else { return nil }
        isRaised = isThin
        differsSince = nil
        toldAt = now
        return isThin ? .raised : .cleared
    }
}
