// SPDX-License-Identifier: Apache-2.0
// The asking half of a full ICEAgent: the check list, its pacing and retransmissions, responses and selection.
internal import Primitives

extension ICEAgent {
    /// How often the peer may refuse a check before its pair is given up. A peer that does not know us yet (its
    /// signalling is slower than our first check) refuses as well, so once is not enough.
    static let maximumRefusals = 5
    /// Transmissions of a check beside an established connection; before that only the connect timeout ends them.
    static let maximumTransmissionsWhenConnected = 7

    var selectedPair: ICECandidatePair? { selected.flatMap { pairIndex(of: $0) }.map { pairs[$0] } }

    func pairIndex(of address: SocketAddress) -> Int? { pairs.firstIndex { $0.remote == address } }

    /// `nil` when the list is full.
    @discardableResult
    mutating func addPair(_ address: SocketAddress) -> Int? {
        guard address.port != 0 else { return nil }
        if pairs.count >= configuration.maximumAddresses {
            // A peer that wanders from port to port must not lock itself out: forget a pair nothing depends on.
            guard state == .connected,
                let stale = pairs.firstIndex(where: { $0.remote != selected && $0.check == nil && !$0.isTriggered })
            else { return nil }
            pairs.remove(at: stale)
        }
        var pair = ICECandidatePair(remote: address)
        if state == .connected { pair.state = .idle }
        pairs.append(pair)
        return pairs.count - 1
    }

    mutating func trigger(_ index: Int) {
        pairs[index].isTriggered = true
        pairs[index].state = .waiting
        pairs[index].notBefore = .zero
        pairs[index].check = nil
    }

    // MARK: Sending

    /// When the check list needs attention next.
    var nextCheckDeadline: Instant? {
        guard remote != nil, configuration.role == .controlling else { return nil }
        var earliest: Instant?
        for pair in pairs {
            var due: Instant?
            if let check = pair.check { due = check.dueAt }
            if pair.state == .waiting { due = max(nextCheckAt, pair.notBefore) }
            if let due { earliest = min(earliest ?? due, due) }
        }
        return earliest
    }

    mutating func sendDueChecks(at now: Instant, into actions: inout [ICEAction]) {
        guard remote != nil, configuration.role == .controlling, state == .checking || state == .connected else { return }
        for index in pairs.indices {
            guard let check = pairs[index].check, now >= check.dueAt else { continue }
            if state == .connected, check.transmissions >= Self.maximumTransmissionsWhenConnected {
                pairs[index].check = nil
                if pairs[index].state == .inProgress { pairs[index].state = .idle }
                continue
            }
            retransmit(index, at: now, into: &actions)
        }
        // One new check per Ta; triggered ones first, then in the order of the candidates.
        guard now >= nextCheckAt else { return }
        let ready = pairs.indices.filter { pairs[$0].state == .waiting && now >= pairs[$0].notBefore }
        guard let index = ready.first(where: { pairs[$0].isTriggered }) ?? ready.first else { return }
        pairs[index].state = .inProgress
        pairs[index].isTriggered = false
        nextCheckAt = now + configuration.pacing
        startCheck(index, nominating: false, at: now, into: &actions)
    }

    private mutating func startCheck(
        _ index: Int, nominating: Bool, at now: Instant, into actions: inout [ICEAction]
    ) {
        let (id, bytes) = makeRequest(nominating: nominating)
        let interval = configuration.retransmission.inMilliseconds
        pairs[index].check = ICECheck(
            id: id, bytes: bytes, wasControlling: isControlling, isNominating: nominating, sentAt: now,
            lastSentAt: now, dueAt: now.advanced(byMilliseconds: interval), interval: interval * 2)
        counters.checksSent &+= 1
        actions.append(.send(bytes, to: pairs[index].remote))
    }

    private mutating func retransmit(_ index: Int, at now: Instant, into actions: inout [ICEAction]) {
        guard var check = pairs[index].check else { return }
        let interval = min(check.interval, configuration.maximumRetransmission.inMilliseconds)
        check.transmissions += 1
        check.lastSentAt = now
        check.dueAt = now.advanced(byMilliseconds: interval)
        check.interval = interval * 2
        pairs[index].check = check
        counters.retransmissions &+= 1
        actions.append(.send(check.bytes, to: pairs[index].remote))
    }

    /// A Binding request with what RFC 8445 §7.2.2 wants in it.
    mutating func makeRequest(nominating: Bool) -> (STUNTransactionID, [UInt8]) {
        var request = STUNMessage(.request, transactionID: .random(using: &random))
        // Type preference of peer-reflexive (110), one local candidate (65535), component 1 (RFC 8445 §5.1.2.1).
        let priority: UInt32 = 110 << 24 | 65535 << 8 | 255
        request.attributes = [
            .username("\(remote?.ufrag ?? ""):\(configuration.local.ufrag)"),
            .priority(priority),
            isControlling ? .iceControlling(tieBreaker) : .iceControlled(tieBreaker),
        ]
        if nominating { request.attributes.append(.useCandidate) }
        return (request.transactionID, request.serialized(integrityKey: remoteKey))
    }

    // MARK: Responses

    mutating func receiveResponse(
        _ response: STUNMessage, in datagram: UnsafeRawBufferPointer, from source: SocketAddress, at now: Instant,
        into actions: inout [ICEAction]
    ) {
        // The response has to come from where the request went (RFC 8445 §7.2.5.2.1).
        guard configuration.role == .controlling, response.method == STUNMessage.binding,
            let index = pairIndex(of: source)
        else {
            counters.unexpectedResponses &+= 1
            return
        }
        // Looking the transaction up costs nothing, the HMAC does: strangers get no further than this line.
        let check = pairs[index].check.flatMap { $0.id == response.transactionID ? $0 : nil }
        let consent = consentChecks.first { $0.id == response.transactionID }
        guard check != nil || consent != nil else {
            counters.unexpectedResponses &+= 1
            return
        }
        let isAuthenticated = response.hasValidIntegrity(in: datagram, key: remoteKey)
        if let check, response.messageClass == .error {
            refused(index, check, by: response, isAuthenticated: isAuthenticated, at: now, into: &actions)
            return
        }
        // An error response to a consent check neither renews nor ends consent.
        guard response.messageClass == .success, isAuthenticated, response.uncomprehendedTypes.isEmpty else {
            counters.unexpectedResponses &+= 1
            return
        }
        if let check {
            if check.transmissions == 1 { roundTripTime = now - check.sentAt }
            pairs[index].check = nil
            succeeded(index, nominated: check.isNominating, at: now, into: &actions)
        } else if let consent {
            consentChecks.removeAll { $0.sentAt <= consent.sentAt }
            roundTripTime = now - consent.sentAt
            succeeded(index, nominated: isControlling, at: now, into: &actions)
        }
    }

    private mutating func succeeded(
        _ index: Int, nominated: Bool, at now: Instant, into actions: inout [ICEAction]
    ) {
        counters.responsesReceived &+= 1
        pairs[index].lastResponse = now
        pairs[index].state = .succeeded
        pairs[index].refusals = 0
        if pairs[index].remote == selected {
            consentDoubtAt = nil
            if nominated { isNominated = true }
        } else if state != .connected {
            select(index, at: now, into: &actions)
        } else if isControlling ? selectedIsInDoubt(at: now) : pairs[index].isNominatedByPeer {
            select(index, at: now, into: &actions)
        }
        if pairs[index].remote == selected, isControlling, !isNominated, pairs[index].check == nil {
            startCheck(index, nominating: true, at: now, into: &actions)
        }
    }

    /// Whether the selected pair has missed an answer, so that another pair that works is better.
    private func selectedIsInDoubt(at now: Instant) -> Bool {
        guard let answered = selectedPair?.lastResponse else { return true }
        return now - answered > configuration.consentInterval * 1.5
    }

    private mutating func refused(
        _ index: Int, _ check: ICECheck, by response: STUNMessage, isAuthenticated: Bool, at now: Instant,
        into actions: inout [ICEAction]
    ) {
        let (code, reason) = response.errorCode ?? (500, "")
        // Only 400 and 401 may come without integrity (RFC 8489 §9.1.4): their sender couldn't compute it.
        guard isAuthenticated || code == 400 || code == 401 else {
            counters.unexpectedResponses &+= 1
            return
        }
        counters.checksRefused &+= 1
        if code == 487 {
            counters.roleConflicts &+= 1
            if isControlling == check.wasControlling {
                isControlling.toggle()
                tieBreaker = random.next()
            }
            trigger(index)
            return
        }
        pairs[index].check = nil
        if pairs[index].remote == selected {
            pairs[index].state = .succeeded  // consent decides
            return
        }
        pairs[index].refusals += 1
        pairs[index].lastRefusal = "\(code) \(reason)"
        let isFinal = state == .connected || pairs[index].refusals >= Self.maximumRefusals
        pairs[index].state = isFinal ? .refused : .waiting
        pairs[index].notBefore = now + configuration.retransmission
        // Nothing left to try, and nobody out there who proved to be the peer: no reason to let the user wait.
        if state == .checking, pairs.allSatisfy({ $0.state == .refused && !$0.hasSentCheck }), let refusalFailure {
            actions.append(fail(refusalFailure))
        }
    }

    /// What to say when the peer did answer, but with errors.
    var refusalFailure: ICEFailure? {
        pairs.lazy.compactMap(\.lastRefusal).first.map {
            .error("The peer refuses connectivity checks: \($0.trimmingTrailingSpace)")
        }
    }

    // MARK: Selection

    /// Sends media to this pair from now on. A controlling agent nominates it with the next check.
    mutating func select(_ index: Int, at now: Instant, into actions: inout [ICEAction]) {
        let address = pairs[index].remote
        guard address != selected else { return }
        let isFirst = selected == nil
        selected = address
        isNominated = false
        if pairs[index].lastResponse == nil { pairs[index].lastResponse = now }
        state = .connected
        connectDeadline = nil
        lastActivity = now
        actions.append(isFirst ? .connected(address) : .remoteChanged(address))
        // The other pairs rest (RFC 8445 §8.1.2); they are probed again when consent gets doubtful.
        // One that a controlling peer has nominated goes on: it is the one to end up with.
        for other in pairs.indices where other != index && (isControlling || !pairs[other].isNominatedByPeer) {
            pairs[other].check = nil
            pairs[other].isTriggered = false
            if pairs[other].state != .succeeded { pairs[other].state = .idle }
        }
        consentChecks.removeAll()
        consentDoubtAt = nil
        nextConsentAt = now + nextConsentInterval()
    }
}

extension String {
    fileprivate var trimmingTrailingSpace: Substring {
        var text = self[...]
        while text.last == " " { text.removeLast() }
        return text
    }
}
