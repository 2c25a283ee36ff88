// SPDX-License-Identifier: Apache-2.0
import ICE
import NetworkEmulator
import Primitives
import Testing

@Suite("ICE agents finding each other")
struct ICEAgentConnectTests {
    @Test("towards a lite server one round trip connects, and the pair is nominated at once")
    func oneRoundTrip() {
        var duel = AgentDuel(b: .lite, profile: LinkProfile(delay: .milliseconds(20)), seed: 1)
        let start = duel.now
        duel.introduce()
        #expect(duel.run(for: .seconds(1)) { $0.bothConnected })
        #expect(duel.a.connectedAt == start + .milliseconds(40))
        #expect(duel.b.connectedAt == start + .milliseconds(20))
        #expect(duel.a.agent.selected == AgentDuel.addressB)
        #expect(duel.b.agent.selected == AgentDuel.addressA)
        #expect(duel.a.agent.roundTripTime == .milliseconds(40))
        // The nomination goes out with the first success.
        duel.run(for: .milliseconds(45))
        #expect(duel.a.agent.counters.checksSent == 2)
        #expect(duel.a.agent.counters.responsesReceived == 2)
        #expect(duel.a.agent.counters.retransmissions == 0)
        #expect(duel.b.changes.isEmpty)
    }

    @Test("the first check is due the moment the peer is known")
    func firstCheckIsImmediate() {
        var duel = AgentDuel(b: .lite, seed: 2)
        #expect(duel.a.agent.nextDeadline == nil)
        duel.introduceA()
        #expect(duel.a.agent.nextDeadline.map { $0 <= duel.now } == true)
        let actions = duel.a.agent.advance(to: duel.now)
        let check = actions.messages(to: AgentDuel.addressB).first?.message
        #expect(check?.username == "\(duel.credentialsB.ufrag):\(duel.credentialsA.ufrag)")
        #expect(check?.iceControlling != nil)
        #expect(check?.priority != nil)
        #expect(check?.hasFingerprint == true)
    }

    @Test("a lite server answers checks that come before the session description")
    func liteBeforeSetRemote() {
        var duel = AgentDuel(b: .lite, seed: 3)
        duel.introduceA()
        #expect(duel.run(for: .seconds(1)) { $0.bothConnected })
        duel.introduceB()
        #expect(duel.b.agent.state == .connected)
        #expect(duel.b.agent.selected == AgentDuel.addressA)
    }

    @Test("loss, delay, jitter, reordering and duplication only cost time", arguments: [ICEAgent.Role.lite, .controlling])
    func badNetworks(roleOfB: ICEAgent.Role) {
        for seed in 0..<300 as Range<UInt64> {
            var random = RandomSource.seeded(seed)
            let profile = LinkProfile(
                loss: .random(in: 0...0.3, using: &random),
                delay: .milliseconds(Int.random(in: 0...300, using: &random)),
                jitter: .milliseconds(Int.random(in: 0...60, using: &random)),
                reorder: .random(in: 0...0.3, using: &random), duplicate: .random(in: 0...0.3, using: &random))
            var duel = AgentDuel(b: roleOfB, profile: profile, seed: seed)
            duel.introduce(candidatesOfA: roleOfB == .lite ? [] : [AgentDuel.addressA])
            #expect(duel.run(for: .seconds(15)) { $0.bothConnected }, "seed \(seed)")
            // And it stays: one minute of consent on the same network.
            duel.run(for: .seconds(60))
            #expect(duel.bothConnected, "seed \(seed) lost consent")
            #expect(duel.a.agent.selected == AgentDuel.addressB, "seed \(seed)")
            #expect(duel.b.agent.selected == AgentDuel.addressA, "seed \(seed)")
            #expect(duel.a.changes.isEmpty && duel.b.changes.isEmpty, "seed \(seed)")
        }
    }

    @Test("bursts that take a whole second are survived")
    func bursts() {
        for seed in 0..<100 as Range<UInt64> {
            let profile = LinkProfile(
                bursts: GilbertElliott(enterBad: 0.1, leaveBad: 0.3), delay: .milliseconds(30))
            var duel = AgentDuel(b: .lite, profile: profile, seed: seed)
            duel.introduce()
            #expect(duel.run(for: .seconds(15)) { $0.bothConnected }, "seed \(seed)")
        }
    }

    @Test("unreachable candidates ahead of the right one cost 50 ms each")
    func pacing() {
        var duel = AgentDuel(b: .lite, profile: LinkProfile(delay: .milliseconds(5)), seed: 4)
        let dead = (1...4).map { SocketAddress(ipv4: 0x0a00_0000 + UInt32($0), port: 9) }
        let start = duel.now
        duel.introduce(candidatesOfB: dead + [AgentDuel.addressB])
        #expect(duel.run(for: .seconds(5)) { $0.bothConnected })
        #expect(duel.a.connectedAt == start + .milliseconds(4 * 50 + 10))
        // Once connected, the dead ones are left alone.
        let sent = duel.a.agent.counters.checksSent
        duel.run(for: .seconds(3))
        #expect(duel.a.agent.counters.checksSent <= sent + 1)
    }

    @Test("a full agent learns the peer's address from its checks alone")
    func peerReflexive() {
        var duel = AgentDuel(b: .controlling, profile: LinkProfile(delay: .milliseconds(10)), seed: 5)
        // b, made controlled by the role conflict, knows a's address; a knows nothing of b's.
        duel.introduceA(candidatesOfB: [])
        duel.introduceB(candidatesOfA: [AgentDuel.addressA])
        #expect(duel.run(for: .seconds(5)) { $0.bothConnected })
        #expect(duel.a.agent.selected == AgentDuel.addressB)
        #expect(duel.a.agent.hasVerified(AgentDuel.addressB))
        #expect(!duel.a.agent.hasVerified(AgentDuel.addressA))
    }

    @Test("checks that arrive before the answer are remembered")
    func earlyChecks() {
        var duel = AgentDuel(b: .controlling, profile: LinkProfile(delay: .milliseconds(10)), seed: 6)
        duel.introduceB(candidatesOfA: [AgentDuel.addressA])
        duel.run(for: .seconds(1))
        #expect(duel.a.agent.state == .new)
        duel.introduceA(candidatesOfB: [])
        #expect(duel.run(for: .milliseconds(100)) { $0.a.agent.state == .connected })
    }

    @Test("two full agents that both want to control agree, whatever their tie-breakers")
    func roleConflict() {
        for seed in 0..<200 as Range<UInt64> {
            let profile = LinkProfile(loss: Double(seed % 4) * 0.05, delay: .milliseconds(Int(seed % 40)))
            var duel = AgentDuel(b: .controlling, profile: profile, seed: seed)
            duel.introduce(candidatesOfA: [AgentDuel.addressA])
            #expect(duel.run(for: .seconds(15)) { $0.bothConnected }, "seed \(seed)")
            duel.run(for: .seconds(20))
            let conflicts = duel.a.agent.counters.roleConflicts + duel.b.agent.counters.roleConflicts
            #expect((1...20).contains(conflicts), "seed \(seed): \(conflicts)")
            #expect(duel.bothConnected, "seed \(seed)")
        }
    }

    @Test("candidates can be added later")
    func trickle() {
        var duel = AgentDuel(b: .lite, seed: 7)
        duel.introduce(candidatesOfB: [])
        duel.run(for: .seconds(2))
        #expect(!duel.bothConnected)
        duel.introduceA()
        #expect(duel.run(for: .milliseconds(10)) { $0.bothConnected })
    }

    @Test("the same seed gives the same run")
    func deterministic() {
        func run() -> [Int] {
            let profile = LinkProfile(loss: 0.2, delay: .milliseconds(30), jitter: .milliseconds(30), reorder: 0.2)
            var duel = AgentDuel(b: .lite, profile: profile, seed: 99)
            duel.introduce()
            duel.run(for: .seconds(40))
            return duel.a.sent + [Int(duel.a.connectedAt?.nanoseconds ?? 0), duel.b.agent.counters.requestsAnswered]
        }
        #expect(run() == run())
    }
}
