// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing

@testable import MartletServer

/// Everything a few users might do at the same time, in a thousand orders; the model is held against a room drawn with arrays,
/// and against what each browser would have made of what it was told.
@Suite("Rooms in any order of events", .timeLimit(.minutes(2)))
struct RoomInterleavingTests {
    enum Action: CustomStringConvertible {
        case join(String), leave(String), publish(String, id: String), unpublish(id: String), message(String, to: String), lose

        var description: String {
            switch self {
            case .join(let room): "join \(room)"
            case .leave(let room): "leave \(room)"
            case .publish(let room, let id): "publish \(id) in \(room)"
            case .unpublish(let id): "unpublish \(id)"
            case .message(let room, let to): "message to \(to) in \(room)"
            case .lose: "lose"
            }
        }
    }

    /// A connection and what it will do, in this order.
    struct User {
        let id: String
        let login: String
        var script: [Action]
    }

    /// The simple model: who is where, in plain arrays.
    struct Drawing {
        struct Seat: Equatable {
            let id: String
            let login: String
            var streams: [(id: String, name: String)] = []
            static func == (left: Seat, right: Seat) -> Bool { left.id == right.id }
        }
        var seats: [String: [Seat]] = [:]

        /// Does it; whether it can be done.
        mutating func perform(_ action: Action, by user: User) -> Bool {
            switch action {
            case .join(let room):
                if seats[room, default: []].contains(where: { $0.login == user.login || $0.id == user.id }) { return false }
                seats[room, default: []].append(Seat(id: user.id, login: user.login))
            case .leave(let room):
                guard let index = seats[room, default: []].firstIndex(where: { $0.id == user.id }) else { return false }
                seats[room]?.remove(at: index)
            case .publish(let room, let id):
                guard let index = seats[room, default: []].firstIndex(where: { $0.id == user.id }) else { return false }
                seats[room]?[index].streams.append((id, "stream-\(id)"))
            case .unpublish(let id):
                for room in seats.keys {
                    for index in seats[room, default: []].indices { seats[room]?[index].streams.removeAll { $0.id == id } }
                }
            case .message(let room, let to):
                let here = seats[room, default: []]
                return here.contains { $0.id == user.id } && here.contains { $0.login == to && $0.id != user.id }
            case .lose:
                for room in seats.keys { seats[room]?.removeAll { $0.id == user.id } }
            }
            return true
        }

        /// The room as a participant should see it: login → stream names.
        func view(of room: String, by id: String) -> [String: [String]]? {
            guard let here = seats[room], here.contains(where: { $0.id == id }) else { return nil }
            return Dictionary(uniqueKeysWithValues: here.filter { $0.id != id }.map { ($0.login, $0.streams.map(\.name)) })
        }
    }

    /// A browser's picture of its rooms, made from events alone; strict where the vendor's SDK would throw.
    struct Browser {
        let login: String
        var rooms: [String: [String: [String]]] = [:]
        var messages = 0

        mutating func take(_ event: RoomEvent, room: String) throws {
            if case .state(let entries) = event {
                try #require(rooms[room] == nil, "STATE twice")
                var view: [String: [String]] = [:]
                for entry in entries {
                    switch entry {
                    case .participant(let login): view[login] = []
                    case .stream(let login, let name): view[login, default: []].append(name)
                    }
                }
                try #require(view[login] == nil, "STATE names the joiner")
                rooms[room] = view
                return
            }
            try #require(rooms[room] != nil, "\(event) before STATE")
            switch event {
            case .state: break
            case .joined(let other):
                try #require(other != login && rooms[room]?[other] == nil, "JOINED of a known participant")
                rooms[room]?[other] = []
            case .left(let other):
                try #require(rooms[room]?.removeValue(forKey: other) != nil, "LEFT of an unknown participant")
            case .published(let other, let stream):
                try #require(rooms[room]?[other] != nil, "PUBLISHED of an unknown participant")
                rooms[room]?[other]?.append(stream)
            case .unpublished(let other, let stream), .failed(let other, let stream):
                try #require(rooms[room]?[other]?.contains(stream) == true, "UNPUBLISHED of an unknown stream")
                rooms[room]?[other]?.removeAll { $0 == stream }
            case .message(let from, _):
                try #require(rooms[room]?[from] != nil, "MESSAGE of an unknown participant")
                messages += 1
            }
        }
    }

    /// Connections in two rooms; two of them have the same login, as a browser that reloads has.
    private func users(_ random: inout RandomSource) -> [User] {
        let logins = ["alice", "alice", "bob", "carol", "dave"]
        return logins.prefix(Int.random(in: 2...5, using: &random)).enumerated().map { index, login in
            var script: [Action] = []
            var published: [String] = []
            for step in 0..<Int.random(in: 1...14, using: &random) {
                let room = ["r", "s"][Int.random(in: 0...1, using: &random)]
                switch Int.random(in: 0..<12, using: &random) {
                case 0...3: script.append(.join(room))
                case 4, 5: script.append(.leave(room))
                case 6...8:
                    published.append("\(index)-\(step)")
                    script.append(.publish(room, id: "\(index)-\(step)"))
                case 9: if let id = published.randomElement(using: &random) { script.append(.unpublish(id: id)) }
                case 10: script.append(.message(room, to: logins.randomElement(using: &random) ?? ""))
                default: if step > 6 { script.append(.lose) }
                }
            }
            return User(id: "session-\(index)", login: login, script: script)
        }
    }

    /// Does one action in the model; whether it was taken, and what follows from it.
    private func perform(_ action: Action, by user: User, in model: inout RoomModel, at now: ContinuousClock.Instant) -> (Bool, RoomStep) {
        do {
            switch action {
            case .join(let room): return (true, try model.join(room, login: user.login, as: user.id, at: now))
            case .leave(let room): return (true, try model.leave(room, user.id, at: now))
            case .publish(let room, let id):
                let step = model.publish(RoomStream(mediaSessionID: id, name: "stream-\(id)"), in: room, by: user.id)
                return (step != nil, step ?? RoomStep())
            case .unpublish(let id):
                var step = RoomStep()
                for room in ["r", "s"] { step.append(model.unpublish(mediaSessionID: id, in: room, by: user.id, failed: false)) }
                return (true, step)
            case .message(let room, let to): return (true, try model.sendMessage("hi", to: to, in: room, from: user.id, at: now))
            case .lose: return (true, model.lose(user.id, at: now))
            }
        } catch { return (false, RoomStep()) }
    }

    @Test("after every step of 1000 random interleavings everybody sees the room as it is")
    func everybodyAgrees() throws {
        for seed in 0..<1000 as Range<UInt64> {
            var random = RandomSource.seeded(seed)
            var users = users(&random)
            var model = RoomModel()
            var drawing = Drawing()
            var browsers = Dictionary(uniqueKeysWithValues: users.map { ($0.id, Browser(login: $0.login)) })
            var history: [String] = []
            var rooms: Set<String> = []
            while let index = users.indices.filter({ !users[$0].script.isEmpty }).randomElement(using: &random) {
                let action = users[index].script.removeFirst()
                let user = users[index]
                history.append("\(user.id) \(user.login) \(action)")
                let (isTaken, step) = perform(action, by: user, in: &model, at: .now)
                try #require(isTaken == drawing.perform(action, by: user), "seed \(seed): \(history)")
                switch action {
                case .leave(let room) where isTaken: browsers[user.id]?.rooms[room] = nil
                case .lose:
                    browsers[user.id]?.rooms = [:]
                    // The socket is gone; nothing more comes from it.
                    users[index].script = []
                default: break
                }
                for delivery in step.deliveries {
                    for recipient in delivery.recipients {
                        #expect(throws: Never.self, "seed \(seed): \(recipient) after \(history)") {
                            try browsers[recipient]?.take(delivery.event, room: delivery.room)
                        }
                    }
                }
                for event in step.life {
                    switch event {
                    case .opened(let room): try #require(rooms.insert(room).inserted, "seed \(seed): \(room) opened twice")
                    case .ended(let room): try #require(rooms.remove(room) != nil, "seed \(seed): \(room) ended twice")
                    default: break
                    }
                }
                for user in users {
                    for room in ["r", "s"] {
                        let expected = drawing.view(of: room, by: user.id)
                        try #require(browsers[user.id]?.rooms[room] == expected, "seed \(seed): \(user.id) in \(room) after \(history)")
                        try #require(model.isMember(user.id, of: room) == (expected != nil), "seed \(seed): \(history)")
                    }
                }
            }
            // Whatever happened, nothing stays behind.
            for user in users { _ = model.lose(user.id, at: .now) }
            _ = model.expire(at: .now + .seconds(3600))
            try #require(model.count == 0)
            try #require(users.allSatisfy { !model.isAnywhere($0.id) })
        }
    }
}
