// SPDX-License-Identifier: Apache-2.0
import MediaIO
import Signalling
import Testing

@testable import MartletServer

@Suite("Rooms of sessions", .timeLimit(.minutes(1)))
struct RoomServiceTests {
    private func event(_ name: String, _ info: JSONValue, _ room: String = "r") -> RoomNews { .event(room: room, name: name, info: info) }

    @Test("join: ACCEPTED, then STATE; the others are told; a chat in any script goes to its addressee only and unharmed")
    func chat() async {
        let bench = RoomBench()
        let alice = await bench.client("alice")
        let bob = await bench.client("bob")
        let carol = await bench.client("carol")
        #expect(await alice.enter("r") == [])
        #expect(await bob.enter("r") == ["alice"])
        #expect(await carol.enter("r") == ["alice", "bob"])
        #expect(await alice.settled() == [event("JOINED", "bob"), event("JOINED", "carol")])
        #expect(await bob.settled() == [event("JOINED", "carol")])
        for text in ["Привет, мир", "你好", "שלום", "👩‍👩‍👧‍👦 🇺🇳 e\u{301}", "%D0%9F%D1%80%D0%B8%D0%B2%D0%B5%D1%82 100%", "", "a\u{0}\n\t\"\\"] {
            let id = alice.write(text, to: "bob", in: "r")
            #expect(await alice.news(until: id) == [.outcome(id, nil)])
            guard case .event("r", "MESSAGE", let info) = await bob.next() else { Issue.record("no MESSAGE"); return }
            #expect(info["from"] == "alice")
            #expect(info["text"]?.stringValue.map { Array($0.unicodeScalars) } == Array(text.unicodeScalars))
        }
        #expect(await carol.settled().isEmpty)
        await bench.close()
    }

    @Test("a stream is told to the others when it can be played, to late joiners in STATE, and its end to all")
    func streams() async {
        let bench = RoomBench(isAutomatic: false)
        let alice = await bench.client("alice")
        let bob = await bench.client("bob")
        _ = await alice.enter("r")
        _ = await bob.enter("r")
        #expect(await alice.next() == event("JOINED", "bob"))
        alice.publish("camera", "r-alice-1234", in: "r")
        alice.publish("screen", "r-alice-5678-screenShare", in: "r")
        #expect(await alice.next() == .answer("camera"))
        #expect(await alice.next() == .answer("screen"))
        #expect(await bob.settled().isEmpty)
        bench.sessions.engine.emit(.mediaStarted(FakeMediaEngine.media), "camera")
        #expect(await alice.next() == .status(.publishing, id: "camera", info: ""))
        #expect(await bob.next() == event("PUBLISHED", ["login": "alice", "name": "r-alice-1234"]))
        bench.sessions.engine.emit(.mediaStarted(FakeMediaEngine.media), "screen")
        #expect(await bob.next() == event("PUBLISHED", ["login": "alice", "name": "r-alice-5678-screenShare"]))
        let carol = await bench.client("carol")
        #expect(await carol.enter("r") == [
            ["login": "alice", "name": "r-alice-1234"], ["login": "alice", "name": "r-alice-5678-screenShare"], "bob",
        ])
        #expect(await bob.next() == event("JOINED", "carol"))
        alice.client.unPublish("camera")
        #expect(await bob.next() == event("UNPUBLISHED", ["login": "alice", "name": "r-alice-1234"]))
        bench.sessions.engine.emit(.failed(.iceConsentExpired), "screen")
        #expect(await bob.next() == event("FAILED", ["login": "alice", "name": "r-alice-5678-screenShare"]))
        // The publisher hears of its own streams by their status only.
        #expect(await alice.settled() == [
            .status(.publishing, id: "screen", info: ""), event("JOINED", "carol"), .status(.unpublished, id: "camera", info: "Stopped by user"),
            .status(.failed, id: "screen", info: "Failed by ICE keep alive"),
        ])
        await bench.close()
        #expect(bench.sessions.engine.openStreams == 0)
    }

    @Test("only participants publish and play in a room")
    func membersOnly() async {
        let bench = RoomBench()
        let alice = await bench.client("alice")
        let eve = await bench.client("eve")
        _ = await alice.enter("r")
        alice.publish("p", "r-alice", in: "r")
        _ = await alice.next()
        #expect(await alice.next() == .status(.publishing, id: "p", info: ""))
        let refused = "Restricted access"
        eve.publish("e1", "r-eve", in: "r")
        #expect(await eve.next() == .status(.failed, id: "e1", info: refused))
        eve.publish("e2", "x", in: "no such room")
        #expect(await eve.next() == .status(.failed, id: "e2", info: refused))
        eve.play("e3", "r-alice", in: "r")
        #expect(await eve.next() == .status(.failed, id: "e3", info: refused))
        // Nor by leaving out the room, which old clients do when they play.
        eve.play("e4", "r-alice", in: nil)
        #expect(await eve.next() == .status(.failed, id: "e4", info: refused))
        eve.client.send(.availableStream(StreamIdentity(mediaSessionID: "e5", name: "r-alice", published: false)))
        guard case .available(let answer)? = await eve.client.next() else { Issue.record("no answer"); return }
        #expect(!answer.isAvailable && answer.info == refused)
        _ = await eve.enter("r")
        eve.play("e6", "r-alice", in: nil)
        #expect(await eve.next() == .answer("e6"))
        #expect(await eve.next() == .status(.playing, id: "e6", info: ""))
        // Outside of rooms nothing changes.
        eve.publish("e7", "plain", in: nil)
        #expect(await eve.next() == .answer("e7"))
        await bench.close()
    }

    @Test("a stream of a room may be opened to those who know its name")
    func openPlaying() async {
        let bench = RoomBench { $0.playsForMembersOnly = false }
        let alice = await bench.client("alice")
        let eve = await bench.client("eve")
        _ = await alice.enter("r")
        alice.publish("p", "r-alice", in: "r")
        _ = await alice.next()
        _ = await alice.next()
        eve.play("e", "r-alice", in: nil)
        #expect(await eve.next() == .answer("e"))
        #expect(await eve.next() == .status(.playing, id: "e", info: ""))
        await bench.close()
    }

    @Test("leave ends what one publishes and plays there, and only there; what is published after it is refused")
    func leaving() async {
        let bench = RoomBench()
        let alice = await bench.client("alice")
        let bob = await bench.client("bob")
        _ = await alice.enter("r")
        _ = await alice.enter("s")
        _ = await bob.enter("r")
        _ = await alice.next()
        bob.publish("b", "r-bob", in: "r")
        _ = await bob.next()
        _ = await bob.next()
        #expect(await alice.next() == event("PUBLISHED", ["login": "bob", "name": "r-bob"]))
        alice.publish("a1", "r-alice", in: "r")
        alice.publish("a2", "s-alice", in: "s")
        alice.play("a3", "r-bob", in: "r")
        for _ in 0..<6 { _ = await alice.next() }
        let id = alice.leave("r")
        alice.publish("a4", "r-alice-late", in: "r")
        var news = await alice.news(until: id)
        news += await alice.settled()
        #expect(news.contains(.outcome(id, nil)))
        #expect(news.contains(.status(.unpublished, id: "a1", info: "Stopped by user")))
        #expect(news.contains(.status(.stopped, id: "a3", info: "Stopped by user")))
        #expect(news.contains(.status(.failed, id: "a4", info: "Restricted access")))
        #expect(!news.contains { if case .status(_, "a2", _) = $0 { true } else { false } })
        // The stops that clients send afterwards are taken silently.
        alice.client.unPublish("a1")
        alice.client.stop("a3")
        #expect(await alice.settled().isEmpty)
        #expect(await bob.settled() == [
            event("PUBLISHED", ["login": "alice", "name": "r-alice"]), event("UNPUBLISHED", ["login": "alice", "name": "r-alice"]),
            event("LEFT", "alice"),
        ])
        await bench.close()
    }

    @Test("a lost socket is told to the others at once, streams first")
    func loss() async {
        let bench = RoomBench()
        let alice = await bench.client("alice")
        let bob = await bench.client("bob")
        _ = await alice.enter("r")
        _ = await bob.enter("r")
        alice.publish("p", "r-alice", in: "r")
        #expect(await bob.next() == event("PUBLISHED", ["login": "alice", "name": "r-alice"]))
        bob.play("b", "r-alice", in: "r")
        #expect(await bob.next() == .answer("b"))
        #expect(await bob.next() == .status(.playing, id: "b", info: ""))
        await alice.client.disconnect()
        #expect(await bob.next() == .status(.failed, id: "b", info: "Stopped by publisher stop"))
        #expect(await bob.next() == event("UNPUBLISHED", ["login": "alice", "name": "r-alice"]))
        #expect(await bob.next() == event("LEFT", "alice"))
        await bench.close()
    }

    @Test("the room of a lost participant ends after the idle time, that of one who left at once")
    func idleTime() async {
        let bench = RoomBench { $0.idleTimeout = .milliseconds(20) }
        let alice = await bench.client("alice")
        _ = await alice.enter("left")
        _ = await alice.news(until: alice.leave("left"))
        #expect(bench.lifeEvents == [.opened(room: "left"), .ended(room: "left")])
        _ = await alice.news(until: alice.join("lost", record: true))
        await alice.client.disconnect()
        while await bench.rooms.model.count > 0 { await Task.yield() }
        #expect(bench.lifeEvents.dropFirst(2) == [.opened(room: "lost"), .recordingRequested(room: "lost"), .ended(room: "lost")])
        await bench.close()
    }

    @Test("join, leave, join 200 times without a pause: no refusal, no ghost")
    func rejoining() async {
        let bench = RoomBench()
        let watcher = await bench.client("watcher")
        let alice = await bench.client("alice")
        _ = await watcher.enter("r")
        var operations: [String] = []
        for index in 0..<200 {
            operations.append(alice.join("r"))
            alice.publish("p\(index)", "r-alice", in: "r")
            operations.append(alice.leave("r"))
        }
        operations.append(alice.join("r"))
        var refused: [RoomNews] = []
        for id in operations {
            for news in await alice.news(until: id) {
                if case .outcome(_, .some) = news { refused.append(news) }
                if case .status(.failed, _, _) = news { refused.append(news) }
            }
        }
        #expect(refused.isEmpty)
        #expect(await bench.rooms.model.room("r")?.participants.map(\.login) == ["watcher", "alice"])
        #expect(bench.sessions.engine.openStreams == 0)
        let told = await watcher.settled()
        #expect(told.count { $0 == event("JOINED", "alice") } == 201)
        #expect(told.count { $0 == event("LEFT", "alice") } == 200)
        #expect(told.last == event("JOINED", "alice"))
        await bench.close()
    }

    @Test("a leave by one connection and a join by another of the same login never get into each other's way")
    func rejoiningElsewhere() async {
        let bench = RoomBench(isAutomatic: false)
        for round in 0..<100 {
            let old = await bench.client("alice")
            #expect(await old.enter("r") == [])
            // The old connection's session is busy with an offer when the leave comes.
            bench.sessions.engine.hold()
            old.publish("p\(round)", "r-alice-\(round)", in: "r")
            let leave = old.leave("r")
            let new = await bench.client("alice")
            let join = new.join("r")
            await Task.yield()
            bench.sessions.engine.release()
            #expect(await old.news(until: leave).last == .outcome(leave, nil))
            // The old one is a browser: it answers the ping that finds out whether it is there.
            let answering = Task { [old = UncheckedClient(old)] in while await old.client.next() != .ended {} }
            #expect(await new.news(until: join).last == .outcome(join, nil), "round \(round)")
            await old.client.disconnect()
            await answering.value
            await new.client.disconnect()
        }
        await bench.close()
    }

    @Test("a login that is there is refused to others, in the vendor's words, and nothing of the refused one stays")
    func duplicate() async {
        let bench = RoomBench()
        let alice = await bench.client("alice")
        let again = await bench.client("alice")
        #expect(await alice.enter("r") == [])
        let twice = alice.join("r")
        #expect(await alice.news(until: twice) == [.outcome(twice, "Room already has user with such login")])
        let id = again.join("r")
        let answering = Task { [alice = UncheckedClient(alice)] in while await alice.client.next() != .ended {} }
        #expect(await again.news(until: id) == [.outcome(id, "Room already has user with such login")])
        #expect(await again.settled().isEmpty)
        #expect(await again.enter("s") == [])
        await again.client.disconnect()
        await alice.client.disconnect()
        _ = await answering.value
        await bench.close()
    }

    @Test("whoever does not answer is believed to be there, until it has missed two pings; then its place is given away")
    func silentHolder() async {
        let bench = RoomBench()
        let alice = await bench.client("alice", presenceTimeout: .milliseconds(10))
        let bob = await bench.client("bob")
        _ = await alice.enter("r")
        _ = await bob.enter("r")
        let again = await bench.client("alice")
        let first = again.join("r")
        #expect(await again.news(until: first) == [.outcome(first, "Room already has user with such login")])
        alice.client.session.post(.keepAliveDue)
        alice.client.session.post(.keepAliveDue)
        #expect(await again.enter("r") == ["bob"])
        #expect(await bob.next() == event("LEFT", "alice"))
        #expect(await bob.next() == event("JOINED", "alice"))
        // The old connection is closed, and its end changes nothing any more.
        while await alice.next() != .ended {}
        await alice.client.disconnect()
        #expect(await bench.rooms.model.room("r")?.participants.map(\.login) == ["bob", "alice"])
        await bench.close()
    }

    @Test("the place of a connection that is gone is free at once")
    func reloadedPage() async {
        let bench = RoomBench()
        for _ in 0..<50 {
            let old = await bench.client("alice")
            _ = await old.enter("r")
            old.client.session.post(.closed("reload"))
            let new = await bench.client("alice")
            #expect(await new.enter("r") == [])
            await new.client.disconnect()
        }
        await bench.close()
    }

    @Test("two who join at the same moment see each other, one by STATE and one by JOINED")
    func sameMoment() async {
        let bench = RoomBench()
        for round in 0..<100 {
            let alice = await bench.client("alice")
            let bob = await bench.client("bob")
            let room = "r\(round)"
            alice.join(room)
            bob.join(room)
            let ids = [alice.leave("nowhere"), bob.leave("nowhere")]
            var all: [RoomNews] = await alice.news(until: ids[0])
            all += await bob.news(until: ids[1])
            all += await alice.settled()
            all += await bob.settled()
            #expect(all.count { $0 == .event(room: room, name: "STATE", info: []) } == 1)
            let (aliceByState, bobByState) = (
                all.contains(.event(room: room, name: "STATE", info: ["bob"])), all.contains(.event(room: room, name: "STATE", info: ["alice"])))
            #expect(aliceByState != bobByState)
            #expect(all.contains(.event(room: room, name: "JOINED", info: aliceByState ? "alice" : "bob")))
            await alice.client.disconnect()
            await bob.client.disconnect()
        }
        await bench.close()
    }

    @Test(
        "malformed commands are refused with a reason",
        arguments: [
            ("{}", "\"command\" is missing or not a string"), ("null", "\"command\" is missing or not a string"), ("[1]", "\"command\" is missing or not a string"),
            (#"{"command":7}"#, "\"command\" is missing or not a string"),
            (#"{"command":"fly"}"#, "Unknown room command \"fly\""), (#"{"command":"join"}"#, "join: \"name\" is missing"),
            (#"{"command":"join","options":[]}"#, "join: \"name\" is missing"), (#"{"command":"join","options":{"name":null}}"#, "join: \"name\" is missing"),
            (#"{"command":"join","options":{"name":""}}"#, "join: \"name\" is empty"), (#"{"command":"join","options":{"name":{}}}"#, "join: \"name\" must be a string"),
            (#"{"command":"join","options":{"name":"x","record":{}}}"#, "join: \"record\" must be true or false"),
            (#"{"command":"leave","options":{"name":5}}"#, "leave: \"name\" must be a string"),
            (#"{"command":"leave","options":{"name":"other"}}"#, "You are not in room \"other\""),
            (#"{"command":"sendMessage","options":{"to":"bob","text":"x"}}"#, "sendMessage: \"roomConfig\" is missing"),
            (#"{"command":"sendMessage","options":{"roomConfig":"r","to":"bob","text":"x"}}"#, "sendMessage: \"roomConfig\" must be an object"),
            (#"{"command":"sendMessage","options":{"roomConfig":{},"to":"bob","text":"x"}}"#, "sendMessage: \"roomConfig.name\" is missing"),
            (#"{"command":"sendMessage","options":{"roomConfig":{"name":"r"},"text":"x"}}"#, "sendMessage: \"to\" is missing"),
            (#"{"command":"sendMessage","options":{"roomConfig":{"name":"r"},"to":"bob","text":["x"]}}"#, "sendMessage: \"text\" must be a string"),
            (#"{"command":"sendMessage","options":{"roomConfig":{"name":"r"},"to":"bob","text":"x"}}"#, "Room has no participant \"bob\""),
            (#"{"command":"sendMessage","options":{"roomConfig":{"name":"r"},"to":"alice","text":"x"}}"#, "A message needs somebody else as its addressee"),
            (#"{"command":"sendMessage","options":{"roomConfig":{"name":"s"},"to":"bob","text":"x"}}"#, "You are not in room \"s\""),
        ])
    func malformed(payload: String, info: String) async throws {
        let bench = RoomBench()
        let alice = await bench.client("alice")
        _ = await alice.enter("r")
        let id = alice.send(try JSONValue(parsing: payload))
        #expect(await alice.news(until: id) == [.outcome(id, info)])
        #expect(await bench.rooms.model.all.map(\.name) == ["r"])
        #expect(await bench.rooms.model.room("r")?.participants.map(\.login) == ["alice"])
        await bench.close()
    }

    @Test("huge names and texts are refused, and not sent back")
    func huge() async {
        let bench = RoomBench()
        let alice = await bench.client("alice")
        let bob = await bench.client("bob")
        _ = await alice.enter("r")
        _ = await bob.enter("r")
        _ = await alice.next()
        let huge = String(repeating: "я", count: 400_000)
        for id in [alice.write(huge, to: "bob", in: "r"), alice.write("x", to: huge, in: "r"), alice.join(huge), alice.send(["command": .string(huge)])] {
            guard case .outcome(_, let info?)? = await alice.news(until: id).last else { Issue.record("not refused"); continue }
            #expect(!info.isEmpty && info.utf8.count < 400)
        }
        #expect(await bob.settled().isEmpty)
        await bench.close()
    }

    @Test("a login is needed to join; other applications may send what they like")
    func otherApplications() async {
        let bench = RoomBench()
        let nameless = await bench.client(nil)
        let id = nameless.join("r")
        #expect(await nameless.news(until: id) == [.outcome(id, "A login is needed: connect with custom.login")])
        let plain = bench.sessions.client(application: bench.rooms)
        await plain.connect(ConnectionRequest(appKey: "defaultApp"))
        let client = RoomClient(plain)
        for payload in [["count": 1], ["command": "fly"], "text", nil] as [JSONValue] {
            let id = client.send(payload)
            #expect(await client.news(until: id) == [.outcome(id, nil)])
        }
        // Whatever its application key, who has a login may join.
        let own = bench.sessions.client(application: bench.rooms)
        await own.connect(ConnectionRequest(appKey: "myApp", custom: ["login": "alice"]))
        #expect(await RoomClient(own).enter("r") == [])
        await bench.close()
    }

    @Test("a participant who is put out, and all of a terminated room, are warned and their streams end")
    func management() async {
        let bench = RoomBench()
        let alice = await bench.client("alice")
        let bob = await bench.client("bob")
        _ = await alice.enter("r")
        _ = await bob.enter("r")
        _ = await alice.next()
        bob.publish("b", "r-bob", in: "r")
        _ = await bob.next()
        _ = await bob.next()
        _ = await alice.next()
        #expect(await bench.rooms.kick("nobody", from: "r") == false)
        #expect(await bench.rooms.kick("bob", from: "r"))
        #expect(await alice.next() == event("UNPUBLISHED", ["login": "bob", "name": "r-bob"]))
        #expect(await alice.next() == event("LEFT", "bob"))
        #expect(await bob.next() == .warning("You have been removed from room \"r\"", event: "KICKED"))
        #expect(await bob.next() == .status(.failed, id: "b", info: "Stopped by rest /terminate"))
        #expect(await bob.enter("r") == ["alice"])
        _ = await alice.next()
        #expect(await bench.rooms.announce("soon over", from: "server", to: nil, in: "r"))
        #expect(await alice.next() == event("MESSAGE", ["from": "server", "text": "soon over"]))
        #expect(await bob.next() == event("MESSAGE", ["from": "server", "text": "soon over"]))
        #expect(await bench.rooms.terminate("r"))
        #expect(await bench.rooms.terminate("r") == false)
        #expect(await alice.next() == .warning("Room \"r\" has been closed", event: "TERMINATED"))
        #expect(await bob.next() == .warning("Room \"r\" has been closed", event: "TERMINATED"))
        #expect(await bench.rooms.model.count == 0)
        #expect(await alice.enter("r") == [])
        await bench.close()
    }

    @Test("a stream that becomes ready after its publisher was put out is ended, not shown")
    func lateMedia() async {
        let bench = RoomBench(isAutomatic: false)
        let alice = await bench.client("alice")
        _ = await alice.enter("r")
        bench.sessions.engine.hold()
        alice.publish("p", "r-alice", in: "r")
        while await !bench.sessions.registry.isTaken("r-alice") { await Task.yield() }
        #expect(await bench.rooms.kick("alice", from: "r"))
        bench.sessions.engine.release()
        #expect(await alice.settled() == [
            .warning("You have been removed from room \"r\"", event: "KICKED"), .status(.failed, id: "p", info: "Stopped by rest /terminate"),
        ])
        #expect(bench.sessions.engine.openStreams == 0)
        await bench.close()
    }
}

/// A client handed to a task; whoever made the task does not touch it until the task is over.
struct UncheckedClient: @unchecked Sendable {
    let client: RoomClient
    init(_ client: RoomClient) { self.client = client }
}
