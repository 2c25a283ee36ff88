// SPDX-License-Identifier: Apache-2.0
import ICE
import Primitives
import Testing

@Suite("A lite agent and hand-made checks")
struct ICEAgentLiteTests {
    let now = Instant(milliseconds: 5000)
    let one = SocketAddress(ipv4: 0xc000_0201, port: 1001)
    let two = SocketAddress(ipv6High: 0x2001_0db8_0000_0000, low: 5, port: 1002)
    let local = ICECredentials(ufrag: "serverUf", password: "serverPasswordOf24Chars!")

    private func makeAgent(limit: Int = 32) -> ICEAgent {
        ICEAgent(
            configuration: .init(role: .lite, local: local, maximumAddresses: limit), random: .seeded(1), now: now)
    }

    @Test("a check is answered with the sender's address, authenticated and fingerprinted")
    func answers() throws {
        for source in [one, two] {
            var agent = makeAgent()
            let actions = agent.receive(STUNMessage.check(for: local, id: 77), from: source, at: now)
            let answer = try #require(actions.messages(to: source).first)
            #expect(answer.message.messageClass == .success)
            #expect(answer.message.transactionID.low == 77)
            #expect(answer.message.mappedAddress == source)
            #expect(answer.message.hasFingerprint)
            let isAuthentic = answer.bytes.withUnsafeBytes {
                answer.message.hasValidIntegrity(in: $0, key: Array(local.password.utf8))
            }
            #expect(isAuthentic)
            #expect(actions.last == .connected(source))
            #expect(agent.hasVerified(source))
        }
    }

    @Test("the newest nomination wins, a mere check does not")
    func nomination() {
        var agent = makeAgent()
        _ = agent.receive(STUNMessage.check(for: local), from: one, at: now)
        // Found working, not nominated: the nominated one replaces it.
        let nominate = agent.receive(STUNMessage.check(for: local, nominating: true), from: two, at: now)
        #expect(nominate.last == .remoteChanged(two))
        let plain = agent.receive(STUNMessage.check(for: local), from: one, at: now)
        #expect(plain.count == 1)
        #expect(agent.selected == two)
        let again = agent.receive(STUNMessage.check(for: local, nominating: true), from: one, at: now)
        #expect(again.last == .remoteChanged(one))
        // Aggressive nomination repeats itself: no news.
        #expect(agent.receive(STUNMessage.check(for: local, nominating: true), from: one, at: now).count == 1)
        #expect(agent.hasVerified(two))
    }

    @Test("a peer that never repeats USE-CANDIDATE is followed when its old address has gone silent")
    func silentMove() {
        var agent = makeAgent()
        _ = agent.receive(STUNMessage.check(for: local, nominating: true), from: one, at: now)
        let early = agent.receive(STUNMessage.check(for: local), from: two, at: now + .seconds(9))
        #expect(early.count == 1)
        let late = agent.receive(STUNMessage.check(for: local), from: two, at: now + .seconds(11))
        #expect(late.last == .remoteChanged(two))
    }

    @Test("someone who says to be controlled is told to change roles, and nothing else happens")
    func roleConflict() throws {
        var agent = makeAgent()
        let actions = agent.receive(STUNMessage.check(for: local, role: .iceControlled(.max)), from: one, at: now)
        #expect(actions.count == 1)
        let answer = try #require(actions.messages(to: one).first)
        #expect(answer.message.errorCode?.code == 487)
        #expect(answer.message.integrityOffset != nil)
        #expect(agent.state == .new)
        #expect(agent.counters.roleConflicts == 1)
        // With the role changed, or not mentioned at all, it works.
        #expect(agent.receive(STUNMessage.check(for: local, role: nil), from: one, at: now).last == .connected(one))
    }

    @Test("an unknown mandatory attribute is refused by name, an optional one ignored")
    func unknownAttributes() throws {
        var agent = makeAgent()
        let optional = STUNAttribute(type: 0xc057, value: [0, 1, 0, 10])
        let mandatory = STUNAttribute(type: 0x7abc, value: [1])
        let refused = agent.receive(STUNMessage.check(for: local, extra: [mandatory]), from: one, at: now)
        let answer = try #require(refused.messages(to: one).first?.message)
        #expect(answer.errorCode?.code == 420)
        #expect(answer.value(of: STUNAttribute.Kind.unknownAttributes) == [0x7a, 0xbc])
        #expect(agent.state == .new)
        #expect(agent.receive(STUNMessage.check(for: local, extra: [optional]), from: one, at: now).count == 2)
    }

    @Test("wrong ufrag, wrong password and no credentials get at most an error no longer than the request")
    func noAmplification() throws {
        var agent = makeAgent()
        let bare = STUNMessage(.request, transactionID: .init(high: 1, low: 1))
        let stranger = ICECredentials(ufrag: "other", password: local.password)
        let nameOnly = STUNMessage(
            .request, transactionID: .init(high: 1, low: 1), attributes: [.username("\(local.ufrag):x")])
        let cases: [(bytes: [UInt8], code: Int?)] = [
            (STUNMessage.check(for: stranger, nominating: true), 401),
            (STUNMessage.check(for: local, password: "wrong", nominating: true), 401),
            (bare.serialized(), nil),
            (bare.serialized(integrityKey: [1]), 400),
            (nameOnly.serialized(), 400),
        ]
        for (index, entry) in cases.enumerated() {
            let actions = agent.receive(entry.bytes, from: one, at: now)
            let answers = actions.messages(to: one)
            #expect(answers.count == actions.count)
            #expect(answers.first?.message.errorCode?.code == entry.code, "case \(index)")
            #expect(answers.allSatisfy { $0.bytes.count <= entry.bytes.count }, "case \(index)")
            #expect(agent.counters.unauthenticated == index + 1)
        }
        #expect(agent.counters.errorsSent == 4)
        #expect(agent.counters.errorsSuppressed == 1)
        #expect(agent.state == .new)
        #expect(agent.selected == nil)
        #expect(!agent.hasVerified(one))
    }

    @Test("a ufrag that merely begins like ours is not ours")
    func prefixUfrag() {
        var agent = makeAgent()
        for ufrag in ["server", "serverUfX", ""] {
            let target = ICECredentials(ufrag: ufrag, password: local.password)
            _ = agent.receive(STUNMessage.check(for: target), from: one, at: now)
        }
        #expect(agent.counters.unauthenticated == 3)
        #expect(agent.state == .new)
    }

    @Test("responses, indications and rubbish are swallowed and counted")
    func rubbish() {
        var agent = makeAgent()
        let response = STUNMessage(.success, transactionID: .init(high: 1, low: 1))
        let indication = STUNMessage(.indication, transactionID: .init(high: 1, low: 1))
        #expect(agent.receive(response.serialized(), from: one, at: now).isEmpty)
        #expect(agent.receive(indication.serialized(), from: one, at: now).isEmpty)
        #expect(agent.receive([0, 1, 2], from: one, at: now).isEmpty)
        #expect(agent.receive([], from: one, at: now).isEmpty)
        #expect(agent.counters.unexpectedResponses == 1)
        #expect(agent.counters.malformed == 2)
    }

    @Test("a peer with a thousand addresses keeps the session, not the memory")
    func boundedPeers() {
        var agent = makeAgent(limit: 8)
        _ = agent.receive(STUNMessage.check(for: local, nominating: true), from: one, at: now)
        for port in 2000..<3000 as Range<UInt16> {
            // As fast as new sources are taken, beside the peer's own checks.
            let time = now + .milliseconds(125) * Int(port - 2000)
            _ = agent.receive(STUNMessage.check(for: local, nominating: true), from: one, at: time)
            _ = agent.receive(STUNMessage.check(for: local), from: one.withPort(port), at: time)
        }
        #expect(agent.counters.sourcesIgnored == 0 && agent.counters.checksIgnored == 0)
        #expect(agent.selected == one)
        #expect(agent.hasVerified(one))
        #expect((2000..<3000).count { agent.hasVerified(one.withPort(UInt16($0))) } <= 7)
    }

    @Test("no check with a mutated protected part connects, moves or crashes an agent")
    func mutation() {
        var random = RandomSource.seeded(42)
        var agent = makeAgent()
        _ = agent.receive(STUNMessage.check(for: local, nominating: true), from: one, at: now)
        let original = STUNMessage.check(for: local, nominating: true, id: 9)
        // The length field and what lies behind the integrity aren't covered by it: changed alone, they carry nothing.
        let protected = Array(0...1) + Array(4..<(original.count - 8))
        for turn in 0..<20_000 {
            var bytes = original
            let position = protected.randomElement(using: &random) ?? 0
            bytes[position] ^= UInt8.random(in: 1...255, using: &random)
            switch Int.random(in: 0..<3, using: &random) {
            case 0: bytes.removeLast(Int.random(in: 0..<20, using: &random))
            case 1:  // Past the fingerprint check, to the integrity check.
                bytes.removeLast(8)
                bytes[3] = UInt8(bytes.count - 20)
            default: break
            }
            for case .send(let answer, _) in agent.receive(bytes, from: two, at: now + .milliseconds(20) * turn) {
                #expect(answer.count <= bytes.count)
            }
        }
        #expect(agent.selected == one)
        #expect(!agent.hasVerified(two))
        #expect(agent.counters.unauthenticated > 1000)
        #expect(agent.counters.malformed > 1000)
    }
}
