// SPDX-License-Identifier: Apache-2.0
import Primitives
import Synchronization
import Testing

@Suite("Addresses, and whom bounds by address count as one")
struct AddressTests {
    @Test("the holder of an IPv6 /64 is one, whatever addresses he takes; of IPv4 each address is one")
    func oneNetwork() {
        #expect(AddressKey("2001:db8:1:2::1") == AddressKey("[2001:db8:1:2:ffff:ffff:ffff:ffff]:5000"))
        #expect(AddressKey("2001:db8:1:2::1") != AddressKey("2001:db8:1:3::1"))
        #expect(AddressKey("192.0.2.1") != AddressKey("192.0.2.2"))
        #expect(AddressKey("192.0.2.1:80") == AddressKey("::ffff:192.0.2.1"))
        #expect(AddressKey("192.0.2.1") == AddressKey(SocketAddress(ipv4: 0xc000_0201, port: 5000)))
        #expect(AddressKey("2001:db8:1:2::1").description == "2001:db8:1:2::/64")
        #expect(AddressKey("unknown") == AddressKey("unknown:1") && AddressKey("unknown") != AddressKey("other"))
        #expect(AddressKey("fe80::1%lo") == AddressKey("fe80::2"))
    }

    @Test("text that is no address makes a key and doesn't trap", arguments: ["", ":", "[", "]", "[]", "%", "[%", "a:b:c", "[::1", "1.2.3.4%", "::%", "é:1"])
    func oddText(text: String) {
        #expect(AddressKey(text) == AddressKey(text))
    }

    @Test("connections from a whole /64 take the places of one address, and give them back")
    func connections() {
        let limiter = ConnectionLimiter(maximum: 10, maximumPerAddress: 2)
        #expect((1...3).map { limiter.enter(AddressKey("2001:db8::\($0)")) } == [true, true, false])
        #expect(limiter.enter(AddressKey("2001:db8:0:1::1")) && limiter.total == 3)
        limiter.leave(AddressKey("2001:db8::99"))
        #expect(limiter.enter(AddressKey("2001:db8::4")))
    }

    @Test("requests from a whole /64 share one allowance")
    func rates() {
        let now = Mutex(Instant.zero)
        let limiter = SourceRateLimiter(rate: 1, burst: 2, now: { now.withLock { $0 } })
        #expect((1...3).map { limiter.take(hostOf: "[2001:db8::\($0)]:\($0)") } == [true, true, false])
        #expect(limiter.take(hostOf: "[2001:db8:0:1::1]:9"))
    }

    @Test("a link-local address keeps its zone, apart from the same address on another link")
    func zones() throws {
        let one = try #require(SocketAddress("fe80::1%7", port: 5000))
        #expect(one.zone == 7 && one.isLinkLocal && one.description == "[fe80::1%7]:5000")
        #expect(one != SocketAddress("fe80::1%8", port: 5000))
        #expect(one.networkHigh == SocketAddress("fe80::1", port: 0)?.high)
        #expect(try #require(SocketAddress("2001:db8::1", port: 1)).zone == 0)
        #expect(SocketAddress("2001:db8::1%7", port: 1) == nil && SocketAddress("192.0.2.1%7", port: 1) == nil)
    }
}
