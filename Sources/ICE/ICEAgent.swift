// SPDX-License-Identifier: Apache-2.0
// One ICE session on one socket, sans-IO. Owned by the peer connection, which passes datagrams and time in and
// performs the actions that come back.
public import Primitives

/// An ICE agent (RFC 8445, RFC 8839) with a single local candidate, "the socket", and one component (rtcp-mux).
///
/// As `.lite` it answers checks and follows the peer's nominations. As `.controlling` it is a full agent: it forms
/// checks towards the peer's candidates, learns peer-reflexive ones, nominates the first pair that works, keeps
/// consent fresh (RFC 7675) and moves to another pair if the peer turns up elsewhere. A role conflict can make a
/// full agent controlled.
public struct ICEAgent: Sendable {
    public enum Role: Sendable { case lite, controlling }

    public enum State: Sendable { case new, checking, connected, failed, closed }

    public struct Configuration: Sendable {
        public var role: Role
        public var local: ICECredentials
        /// How long the first success may take: for a lite agent from its making, and from `setRemote` for both.
        public var connectTimeout: Duration
        /// Silence after which a connected session is over (RFC 7675 §5.1: 30 s).
        public var consentTimeout: Duration
        /// Mean time between consent checks; each interval is spread by ±20 %.
        public var consentInterval: Duration
        /// Least time between the first transmissions of two checks (Ta, RFC 8445 §14.2).
        public var pacing: Duration
        /// First retransmission of a check (RFC 8445 §14.3); doubles up to `maximumRetransmission`.
        public var retransmission: Duration
        public var maximumRetransmission: Duration
        /// Bound on remote addresses remembered: candidates, peer-reflexive ones, and a lite agent's peers.
        public var maximumAddresses: Int

        public init(
            role: Role, local: ICECredentials, connectTimeout: Duration = .seconds(15),
            consentTimeout: Duration = .seconds(30), consentInterval: Duration = .seconds(5),
            pacing: Duration = .milliseconds(50), retransmission: Duration = .milliseconds(500),
            maximumRetransmission: Duration = .seconds(2), maximumAddresses: Int = 32
        ) {
            self.role = role
            self.local = local
            self.connectTimeout = connectTimeout
            self.consentTimeout = consentTimeout
            self.consentInterval = consentInterval
            self.pacing = pacing
            self.retransmission = retransmission
            self.maximumRetransmission = maximumRetransmission
            self.maximumAddresses = max(1, maximumAddresses)
        }
    }

    public let configuration: Configuration
    public internal(set) var state = State.new
    /// Where the peer is reached now; set from `connected` on.
    public internal(set) var selected: SocketAddress?
    public internal(set) var counters = ICECounters()
    /// Round trip of the newest check that was not retransmitted; `nil` for a lite agent, which sends none.
    public internal(set) var roundTripTime: Duration?

    // Shared by both roles.
    var random: RandomSource
    let localKey: [UInt8]
    var remote: ICECredentials?
    var connectDeadline: Instant?
    var bounds = CheckBounds()
    /// Whether `selected` was nominated, rather than merely found working.
    var isNominated = false

    // Lite.
    /// Last valid check or authenticated media.
    var lastActivity: Instant
    var peers: [(address: SocketAddress, lastCheck: Instant, budget: TokenBucket)] = []

    // Full.
    var isControlling: Bool
    var tieBreaker: UInt64
    var remoteKey: [UInt8] = []
    var pairs: [ICECandidatePair] = []
    /// Where valid checks came from before the peer's credentials were known.
    var earlyAddresses: [SocketAddress] = []
    var nextCheckAt = Instant.zero
    var nextConsentAt: Instant?
    /// When to back an unanswered consent check up with ordinary checks.
    var consentDoubtAt: Instant?
    var consentChecks: [(id: STUNTransactionID, sentAt: Instant)] = []

    /// - Parameter now: starts a lite agent's connect timeout.
    public init(configuration: Configuration, random: RandomSource, now: Instant) {
        self.configuration = configuration
        self.random = random
        localKey = configuration.local.key
        lastActivity = now
        isControlling = configuration.role == .controlling
        tieBreaker = self.random.next()
        if configuration.role == .lite { connectDeadline = now + configuration.connectTimeout }
    }

    /// Tells the agent what the peer's session description says. A full agent is due to send its first check at
    /// once: ask `nextDeadline` and call `advance(to:)` right after this.
    ///
    /// Calling it again with the same credentials adds candidates (trickle). Other credentials restart the checks of
    /// a session that isn't connected yet and are ignored afterwards: an ICE restart is a new agent.
    /// - Parameters:
    ///   - candidates: the peer's UDP addresses, best first. What exceeds three quarters of `maximumAddresses` is left out.
    ///   - isLite: the peer has `a=ice-lite`, so it will send no checks.
    public mutating func setRemote(
        _ credentials: ICECredentials, candidates: [SocketAddress], isLite: Bool, at now: Instant
    ) {
        guard state != .failed, state != .closed else { return }
        if let remote, remote != credentials {
            guard state != .connected else { return }
            pairs.removeAll()
        }
        if remote != credentials, state != .connected {
            connectDeadline = now + configuration.connectTimeout
            state = .checking
        }
        remote = credentials
        guard configuration.role == .controlling else { return }
        // Two agents of which one is lite have no conflict to resolve: the full one controls (RFC 8445 §6.1.1).
        if isLite { isControlling = true }
        remoteKey = credentials.key
        // A quarter of the list stays free for peer-reflexive addresses: they are often the ones that work.
        let room = max(1, configuration.maximumAddresses * 3 / 4)
        for address in candidates where pairs.count < room && pairIndex(of: address) == nil { addPair(address) }
        for address in earlyAddresses {
            guard let index = pairIndex(of: address) ?? addPair(address) else { continue }
            pairs[index].isTriggered = true
            pairs[index].hasSentCheck = true
        }
        earlyAddresses.removeAll()
    }

    /// Takes a datagram that the demultiplexer classed as STUN.
    public mutating func receive(
        _ datagram: UnsafeRawBufferPointer, from source: SocketAddress, at now: Instant
    ) -> [ICEAction] {
        guard state != .failed, state != .closed else { return [] }
        guard mayLook(at: datagram, from: source, at: now) else {
            counters.checksIgnored &+= 1
            return []
        }
        let message: STUNMessage
        do throws(STUNError) {
            message = try STUNMessage(parsing: datagram)
        } catch {
            counters.malformed &+= 1
            return []
        }
        var actions: [ICEAction] = []
        switch message.messageClass {
        case .request:
            receiveRequest(message, in: datagram, from: source, at: now, into: &actions)
        case .success, .error:
            receiveResponse(message, in: datagram, from: source, at: now, into: &actions)
        case .indication:
            break  // A keepalive (RFC 8445 §11): proves nothing, wants nothing.
        }
        sendDueChecks(at: now, into: &actions)
        return actions
    }

    /// Does what is due at `now`: checks, retransmissions, consent, timeouts.
    public mutating func advance(to now: Instant) -> [ICEAction] {
        guard state != .failed, state != .closed else { return [] }
        if let expiry, now >= expiry {
            return [fail(state == .connected ? .consentExpired : refusalFailure ?? .timeout)]
        }
        var actions: [ICEAction] = []
        sendDueConsentCheck(at: now, into: &actions)
        sendDueChecks(at: now, into: &actions)
        return actions
    }

    /// When `advance(to:)` is to be called next; `nil` when time changes nothing.
    public var nextDeadline: Instant? {
        guard state != .failed, state != .closed else { return nil }
        let soonest = min(
            min(expiry ?? .distantFuture, nextConsentAt ?? .distantFuture),
            min(consentDoubtAt ?? .distantFuture, nextCheckDeadline ?? .distantFuture))
        return soonest == .distantFuture ? nil : soonest
    }

    /// Authenticated media arrived: the peer is alive. Counts for a lite agent only; a full agent relies on its own
    /// consent checks, as RFC 7675 wants. Cheap enough to be called for each packet.
    public mutating func noteTraffic(at now: Instant) { lastActivity = now }

    /// Ends the session; every later call is without effect.
    public mutating func close() {
        if state != .failed { state = .closed }
        forgetChecks()
    }

    /// Whether the peer has proven, by an authenticated check or response, to be at `address`: other packets from
    /// there may be let through to DTLS and SRTP even if another address is selected.
    public func hasVerified(_ address: SocketAddress) -> Bool {
        if address == selected { return true }
        if configuration.role == .lite { return peers.contains { $0.address == address } }
        return earlyAddresses.contains(address)
            || pairs.contains { $0.remote == address && ($0.hasSentCheck || $0.lastResponse != nil) }
    }

    /// When the session is over unless something arrives.
    private var expiry: Instant? {
        guard state == .connected else { return connectDeadline }
        let alive = configuration.role == .lite ? lastActivity : selectedPair?.lastResponse ?? lastActivity
        return alive + configuration.consentTimeout
    }

    mutating func fail(_ failure: ICEFailure) -> ICEAction {
        state = .failed
        forgetChecks()
        return .failed(failure)
    }

    private mutating func forgetChecks() {
        pairs.removeAll()
        earlyAddresses.removeAll()
        consentChecks.removeAll()
        peers.removeAll()
        nextConsentAt = nil
        consentDoubtAt = nil
    }
}
