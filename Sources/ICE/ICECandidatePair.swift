// SPDX-License-Identifier: Apache-2.0
// One entry of a full agent's check list. Owned by ICEAgent.
internal import Primitives

/// The socket's own address (the only local candidate) paired with one remote address (RFC 8445 §6.1.2).
struct ICECandidatePair: Sendable {
    enum State: Sendable {
        /// Not checked now: never, or given up in favour of the selected pair. A trigger wakes it.
        case idle
        /// Its check is to be sent as soon as pacing allows.
        case waiting
        case inProgress
        case succeeded
        /// The peer has refused our checks repeatedly.
        case refused
    }

    let remote: SocketAddress
    var state = State.waiting
    /// Goes ahead of ordinary waiting pairs (RFC 8445 §6.1.4.1).
    var isTriggered = false
    /// The running check; also on a succeeded pair, while it is being nominated.
    var check: ICECheck?
    /// When the last success response came.
    var lastResponse: Instant?
    /// The peer sent USE-CANDIDATE while it is the controlling one.
    var isNominatedByPeer = false
    /// The peer has sent an authenticated check from there.
    var hasSentCheck = false
    var refusals = 0
    /// Code and reason of the newest refusal.
    var lastRefusal: String?
    /// After a refusal: not before this time again.
    var notBefore = Instant.zero
}

/// A Binding request that waits for its response, with its retransmission timer.
struct ICECheck: Sendable {
    let id: STUNTransactionID
    let bytes: [UInt8]
    /// What the request said about our role and wishes.
    let wasControlling: Bool
    let isNominating: Bool
    let sentAt: Instant
    var lastSentAt: Instant
    var dueAt: Instant
    /// Milliseconds until the retransmission after the next.
    var interval: Int64
    var transmissions = 1
}
