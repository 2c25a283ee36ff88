// SPDX-License-Identifier: Apache-2.0
// Consent freshness of a full ICEAgent (RFC 7675): proof, every few seconds, that the peer still wants our packets.
internal import Primitives

extension ICEAgent {
    /// More are never unanswered: consent expires before.
    private static let maximumConsentChecks = 16
    /// How long a consent check may stay unanswered before ordinary, retransmitted checks back it up.
    private static let doubt = Duration.seconds(1)

    /// The configured interval spread by ±20 %, so that many sessions don't check in step (RFC 7675 §5.1).
    mutating func nextConsentInterval() -> Duration {
        let interval = configuration.consentInterval.inNanoseconds
        return .nanoseconds(interval / 1000 * Int64.random(in: 800...1200, using: &random))
    }

    mutating func sendDueConsentCheck(at now: Instant, into actions: inout [ICEAction]) {
        if let doubtAt = consentDoubtAt, now >= doubtAt {
            consentDoubtAt = nil
            reassure(at: now)
        }
        guard state == .connected, let selected, let due = nextConsentAt, now >= due else { return }
        nextConsentAt = now + nextConsentInterval()
        // A controlling agent repeats the nomination, so that a lite peer follows us through a NAT's change of mind.
        let (id, bytes) = makeRequest(nominating: isControlling)
        if consentChecks.count >= Self.maximumConsentChecks { consentChecks.removeFirst() }
        consentChecks.append((id, now))
        consentDoubtAt = now + Self.doubt
        counters.checksSent &+= 1
        actions.append(.send(bytes, to: selected))
    }

    /// One lost packet is no loss of consent: checks the selected pair with retransmissions and, when more than one
    /// consent check went unanswered, the other pairs as well.
    private mutating func reassure(at now: Instant) {
        guard let selected, let index = pairIndex(of: selected) else { return }
        if pairs[index].check == nil { trigger(index) }
        guard consentChecks.count > 1 else { return }
        for other in pairs.indices where other != index && pairs[other].check == nil {
            trigger(other)
        }
    }
}
