// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing

@testable import MartletServer

@Suite("The room model")
struct RoomModelTests {
    private let start = ContinuousClock.now

    private func model(_ change: (inout RoomLimits) -> Void = { _ in }) -> RoomModel {
        var limits = RoomLimits()
        change(&limits)
        return RoomModel(limits: limits)
    }

    private func refusal(_ body: () throws(RoomRefusal) -> RoomStep) -> RoomRefusal? {
        do {
            _ = try body()
            return nil
        } catch { return error }
    }

    @Test("the first to join makes the room and finds it empty; the second finds the first, who is told")
    func joining() throws {
        var model = model()
        let first = try model.join("r", login: "alice", as: "a", at: start)
        #expect(first.deliveries == [RoomDelivery(room: "r", recipients: ["a"], event: .state([]))])
        #expect(first.life == [.opened(room: "r")])
        let second = try model.join("r", login: "bob", as: "b", at: start)
        #expect(second.deliveries == [
            RoomDelivery(room: "r", recipients: ["b"], event: .state([.participant(login: "alice")])),
            RoomDelivery(room: "r", recipients: ["a"], event: .joined(login: "bob")),
        ])
        #expect(second.life.isEmpty)
    }

    @Test("STATE lists a participant by its streams, each once, or plainly when it has none")
    func mixedState() throws {
        var model = model()
        _ = try model.join("r", login: "alice", as: "a", at: start)
        _ = try model.join("r", login: "bob", as: "b", at: start)
        _ = model.publish(RoomStream(mediaSessionID: "1", name: "camera"), in: "r", by: "b")
        _ = model.publish(RoomStream(mediaSessionID: "2", name: "screenShare"), in: "r", by: "b")
        let step = try model.join("r", login: "carol", as: "c", at: start)
        #expect(step.deliveries.first?.event == .state([
            .participant(login: "alice"), .stream(login: "bob", name: "camera"), .stream(login: "bob", name: "screenShare"),
        ]))
        #expect(step.deliveries.first?.event.payload(room: "r") == [
            "roomName": "r", "name": "STATE", "info": ["alice", ["login": "bob", "name": "camera"], ["login": "bob", "name": "screenShare"]],
        ])
    }

    @Test("whoever leaves takes its streams along, and the last one the room")
    func leaving() throws {
        var model = model()
        _ = try model.join("r", login: "alice", as: "a", at: start)
        _ = try model.join("r", login: "bob", as: "b", at: start)
        let stream = RoomStream(mediaSessionID: "1", name: "camera")
        _ = model.publish(stream, in: "r", by: "a")
        let step = try model.leave("r", "a", at: start)
        #expect(step.deliveries == [
            RoomDelivery(room: "r", recipients: ["b"], event: .unpublished(login: "alice", stream: "camera")),
            RoomDelivery(room: "r", recipients: ["b"], event: .left(login: "alice")),
        ])
        #expect(step.life == [.streamEnded(room: "r", login: "alice", stream)])
        #expect(refusal { () throws(RoomRefusal) in try model.leave("r", "a", at: start) } == .notInRoom("r"))
        #expect(try model.leave("r", "b", at: start).life == [.ended(room: "r")])
        #expect(model.count == 0)
        #expect(model.nextDeadline == nil)
    }

    @Test("a room whose last participant was lost is kept for the idle time, with what it was told at the start")
    func idleTime() throws {
        var model = model { $0.idleTimeout = .seconds(60) }
        #expect(try model.join("r", login: "alice", as: "a", record: true, at: start).life
            == [.opened(room: "r"), .recordingRequested(room: "r")])
        _ = model.lose("a", at: start + .seconds(10))
        #expect(model.room("r")?.idleSince == start + .seconds(10))
        #expect(model.expire(at: start + .seconds(69)).life.isEmpty)
        // Somebody comes back in time: the same room, still to be recorded.
        #expect(try model.join("r", login: "alice", as: "a2", at: start + .seconds(69)).life.isEmpty)
        #expect(model.room("r")?.isRecorded == true)
        #expect(model.nextDeadline == nil)
        _ = model.lose("a2", at: start + .seconds(100))
        #expect(model.nextDeadline == start + .seconds(160))
        #expect(model.expire(at: start + .seconds(160)).life == [.ended(room: "r")])
        #expect(model.count == 0)
    }

    @Test("a lost participant is told to the others at once, and its room lives on with them")
    func loss() throws {
        var model = model()
        _ = try model.join("r", login: "alice", as: "a", at: start)
        _ = try model.join("r", login: "bob", as: "b", at: start)
        _ = try model.join("s", login: "alice", as: "a", at: start)
        #expect(model.lose("a", at: start).deliveries == [RoomDelivery(room: "r", recipients: ["b"], event: .left(login: "alice"))])
        #expect(model.room("s")?.idleSince == start)
        #expect(try model.leave("r", "b", at: start).life == [.ended(room: "r")])
    }

    @Test("a login is in a room once; logins and rooms differ by every code point")
    func logins() throws {
        var model = model()
        _ = try model.join("r", login: "\u{e9}", as: "a", at: start)
        #expect(refusal { () throws(RoomRefusal) in try model.join("r", login: "\u{e9}", as: "b", at: start) } == .loginTaken(holder: "a"))
        #expect(refusal { () throws(RoomRefusal) in try model.join("r", login: "other", as: "a", at: start) } == .loginTaken(holder: "a"))
        // To a browser "é" and "e" with an accent are two logins.
        _ = try model.join("r", login: "e\u{301}", as: "b", at: start)
        _ = try model.join("caf\u{e9}", login: "x", as: "c", at: start)
        _ = try model.join("cafe\u{301}", login: "x", as: "d", at: start)
        #expect(model.count == 3)
        let step = try model.sendMessage("hello", to: "e\u{301}", in: "r", from: "a", at: start)
        #expect(step.deliveries.map(\.recipients) == [["b"]])
    }

    @Test("bounds are kept with a refusal that says which")
    func bounds() throws {
        var model = model {
            $0.maximumParticipants = 2
            $0.maximumRooms = 2
            $0.maximumRoomsPerSession = 2
            $0.maximumMessageLength = 8
        }
        _ = try model.join("r", login: "1", as: "a", at: start)
        _ = try model.join("r", login: "2", as: "b", at: start)
        #expect(refusal { () throws(RoomRefusal) in try model.join("r", login: "3", as: "c", at: start) } == .roomFull(maximum: 2))
        _ = try model.join("s", login: "1", as: "a", at: start)
        #expect(refusal { () throws(RoomRefusal) in try model.join("t", login: "1", as: "a", at: start) } == .tooManyRoomsOfSession(maximum: 2))
        #expect(refusal { () throws(RoomRefusal) in try model.join("t", login: "3", as: "c", at: start) } == .tooManyRooms)
        #expect(refusal { () throws(RoomRefusal) in try model.sendMessage("ддддд", to: "2", in: "r", from: "a", at: start) } == .messageTooLong(maximum: 8))
        #expect(refusal { () throws(RoomRefusal) in try model.sendMessage("x", to: "9", in: "r", from: "a", at: start) } == .noSuchParticipant(login: "9"))
        #expect(refusal { () throws(RoomRefusal) in try model.sendMessage("x", to: "1", in: "r", from: "a", at: start) } == .messageToOneself)
        #expect(refusal { () throws(RoomRefusal) in try model.sendMessage("x", to: "1", in: "r", from: "c", at: start) } == .notInRoom("r"))
        // A refused join has left nothing behind.
        #expect(!model.isAnywhere("c"))
        // An empty room that is only kept gives way.
        _ = try model.leave("s", "a", at: start)
        _ = try model.join("s", login: "4", as: "d", at: start)
        _ = model.lose("d", at: start)
        #expect(try model.join("t", login: "3", as: "c", at: start).life == [.ended(room: "s"), .opened(room: "t")])
    }

    @Test("messages are limited per second and addressee, so that a line of chat reaches a full room")
    func messageRate() throws {
        var model = model { $0.maximumMessageRate = 2 }
        for index in 0..<50 { _ = try model.join("r", login: "\(index)", as: "s\(index)", at: start) }
        for _ in 0..<10 {
            for index in 1..<50 { _ = try model.sendMessage("hi", to: "\(index)", in: "r", from: "s0", at: start) }
        }
        #expect(refusal { () throws(RoomRefusal) in try model.sendMessage("hi", to: "1", in: "r", from: "s0", at: start) } == .tooManyMessages(perSecond: 2))
        // Nobody else has to wait for that, and half a second later the next line passes.
        _ = try model.sendMessage("hi", to: "1", in: "r", from: "s2", at: start)
        for index in 1..<50 { _ = try model.sendMessage("hi", to: "\(index)", in: "r", from: "s0", at: start + .milliseconds(501)) }
    }

    @Test("one address opens so many rooms and no more; others open theirs")
    func roomsOfAnAddress() throws {
        var model = model { $0.maximumRoomsPerAddress = 2 }
        let one = AddressKey("192.0.2.1:5"), other = AddressKey("192.0.2.2:5")
        _ = try model.join("r", login: "x", as: "a", from: one, at: start)
        _ = try model.join("s", login: "x", as: "b", from: one, at: start)
        #expect(refusal { () throws(RoomRefusal) in try model.join("t", login: "x", as: "c", from: one, at: start) } == .tooManyRoomsOfAddress(maximum: 2))
        _ = try model.join("r", login: "y", as: "c", from: one, at: start)
        _ = try model.join("t", login: "x", as: "d", from: other, at: start)
        _ = try model.leave("s", "b", at: start)
        _ = try model.join("u", login: "x", as: "e", from: one, at: start)
    }

    @Test("all together send one participant five times as much as one may, however many they are")
    func crowd() throws {
        var model = model { $0.maximumMessageRate = 2 }
        for index in 0..<50 { _ = try model.join("r", login: "\(index)", as: "s\(index)", at: start) }
        var taken = 0
        for _ in 0..<10 {
            for sender in 1..<50 where (try? model.sendMessage("hi", to: "0", in: "r", from: "s\(sender)", at: start)) != nil { taken += 1 }
        }
        #expect(taken == 2 * 5 * 5)
        _ = try model.sendMessage("hi", to: "1", in: "r", from: "s2", at: start)
        _ = try model.sendMessage("hi", to: "0", in: "r", from: "s2", at: start + .seconds(1))
    }

    @Test("streams of those who are not in the room are not taken; ends of unknown streams are nobody's business")
    func strangers() throws {
        var model = model()
        _ = try model.join("r", login: "alice", as: "a", at: start)
        _ = try model.join("r", login: "bob", as: "b", at: start)
        #expect(model.publish(RoomStream(mediaSessionID: "1", name: "x"), in: "r", by: "c") == nil)
        #expect(model.publish(RoomStream(mediaSessionID: "1", name: "x"), in: "nowhere", by: "a") == nil)
        #expect(model.unpublish(mediaSessionID: "1", in: "r", by: "a", failed: false) == RoomStep())
        // The end of an older stream of the same name is not the end of the new one.
        _ = model.publish(RoomStream(mediaSessionID: "2", name: "same"), in: "r", by: "a")
        #expect(model.unpublish(mediaSessionID: "1", in: "r", by: "a", failed: false) == RoomStep())
        #expect(model.unpublish(mediaSessionID: "2", in: "r", by: "a", failed: true).deliveries
            == [RoomDelivery(room: "r", recipients: ["b"], event: .failed(login: "alice", stream: "same"))])
    }
}
