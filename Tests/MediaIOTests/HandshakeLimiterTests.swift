// SPDX-License-Identifier: Apache-2.0
// How many DTLS handshakes may be under way.
import Primitives
import Testing
import WebRTC

@Suite("Handshakes under way")
struct HandshakeLimiterTests {
    private func network(_ number: UInt32) -> AddressKey { .ipv4(number) }

    @Test("places are bounded by network and in all, and come back")
    func places() {
        let limiter = HandshakeLimiter(maximum: 10, maximumPerAddress: 4)
        #expect((0..<6).count { _ in limiter.enter(network(1)) } == 4)
        #expect((0..<6).count { _ in limiter.enter(network(2)) } == 4)
        #expect((0..<6).count { _ in limiter.enter(network(3)) } == 2)
        #expect(limiter.count == 10 && limiter.refused == 8)
        limiter.leave(network(1))
        #expect(limiter.enter(network(3)) && !limiter.enter(network(1)))
        // Who never entered has no place to give back.
        limiter.leave(network(9))
        #expect(limiter.count == 10)
    }

    @Test("while more than half of the places are taken a handshake has less time")
    func allowance() {
        let limiter = HandshakeLimiter(maximum: 10, maximumPerAddress: 10)
        for _ in 0..<5 { _ = limiter.enter(network(1)) }
        #expect(limiter.allowance == HandshakeLimiter.patience)
        _ = limiter.enter(network(1))
        #expect(limiter.allowance == HandshakeLimiter.patienceWhenCrowded)
        limiter.leave(network(1))
        #expect(limiter.allowance == HandshakeLimiter.patience)
    }
}
