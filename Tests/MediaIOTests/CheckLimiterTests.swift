// SPDX-License-Identifier: Apache-2.0
// How many connectivity checks of strangers a reactor looks at.
import Primitives
import Testing

@testable import MediaIO

@Suite("Checks of one network")
struct CheckLimiterTests {
    private func address(_ number: Int, port: UInt16 = 5000) -> SocketAddress { SocketAddress(ipv4: 0x0a00_0000 | UInt32(number), port: port) }

    private func takes(_ limiter: inout CheckLimiter, _ source: SocketAddress, at now: Instant) -> Bool { limiter.take(source, at: now) }

    @Test("a network gets its burst and then its rate, whatever ports it uses, and another isn't held back")
    func rates() {
        var limiter = CheckLimiter(seed: 1)
        var taken = 0
        for number in 0..<100_000 where limiter.take(address(1, port: UInt16(1 + number % 60_000)), at: .zero) { taken += 1 }
        #expect(taken == Int(CheckLimiter.burst))
        #expect(takes(&limiter, address(2), at: .zero))
        taken = 0
        for number in 0..<10_000 where limiter.take(address(1), at: Instant(milliseconds: 1 + Int64(number) / 10)) { taken += 1 }
        #expect((990...1_010).contains(taken), "\(taken)")
    }

    @Test("the addresses of an IPv6 /64 are one network, those of another /64 aren't")
    func ipv6() throws {
        var limiter = CheckLimiter(seed: 1)
        var taken = 0
        for number in 0..<5_000 {
            let one = try #require(SocketAddress("2001:db8:0:1::\(String(number, radix: 16))", port: 5000))
            if limiter.take(one, at: .zero) { taken += 1 }
        }
        #expect(taken == Int(CheckLimiter.burst))
        let other = try #require(SocketAddress("2001:db8:0:2::1", port: 5000))
        #expect(takes(&limiter, other, at: .zero))
    }

    @Test("however many networks there are the table stays as it is, and who comes alone after a flood is looked at")
    func manyNetworks() {
        var limiter = CheckLimiter(seed: 7)
        // Each place is shared by some forty; a check each is no flood.
        let first = (0..<40_000).count { limiter.take(address($0), at: .zero) }
        #expect(first == 40_000)
        for _ in 0..<3_000 { for number in 0..<20 { _ = limiter.take(address(number), at: .zero) } }
        let afterwards = (0..<20).count { limiter.take(address($0), at: .zero) }
        #expect(afterwards == 0)
        #expect(takes(&limiter, address(0x00ff_ffff), at: Instant(milliseconds: 3_000)))
    }

    @Test("which networks share a place differs from process to process")
    func secret() {
        // Floods one network, and sees which others have nothing left.
        func neighbours(_ seed: UInt64) -> [Int] {
            var limiter = CheckLimiter(seed: seed)
            for _ in 0..<10_000 { _ = limiter.take(address(0), at: .zero) }
            return (1..<20_000).filter { !limiter.take(address($0), at: .zero) }
        }
        let one = neighbours(1), other = neighbours(2)
        #expect(!one.isEmpty && one.count < 100)
        #expect(one != other)
    }
}
