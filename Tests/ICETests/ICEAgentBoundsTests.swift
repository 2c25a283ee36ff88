// SPDX-License-Identifier: Apache-2.0
import ICE
import Primitives
import Testing

@Suite("What the checks of others may cost an agent")
struct ICEAgentBoundsTests {
    private static let credentials = ICECredentials(ufrag: "abcdefgh", password: "0123456789012345678901")
    private static let peer = SocketAddress(ipv4: 0xc000_0201, port: 5000)

    private static func agent() -> ICEAgent {
        ICEAgent(configuration: .init(role: .lite, local: credentials), random: .seeded(1), now: .zero)
    }

    private static func source(_ number: Int) -> SocketAddress { SocketAddress(ipv4: 0xc633_6400 | UInt32(number), port: 6000) }

    @Test("checks with the right ufrag and a wrong password are looked at fifty times a second and answered ten times, from however many sources")
    func wrongPassword() {
        var agent = Self.agent()
        let wrong = STUNMessage.check(for: Self.credentials, password: "wrong wrong wrong wrong!")
        var answers = 0
        for millisecond in 0..<10_000 as Range<Int64> {
            for number in 0..<20 { answers += agent.receive(wrong, from: Self.source(number), at: Instant(milliseconds: millisecond)).count }
        }
        #expect(agent.counters.unauthenticated <= 600 && agent.counters.unauthenticated >= 500)
        #expect(answers <= 110 && answers >= 90)
        #expect(agent.counters.checksIgnored == 200_000 - agent.counters.unauthenticated)
    }

    @Test("the peer's own checks are answered all the time while others flood its agent")
    func peerIsHeard() {
        var agent = Self.agent()
        let right = STUNMessage.check(for: Self.credentials, nominating: true)
        let wrong = STUNMessage.check(for: Self.credentials, password: "wrong wrong wrong wrong!")
        #expect(!agent.receive(right, from: Self.peer, at: .zero).isEmpty)
        var answered = 0
        for millisecond in 1...30_000 as ClosedRange<Int64> {
            for _ in 0..<10 { _ = agent.receive(wrong, from: Self.source(1), at: Instant(milliseconds: millisecond)) }
            if millisecond % 50 == 0 { answered += agent.receive(right, from: Self.peer, at: Instant(milliseconds: millisecond)).count }
        }
        #expect(answered == 600)
    }

    @Test("one who has the password can make the agent answer a few new sources a second only")
    func newSources() {
        var agent = Self.agent()
        let right = STUNMessage.check(for: Self.credentials)
        var answered: Set<Int> = []
        for second in 0..<3 as Range<Int64> {
            for number in 0..<200 where !agent.receive(right, from: Self.source(number), at: Instant(milliseconds: second * 1000)).messages(to: Self.source(number)).isEmpty {
                answered.insert(number)
            }
        }
        #expect((16...33).contains(answered.count), "\(answered.count)")
        #expect(agent.counters.sourcesIgnored + agent.counters.checksIgnored > 100)
    }

    @Test("the key that checks are routed by is the same from credentials and from a check, and differs between ufrags")
    func routingKeys() {
        for ufrag in ["abcdefgh", "abcd", "averylongufragwithmanycharacters"] {
            let credentials = ICECredentials(ufrag: ufrag, password: "0123456789012345678901")
            let check = STUNMessage.check(for: credentials)
            #expect(check.withUnsafeBytes { STUNMessage.routingKey(of: $0) } == credentials.routingKey)
        }
        #expect(ICECredentials(ufrag: "abcdefgh", password: "").routingKey != ICECredentials(ufrag: "abcdefgi", password: "").routingKey)
        #expect([UInt8](repeating: 0, count: 40).withUnsafeBytes { STUNMessage.routingKey(of: $0) } == nil)
    }
}
