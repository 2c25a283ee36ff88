// SPDX-License-Identifier: Apache-2.0
import ICE
import NetworkEmulator
import Primitives
import Testing

@Suite("ICE agents giving up, and moving")
struct ICEAgentTimeoutTests {
    @Test("nobody there: both fail with a timeout after 15 s, not earlier")
    func connectTimeout() {
        var duel = AgentDuel(b: .lite, profile: .down, seed: 1)
        duel.introduce()
        duel.run(for: .milliseconds(14_990))
        #expect(duel.a.failure == nil && duel.b.failure == nil)
        duel.run(for: .milliseconds(20))
        #expect(duel.a.failure == .timeout)
        #expect(duel.b.failure == .timeout)
        #expect(duel.a.agent.state == .failed)
        // Bounded effort: about one transmission every two seconds.
        #expect((8...12).contains(duel.a.sent.count))
    }

    @Test("a failed or closed agent is inert")
    func inert() {
        var duel = AgentDuel(b: .lite, profile: .down, seed: 2)
        duel.introduce()
        duel.run(for: .seconds(20))
        duel.b.agent.close()
        #expect(duel.b.agent.state == .failed)
        for agent in [duel.a.agent, duel.b.agent] {
            var agent = agent
            #expect(agent.nextDeadline == nil)
            #expect(agent.advance(to: duel.now + .seconds(100)).isEmpty)
            let check = STUNMessage.check(for: agent.configuration.local)
            #expect(agent.receive(check, from: AgentDuel.addressA, at: duel.now).isEmpty)
        }
    }

    @Test("a path that dies: consent is gone after 30 s on both sides")
    func consentLoss() {
        for seed in 0..<50 as Range<UInt64> {
            var duel = AgentDuel(b: .lite, profile: LinkProfile(delay: .milliseconds(10)), seed: seed)
            duel.introduce()
            duel.run(for: .seconds(120))
            #expect(duel.bothConnected)
            duel.setProfile(.down)
            duel.run(for: .milliseconds(23_000))
            #expect(duel.a.failure == nil && duel.b.failure == nil, "seed \(seed)")
            duel.run(for: .milliseconds(8_000))
            #expect(duel.a.failure == .consentExpired, "seed \(seed)")
            #expect(duel.b.failure == .consentExpired, "seed \(seed)")
        }
    }

    @Test("an outage of 15 s is survived")
    func outage() {
        for seed in 0..<50 as Range<UInt64> {
            let good = LinkProfile(loss: 0.05, delay: .milliseconds(10))
            var duel = AgentDuel(b: .lite, profile: good, seed: seed)
            duel.introduce()
            duel.run(for: .seconds(10))
            duel.setProfile(.down)
            duel.run(for: .seconds(15))
            duel.setProfile(good)
            duel.run(for: .seconds(60))
            #expect(duel.bothConnected, "seed \(seed)")
        }
    }

    @Test("a lite server lives on media alone")
    func mediaIsLiveness() {
        var duel = AgentDuel(b: .lite, seed: 3)
        duel.introduce()
        duel.run(for: .seconds(1))
        duel.setProfile(.down)
        for _ in 0..<60 {
            duel.run(for: .seconds(1))
            duel.b.agent.noteTraffic(at: duel.now)
        }
        #expect(duel.b.agent.state == .connected)
        #expect(duel.a.failure == .consentExpired)  // A full agent needs answers.
        duel.run(for: .seconds(31))
        #expect(duel.b.failure == .consentExpired)
    }

    @Test("consent checks come every 4 to 6 s, never in step")
    func consentInterval() {
        var duel = AgentDuel(b: .lite, seed: 4)
        duel.introduce()
        duel.run(for: .seconds(1))
        let before = duel.a.agent.counters.checksSent
        var times: [Instant] = []
        for _ in 0..<6000 {
            let sent = duel.a.agent.counters.checksSent
            duel.run(for: .milliseconds(100))
            if duel.a.agent.counters.checksSent > sent { times.append(duel.now) }
        }
        #expect((100...150).contains(duel.a.agent.counters.checksSent - before))
        let gaps = zip(times.dropFirst(), times).map { $0.milliseconds(since: $1) }
        #expect(gaps.allSatisfy { (3900...6100).contains($0) })
        #expect(Set(gaps).count > 5)
    }

    @Test("a NAT gives the client a new port: the lite server follows its next consent check")
    func rebindingTowardsLite() {
        for seed in 0..<100 as Range<UInt64> {
            var duel = AgentDuel(b: .lite, profile: LinkProfile(loss: 0.1, delay: .milliseconds(20)), seed: seed)
            duel.introduce()
            duel.run(for: .seconds(20))
            let moved = AgentDuel.addressA.withPort(50_123)
            duel.a.address = moved
            #expect(duel.run(for: .seconds(28)) { $0.b.agent.selected == moved }, "seed \(seed)")
            duel.run(for: .seconds(60))
            #expect(duel.bothConnected, "seed \(seed)")
            #expect(duel.b.changes == [moved], "seed \(seed)")
        }
    }

    @Test("a full peer that turns up elsewhere is followed once its old address is silent")
    func rebindingTowardsFull() {
        for seed in 0..<100 as Range<UInt64> {
            var duel = AgentDuel(b: .controlling, profile: LinkProfile(delay: .milliseconds(20)), seed: seed)
            duel.introduce(candidatesOfA: [AgentDuel.addressA])
            duel.run(for: .seconds(20))
            #expect(duel.bothConnected)
            let moved = AgentDuel.addressB.withPort(50_123)
            duel.b.address = moved
            #expect(duel.run(for: .seconds(29)) { $0.a.agent.selected == moved }, "seed \(seed)")
            duel.run(for: .seconds(90))
            #expect(duel.bothConnected, "seed \(seed)")
            #expect(duel.a.agent.selected == moved, "seed \(seed)")
        }
    }
}
