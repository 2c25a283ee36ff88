// SPDX-License-Identifier: Apache-2.0
import Signalling
import Testing

@testable import MartletServer

@Suite("Telling a room who speaks", .timeLimit(.minutes(1)))
struct RoomSpeakersTests {
    private func levels(_ client: RoomClient, isolation: isolated (any Actor)? = #isolation) async -> [String] {
        let id = client.leave("nowhere")
        var told: [String] = []
        while let message = await client.client.next() {
            if case .dataStatus(let status) = message, status.operationID == id { break }
            if case .streamEvent(let event) = message, event.known == .audioLevel {
                told.append("\(event.mediaSessionID) \(event.payload?["loudest"]?.boolValue == true) \(event.payload?["level"]?.intValue ?? -1)")
            }
        }
        return told
    }

    private func wait(for status: StreamStatus, _ client: RoomClient, isolation: isolated (any Actor)? = #isolation) async {
        while true {
            let news = await client.next()
            if case .status(status, _, _) = news { return }
            if news == .ended {
                Issue.record("\(status) never came")
                return
            }
        }
    }

    @Test("the publisher and everybody who plays the stream are told, the old one first; who comes later is told as well")
    func told() async {
        let bench = RoomBench()
        let speakers = RoomSpeakers(rooms: bench.rooms, streams: bench.sessions.registry, logger: silentLogger())
        let (alice, bob, carol) = (await bench.client("alice"), await bench.client("bob"), await bench.client("carol"))
        for client in [alice, bob] { _ = await client.enter("r") }
        alice.publish("a", "r-alice", in: "r")
        await wait(for: .publishing, alice)
        bob.publish("b", "r-bob", in: "r")
        await wait(for: .publishing, bob)
        alice.play("ab", "r-bob", in: "r")
        await wait(for: .playing, alice)
        bob.play("ba", "r-alice", in: "r")
        await wait(for: .playing, bob)

        bench.sessions.engine.setLevel(20, "a")
        bench.sessions.engine.setLevel(127, "b")
        let start = ContinuousClock.now
        await speakers.look(at: start)
        await speakers.look(at: start + .milliseconds(200))
        #expect(await levels(alice) == ["a true 20"])
        #expect(await levels(bob) == ["ba true 20"])

        _ = await carol.enter("r")
        carol.play("ca", "r-alice", in: "r")
        await wait(for: .playing, carol)
        #expect(await levels(carol) == ["ca true 20"])

        bench.sessions.engine.setLevel(100, "a")
        bench.sessions.engine.setLevel(30, "b")
        for i in 2..<6 { await speakers.look(at: start + .milliseconds(200 * i)) }
        #expect(await levels(alice) == ["a false 100", "ab true 30"])
        #expect(await levels(bob) == ["ba false 100", "b true 30"])
        #expect(await levels(carol) == ["ca false 100"])

        // Alone, nobody needs a mark.
        for client in [alice, carol] { _ = await client.news(until: client.leave("r")) }
        await speakers.look(at: start + .seconds(3))
        #expect(await levels(bob) == ["b false 127"])
        await bench.close()
    }

    @Test("the engine is asked to withhold silence of a room's streams only when the setting says so")
    func withholding() async {
        for isOn in [false, true] {
            let bench = RoomBench { $0.withholdsSilence = isOn }
            let alice = await bench.client("alice")
            _ = await alice.enter("r")
            alice.publish("free", "free", in: nil)
            await wait(for: .publishing, alice)
            alice.publish("a", "r-alice", in: "r")
            await wait(for: .publishing, alice)
            // PUBLISHING is told first.
            _ = await alice.settled()
            #expect(bench.sessions.engine.state.withLock { $0.withheld.count } == (isOn ? 1 : 0))
            await bench.close()
        }
    }
}
