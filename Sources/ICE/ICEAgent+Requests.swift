// SPDX-License-Identifier: Apache-2.0
// The answering half of ICEAgent: authenticates the peer's checks, answers them and learns from them.
// The order (well-formed, authenticated, understood, role, effect) is what security depends on.
internal import Primitives

extension ICEAgent {
    mutating func receiveRequest(
        _ request: STUNMessage, in datagram: UnsafeRawBufferPointer, from source: SocketAddress, at now: Instant,
        into actions: inout [ICEAction]
    ) {
        // RFC 8489 §9.1.3: without credentials 400, with wrong ones 401. Both go out unauthenticated, so they are
        // never longer than the request: a forged source address gains nothing.
        guard let username = request.username, request.integrityOffset != nil else {
            counters.unauthenticated &+= 1
            guard bounds.refusals.take(at: now) else { return counters.errorsSuppressed &+= 1 }
            refuse(request, 400, "Bad Request", limit: datagram.count, to: source, into: &actions)
            return
        }
        // Only the receiver's half is checked (RFC 8445 §7.3): a lite agent may not know the other one yet.
        let ufrag = username.prefix { $0 != ":" }
        guard ufrag.utf8.count < username.utf8.count, ufrag == configuration.local.ufrag,
            request.hasValidIntegrity(in: datagram, key: localKey)
        else {
            counters.unauthenticated &+= 1
            guard bounds.refusals.take(at: now) else { return counters.errorsSuppressed &+= 1 }
            refuse(request, 401, "Unauthenticated", limit: datagram.count, to: source, into: &actions)
            return
        }
        // One who has the password may still not make us send to, or remember, any number of addresses.
        guard hasVerified(source) || bounds.newSources.take(at: now) else { return counters.sourcesIgnored &+= 1 }
        let unknown = request.uncomprehendedTypes
        guard unknown.isEmpty else {
            refuse(
                request, 420, "Unknown Attribute", limit: .max, to: source, key: localKey,
                extra: [.unknownAttributes(unknown)], into: &actions)
            return
        }
        guard request.method == STUNMessage.binding else {
            refuse(request, 400, "Bad Request", limit: datagram.count, to: source, into: &actions)
            return
        }
        guard resolveRole(of: request) else {
            counters.roleConflicts &+= 1
            refuse(request, 487, "Role Conflict", limit: .max, to: source, key: localKey, into: &actions)
            return
        }

        let response = STUNMessage(
            .success, transactionID: request.transactionID,
            attributes: [.xorMappedAddress(source, for: request.transactionID)])
        actions.append(.send(response.serialized(integrityKey: localKey), to: source))
        counters.requestsAnswered &+= 1

        switch configuration.role {
        case .lite: followAsLite(request, from: source, at: now, into: &actions)
        case .controlling: learn(from: request, source: source, at: now, into: &actions)
        }
    }

    private mutating func refuse(
        _ request: STUNMessage, _ code: Int, _ reason: String, limit: Int, to source: SocketAddress,
        key: [UInt8]? = nil, extra: [STUNAttribute] = [], into actions: inout [ICEAction]
    ) {
        let response = STUNMessage.refusal(
            of: request, code: code, reason: reason, limit: limit, integrityKey: key, extra: extra)
        guard let response else {
            counters.errorsSuppressed &+= 1
            return
        }
        counters.errorsSent &+= 1
        actions.append(.send(response, to: source))
    }

    /// RFC 8445 §7.3.1.1. `false`: the peer has to change its role.
    private mutating func resolveRole(of request: STUNMessage) -> Bool {
        if configuration.role == .lite { return request.iceControlled == nil }
        if isControlling, let theirs = request.iceControlling {
            if tieBreaker >= theirs { return false }
            counters.roleConflicts &+= 1
            isControlling = false
        } else if !isControlling, let theirs = request.iceControlled {
            if tieBreaker < theirs { return false }
            counters.roleConflicts &+= 1
            isControlling = true
        }
        return true
    }

    // MARK: Lite

    /// The first valid check connects; afterwards the newest nomination wins, whether it is the peer's choice of
    /// another interface, aggressive nomination or a NAT that has given it a new port.
    private mutating func followAsLite(
        _ request: STUNMessage, from source: SocketAddress, at now: Instant, into actions: inout [ICEAction]
    ) {
        lastActivity = now
        let selectedIsSilent = peers.first { $0.address == selected }.map {
            now >= $0.lastCheck + configuration.consentInterval * 2
        } ?? true
        notePeer(source, at: now)
        guard let current = selected else {
            selected = source
            isNominated = request.hasUseCandidate
            state = .connected
            connectDeadline = nil
            actions.append(.connected(source))
            return
        }
        if current == source {
            isNominated = isNominated || request.hasUseCandidate
        } else if request.hasUseCandidate || selectedIsSilent {
            // Some full agents don't repeat USE-CANDIDATE in consent checks, so a check from elsewhere while the
            // selected address is silent means that the peer was moved.
            selected = source
            isNominated = request.hasUseCandidate
            actions.append(.remoteChanged(source))
        }
    }

    private mutating func notePeer(_ source: SocketAddress, at now: Instant) {
        if let index = peers.firstIndex(where: { $0.address == source }) {
            peers[index].lastCheck = now
            return
        }
        if peers.count >= configuration.maximumAddresses {
            // Someone with the password changes ports all the time: keep the newest and the selected one.
            let oldest = peers.indices.filter { peers[$0].address != selected }
                .min { peers[$0].lastCheck < peers[$1].lastCheck }
            peers.remove(at: oldest ?? 0)
        }
        peers.append((source, now, CheckBounds.ofPeer))
    }

    // MARK: Full

    /// Peer-reflexive candidates, triggered checks and, when controlled, nomination (RFC 8445 §7.3.1.3–5).
    private mutating func learn(
        from request: STUNMessage, source: SocketAddress, at now: Instant, into actions: inout [ICEAction]
    ) {
        guard remote != nil else {
            if !earlyAddresses.contains(source) {
                if earlyAddresses.count < configuration.maximumAddresses {
                    earlyAddresses.append(source)
                } else {
                    counters.addressesRefused &+= 1
                }
            }
            return
        }
        guard let index = pairIndex(of: source) ?? addPair(source) else {
            counters.addressesRefused &+= 1
            return
        }
        pairs[index].hasSentCheck = true
        if request.hasUseCandidate, !isControlling {
            for other in pairs.indices { pairs[other].isNominatedByPeer = other == index }
        }
        switch pairs[index].state {
        case .succeeded:
            if pairs[index].isNominatedByPeer, !isControlling {
                select(index, at: now, into: &actions)
                isNominated = true
            } else if source != selected, pairs[index].check == nil {
                // Is the peer only keeping this way open, or has it moved there? The check's success decides.
                let age = pairs[index].lastResponse.map { now - $0 }
                if age.map({ $0 >= .seconds(1) }) ?? true { trigger(index) }
            }
        case .inProgress:
            // The way from there is open now, so a check that was lost against a closed NAT can be repeated.
            if let check = pairs[index].check, now - check.lastSentAt >= configuration.pacing {
                pairs[index].check?.dueAt = now
            }
        case .idle, .waiting, .refused:
            trigger(index)
        }
    }
}
