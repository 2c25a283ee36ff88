// SPDX-License-Identifier: Apache-2.0
// Plain counters of one ICEAgent, read by metrics and tests.

/// What an agent has seen and done since it was made.
public struct ICECounters: Equatable, Sendable {
    /// Checks sent first time, consent checks included.
    public var checksSent = 0
    public var retransmissions = 0
    /// Success responses that were authenticated and matched a check.
    public var responsesReceived = 0
    /// Requests that were authenticated and answered with success.
    public var requestsAnswered = 0
    /// Datagrams that are no well-formed STUN message.
    public var malformed = 0
    /// Requests for another ufrag, without credentials or with a wrong integrity.
    public var unauthenticated = 0
    /// Error responses sent, of whatever kind.
    public var errorsSent = 0
    /// Error responses not sent because they would have been longer than the request.
    public var errorsSuppressed = 0
    /// Responses nobody waits for: late, forged, from another address or with a wrong integrity.
    public var unexpectedResponses = 0
    /// Error responses to our checks.
    public var checksRefused = 0
    public var roleConflicts = 0
    /// Requests not looked at, because their source, or all unknown sources together, sent more than `ICEAgent.CheckBounds` allow.
    public var checksIgnored = 0
    /// Authenticated requests not answered, because they came from too many new sources.
    public var sourcesIgnored = 0
    /// Peer-reflexive remote addresses not followed because the limit was reached.
    public var addressesRefused = 0

    public init() {}
}
