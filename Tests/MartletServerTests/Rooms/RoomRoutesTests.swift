// SPDX-License-Identifier: Apache-2.0
import Signalling
import Synchronization
import Testing

@testable import MartletServer

@Suite("Rooms over REST", .timeLimit(.minutes(1)))
struct RoomRoutesTests {
    private func call(_ bench: RoomBench, _ path: String, _ body: JSONValue? = nil) async throws -> RESTReply {
        let routes = RoomRoutes(rooms: bench.rooms, streams: bench.sessions.registry, wallClock: { 1_800_000_000_000 })
        let route = try #require(routes.restRoutes.first { $0.path == path })
        return try await route.handle(body)
    }

    private func failure(_ bench: RoomBench, _ path: String, _ body: JSONValue? = nil) async -> RESTFailure? {
        do {
            _ = try await call(bench, path, body)
            return nil
        } catch { return error as? RESTFailure }
    }

    @Test("rooms are found with their participants and streams")
    func find() async throws {
        let bench = RoomBench()
        #expect(await failure(bench, "room/find_all")?.status == 404)
        let alice = await bench.client("alice")
        let bob = await bench.client("bob")
        _ = await alice.news(until: alice.join("r", record: true))
        _ = await bob.enter("r")
        _ = await bob.enter("s")
        alice.publish("p", "r-alice", in: "r")
        while await alice.next() != .status(.publishing, id: "p", info: "") {}
        _ = await alice.settled()
        let all = try #require(try await call(bench, "room/find_all").body?.arrayValue)
        #expect(all.map { $0["name"] } == ["r", "s"])
        let room = try #require(try await call(bench, "room/find", ["name": "r"]).body?.arrayValue?.first)
        #expect(room["record"] == true)
        #expect(room["status"] == "ACTIVE")
        #expect(try #require(room["createDate"]?.intValue) <= 1_800_000_000_000)
        let participants = try #require(room["participants"]?.arrayValue)
        #expect(participants.map { $0["login"] } == ["alice", "bob"])
        #expect(participants[0]["sessionId"]?.stringValue == alice.client.session.id)
        #expect(participants[0]["streams"]?.arrayValue?.map { $0["name"] } == ["r-alice"])
        #expect(participants[0]["streams"]?[0]?["mediaSessionId"] == "p")
        #expect(participants[1]["streams"] == [])
        #expect(try await call(bench, "room/find", ["login": "alice"]).body?.arrayValue?.count == 1)
        #expect(await failure(bench, "room/find", ["name": "nothing"])?.status == 404)
        #expect(await failure(bench, "room/find", ["colour": "red"])?.status == 400)
        #expect(await failure(bench, "room/find", ["name": 7])?.status == 400)
        await alice.client.disconnect()
        await bob.client.disconnect()
        #expect(try await call(bench, "room/find", ["name": "r"]).body?.arrayValue?.first?["status"] == "IDLE")
        await bench.close()
    }

    @Test("a room's date is the same whenever one asks, until the machine's clock is set anew")
    func dates() async throws {
        let bench = RoomBench()
        let alice = await bench.client("alice")
        _ = await alice.enter("r")
        // Between the reading of one clock and of the other there are always some milliseconds, and never the same.
        let wall = Mutex<Int64>(1_800_000_000_000)
        let routes = RoomRoutes(rooms: bench.rooms, streams: bench.sessions.registry, wallClock: { wall.withLock { $0 } })
        let route = try #require(routes.restRoutes.first { $0.path == "room/find_all" })
        func date() async throws -> Int? { try await route.handle(nil).body?.arrayValue?.first?["createDate"]?.intValue }
        let first = try #require(try await date())
        wall.withLock { $0 += 1 }
        #expect(try await date() == first)
        wall.withLock { $0 -= 2 }
        #expect(try await date() == first)
        wall.withLock { $0 += 3_600_000 }
        #expect(abs(try #require(try await date()) - first - 3_600_000) < 1_000)
        await alice.client.disconnect()
        await bench.close()
    }

    @Test("messages, kicks and terminations act, and say what is missing or not there")
    func act() async throws {
        let bench = RoomBench { $0.maximumMessageLength = 100 }
        let alice = await bench.client("alice")
        let bob = await bench.client("bob")
        _ = await alice.enter("r")
        _ = await bob.enter("r")
        _ = await alice.next()
        _ = try await call(bench, "room/send_message", ["name": "r", "text": "всем", "from": "bob"])
        #expect(await alice.next() == .event(room: "r", name: "MESSAGE", info: ["from": "bob", "text": "всем"]))
        #expect(await bob.settled().isEmpty)
        _ = try await call(bench, "room/send_message", ["name": "r", "text": "hi", "to": "bob"])
        #expect(await bob.next() == .event(room: "r", name: "MESSAGE", info: ["from": "server", "text": "hi"]))
        for (path, body, status) in [
            ("room/send_message", ["name": "r"], 400), ("room/send_message", ["name": "x", "text": "t"], 404),
            ("room/send_message", ["name": "r", "text": "t", "to": "x"], 404),
            ("room/send_message", ["name": "r", "text": .string(String(repeating: "x", count: 101))], 400),
            ("room/kick", ["name": "r"], 400), ("room/kick", ["name": "r", "login": "x"], 404), ("room/kick", ["name": "x", "login": "bob"], 404),
            ("room/terminate", [:], 400), ("room/terminate", ["name": "x"], 404), ("room/terminate", nil, 400), ("room/terminate", [], 400),
        ] as [(String, JSONValue, Int)] {
            #expect(await failure(bench, path, body)?.status == status, "\(path) \(body)")
        }
        _ = try await call(bench, "room/kick", ["name": "r", "login": "bob"])
        #expect(await alice.next() == .event(room: "r", name: "LEFT", info: "bob"))
        #expect(await failure(bench, "room/send_message", ["name": "r", "text": "t", "from": "alice"])?.status == 404)
        _ = try await call(bench, "room/terminate", ["name": "r"])
        #expect(await bench.rooms.model.count == 0)
        await bench.close()
    }
}
