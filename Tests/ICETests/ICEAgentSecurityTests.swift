// SPDX-License-Identifier: Apache-2.0
import ICE
import NetworkEmulator
import Primitives
import Testing

@Suite("A full agent and a hostile or confused peer")
struct ICEAgentSecurityTests {
    /// A connected or checking full agent towards addressB, and its first check.
    private func checkingAgent(seed: UInt64 = 1) throws -> (duel: AgentDuel, id: STUNTransactionID) {
        var duel = AgentDuel(b: .lite, seed: seed)
        duel.introduceA()
        let actions = duel.a.agent.advance(to: duel.now)
        let check = try #require(actions.messages(to: AgentDuel.addressB).first?.message)
        return (duel, check.transactionID)
    }

    @Test("a wrong password is refused and named within seconds, and never connects")
    func wrongPassword() throws {
        var duel = AgentDuel(b: .lite, profile: LinkProfile(delay: .milliseconds(10)), seed: 1)
        let wrong = ICECredentials(ufrag: duel.credentialsB.ufrag, password: "not the password at all!")
        duel.a.agent.setRemote(wrong, candidates: [AgentDuel.addressB], isLite: true, at: duel.now)
        #expect(duel.run(for: .seconds(4)) { $0.a.failure != nil })
        #expect(duel.a.failure == .error("The peer refuses connectivity checks: 401 Unauthenticated"))
        #expect(duel.b.agent.counters.unauthenticated == 5)
        #expect(duel.b.agent.state == .new)
        duel.run(for: .seconds(15))
        #expect(duel.b.failure == .timeout)
    }

    @Test("a server that knows us a second late is still reached")
    func slowSignalling() {
        var duel = AgentDuel(b: .lite, seed: 2)
        // For a second, the demultiplexer of b answers in place of an agent that isn't there yet.
        duel.introduceA()
        let end = duel.now + .seconds(1)
        while duel.now < end {
            let checks = duel.a.agent.advance(to: duel.now).messages(to: AgentDuel.addressB)
            for check in checks {
                let refusal = check.bytes.withUnsafeBytes { STUNMessage.unauthenticatedResponse(to: $0) }
                #expect(refusal.map { $0.count <= check.bytes.count } == true)
                let reaction = duel.a.agent.receive(refusal ?? [], from: AgentDuel.addressB, at: duel.now)
                #expect(reaction.isEmpty)
            }
            duel.now = duel.now + .milliseconds(100)
        }
        #expect(duel.a.agent.counters.checksRefused >= 2)
        #expect(duel.run(for: .seconds(2)) { $0.bothConnected })
    }

    @Test("a response without the right integrity, transaction or source changes nothing")
    func forgedResponses() throws {
        var (duel, id) = try checkingAgent()
        let good = STUNMessage(
            .success, transactionID: id, attributes: [.xorMappedAddress(AgentDuel.addressA, for: id)])
        let key = Array(duel.credentialsB.password.utf8)
        let elsewhere = AgentDuel.addressB.withPort(1)
        var other = good
        other.transactionID = STUNTransactionID(high: id.high, low: id.low ^ 1)
        let forged: [([UInt8], SocketAddress)] = [
            (good.serialized(), AgentDuel.addressB),
            (good.serialized(integrityKey: [1, 2, 3]), AgentDuel.addressB),
            (good.serialized(integrityKey: Array(duel.credentialsA.password.utf8)), AgentDuel.addressB),
            (other.serialized(integrityKey: key), AgentDuel.addressB),
            (good.serialized(integrityKey: key), elsewhere),
        ]
        for (bytes, source) in forged {
            #expect(duel.a.agent.receive(bytes, from: source, at: duel.now).isEmpty)
        }
        #expect(duel.a.agent.counters.unexpectedResponses == forged.count)
        #expect(duel.a.agent.state == .checking)
        // The genuine one still counts.
        let actions = duel.a.agent.receive(good.serialized(integrityKey: key), from: AgentDuel.addressB, at: duel.now)
        #expect(actions.first == .connected(AgentDuel.addressB))
        let nomination = try #require(actions.messages(to: AgentDuel.addressB).first?.message)
        #expect(nomination.hasUseCandidate)
    }

    @Test("an unauthenticated role conflict or server error is not believed")
    func forgedErrors() throws {
        var (duel, id) = try checkingAgent()
        for code in [487, 500, 420] {
            let error = STUNMessage(.error, transactionID: id, attributes: [.errorCode(code, reason: "")])
            #expect(duel.a.agent.receive(error.serialized(), from: AgentDuel.addressB, at: duel.now).isEmpty)
        }
        #expect(duel.a.agent.counters.checksRefused == 0)
        #expect(duel.a.agent.counters.roleConflicts == 0)
    }

    @Test("an authentic role conflict makes the agent check again in the other role")
    func authenticRoleConflict() throws {
        var (duel, id) = try checkingAgent()
        let error = STUNMessage(.error, transactionID: id, attributes: [.errorCode(487, reason: "Role Conflict")])
        let bytes = error.serialized(integrityKey: Array(duel.credentialsB.password.utf8))
        var actions = duel.a.agent.receive(bytes, from: AgentDuel.addressB, at: duel.now)
        actions += duel.a.agent.advance(to: duel.now + .milliseconds(50))
        let check = try #require(actions.messages(to: AgentDuel.addressB).first?.message)
        #expect(check.iceControlled != nil)
        #expect(check.iceControlling == nil)
        #expect(!check.hasUseCandidate)
        #expect(check.transactionID != id)
    }

    @Test("when controlled, the pair the peer nominated wins over one that worked earlier")
    func controlledFollowsNomination() throws {
        var duel = AgentDuel(b: .controlling, seed: 8)
        let (first, second) = (AgentDuel.addressB, AgentDuel.addressB.withPort(2))
        let local = duel.credentialsA
        let key = Array(duel.credentialsB.password.utf8)
        duel.introduceA(candidatesOfB: [first, second])
        var actions = duel.a.agent.advance(to: duel.now)
        // The peer's tie-breaker is larger: we become controlled. It nominates the second address.
        let nomination = STUNMessage.check(for: local, nominating: true, role: .iceControlling(.max))
        actions += duel.a.agent.receive(nomination, from: second, at: duel.now)
        actions += duel.a.agent.advance(to: duel.now + .milliseconds(50))
        let toFirst = try #require(actions.messages(to: first).first?.message)
        let toSecond = try #require(actions.messages(to: second).first { $0.message.messageClass == .request }?.message)
        func answer(_ id: STUNTransactionID) -> [UInt8] {
            STUNMessage(.success, transactionID: id).serialized(integrityKey: key)
        }
        let later = duel.now + .milliseconds(60)
        let one = duel.a.agent.receive(answer(toFirst.transactionID), from: first, at: later)
        #expect(one.contains(.connected(first)))
        let two = duel.a.agent.receive(answer(toSecond.transactionID), from: second, at: later)
        #expect(two.contains(.remoteChanged(second)))
        #expect(duel.a.agent.selected == second)
    }

    @Test("checks from thousands of addresses neither grow the list nor flood anyone")
    func floodOfAddresses() {
        var duel = AgentDuel(b: .lite, seed: 3)
        duel.introduce()
        duel.run(for: .seconds(1))
        let local = duel.credentialsA
        var triggered = 0
        for index in 0..<5000 as Range<UInt32> {
            let source = SocketAddress(ipv4: 0x0a00_0000 + index, port: 5000)
            let actions = duel.a.agent.receive(
                STUNMessage.check(for: local, role: .iceControlled(1)), from: source, at: duel.now)
            triggered += actions.count { if case .send(let bytes, _) = $0 { bytes[0] == 0 } else { false } }
            duel.now = duel.now + .milliseconds(1)
        }
        // 5 s at one new check per 50 ms, and the retransmissions of at most 32.
        #expect(triggered <= 100 + 32 * 7)
        let counters = duel.a.agent.counters
        #expect(counters.addressesRefused + counters.checksIgnored + counters.sourcesIgnored > 4000)
        #expect(duel.a.agent.selected == AgentDuel.addressB)
        duel.run(for: .seconds(60))
        #expect(duel.bothConnected)
    }

    @Test("a session on a network that corrupts packets connects and stays")
    func corruption() {
        var connected = 0
        for seed in 0..<100 as Range<UInt64> {
            var duel = AgentDuel(b: .lite, profile: LinkProfile(delay: .milliseconds(10)), seed: seed)
            // One in five datagrams, chosen by its random transaction identifier, arrives damaged.
            let damage: @Sendable ([UInt8]) -> [UInt8] = { bytes in
                var bytes = bytes
                if bytes[12] % 5 == 0 { bytes[Int(bytes[13]) % bytes.count] ^= 0x41 }
                return bytes
            }
            duel.a.tamper = damage
            duel.b.tamper = damage
            duel.introduce()
            // A retransmission has the same identifier and the same fate, so an unlucky first check never connects.
            guard duel.run(for: .seconds(14), until: { $0.bothConnected }) else { continue }
            connected += 1
            duel.run(for: .seconds(120))
            #expect(duel.bothConnected, "seed \(seed)")
            #expect(duel.b.agent.selected == AgentDuel.addressA)
        }
        #expect(connected > 60)
    }
}
