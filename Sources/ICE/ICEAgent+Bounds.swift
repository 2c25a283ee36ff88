// SPDX-License-Identifier: Apache-2.0
// How much work the checks of others may cause. Asked before anything is parsed, and long before an HMAC is computed.
internal import Primitives

extension ICEAgent {
    /// Allowances per second. Browsers send 20 checks a second at most while they look for a way, and one every few seconds afterwards.
    struct CheckBounds: Sendable {
        /// Of each source that has proven to be the peer's.
        static let ofPeer = TokenBucket(rate: 50, burst: 100)
        /// Of all other sources together: whoever has seen the ufrag but not the password.
        var ofOthers = TokenBucket(rate: 50, burst: 100)
        /// Of all proven sources together.
        var ofPairs = TokenBucket(rate: 100, burst: 200)
        /// Error responses to requests that are not authenticated.
        var refusals = TokenBucket(rate: 10, burst: 10)
        /// Sources of authenticated checks that have not been seen before.
        var newSources = TokenBucket(rate: 8, burst: 16)
    }

    /// Whether a datagram is worth its parsing. Responses are: what nobody waits for ends at the look for its transaction.
    mutating func mayLook(at datagram: UnsafeRawBufferPointer, from source: SocketAddress, at now: Instant) -> Bool {
        // The class bits of a request are zero (RFC 8489 §5).
        guard datagram.count >= STUNMessage.headerLength, datagram.bigEndian16(at: 0) & 0x0110 == 0 else { return true }
        if configuration.role == .lite {
            guard let index = peers.firstIndex(where: { $0.address == source }) else { return bounds.ofOthers.take(at: now) }
            return peers[index].budget.take(at: now) && bounds.ofPairs.take(at: now)
        }
        return hasVerified(source) ? bounds.ofPairs.take(at: now) : bounds.ofOthers.take(at: now)
    }
}
