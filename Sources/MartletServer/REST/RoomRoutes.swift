// SPDX-License-Identifier: Apache-2.0
// /room/*: the rooms of this server, who is in them and what they publish.
import Clocks
import Signalling
import Synchronization

struct RoomRoutes: RESTRouteProvider {
    let rooms: RoomService
    let streams: StreamRegistry
    /// Milliseconds since 1970.
    private let wallClock: @Sendable () -> Int64
    private let dates = RoomDates()

    init(rooms: RoomService, streams: StreamRegistry, wallClock: @escaping @Sendable () -> Int64 = { WallClock.now().milliseconds }) {
        self.rooms = rooms
        self.streams = streams
        self.wallClock = wallClock
    }

    /// Who writes when REST doesn't say.
    private static let defaultSender = "server"

    var restRoutes: [RESTRoute] {
        [
            RESTRoute(path: "room/find_all", allowsGET: true) { _ in try await reply(RoomFilter()) },
            RESTRoute(path: "room/find", allowsGET: false) { body in try await reply(try RoomFilter(body)) },
            RESTRoute(path: "room/terminate", allowsGET: false) { body in
                let name = try RESTFields(body).required("name")
                guard await rooms.terminate(name) else { throw Self.noRoom(name) }
                return .empty
            },
            RESTRoute(path: "room/send_message", allowsGET: false) { body in
                let fields = try RESTFields(body)
                let (name, text) = (try fields.required("name"), try fields.required("text"))
                let maximum = await rooms.model.limits.maximumMessageLength
                guard text.utf8.count <= maximum else {
                    throw RESTFailure.badRequest("\"text\" is too long: at most \(maximum) bytes of UTF-8 are allowed")
                }
                let to = try fields.optional("to")
                let from = try fields.optional("from") ?? Self.defaultSender
                guard await rooms.announce(text, from: from, to: to, in: name) else {
                    guard await rooms.model.room(name) != nil else { throw Self.noRoom(name) }
                    throw RESTFailure.notFound(
                        to.map { "room \"\(name)\" has no participant \"\($0)\"" } ?? "there is nobody in room \"\(name)\"")
                }
                return .empty
            },
            RESTRoute(path: "room/kick", allowsGET: false) { body in
                let fields = try RESTFields(body)
                let (name, login) = (try fields.required("name"), try fields.required("login"))
                guard await rooms.kick(login, from: name) else {
                    guard await rooms.model.room(name) != nil else { throw Self.noRoom(name) }
                    throw RESTFailure.notFound("room \"\(name)\" has no participant \"\(login)\"")
                }
                return .empty
            },
        ]
    }

    private static func noRoom(_ name: String) -> RESTFailure { .notFound("there is no room \"\(name)\"") }

    private func reply(_ filter: RoomFilter) async throws -> RESTReply {
        let (all, now) = await rooms.rooms()
        let found = all.filter(filter.matches)
        guard !found.isEmpty else { throw RESTFailure.notFound("no room matches \(filter.description)") }
        let origin = dates.origin(now: now, wallNow: wallClock())
        func date(_ instant: ContinuousClock.Instant) -> JSONValue { .integer(origin + dates.milliseconds(instant)) }
        var answer: [JSONValue] = []
        for room in found {
            var participants: [JSONValue] = []
            for participant in room.participants {
                let records = await streams.records(of: participant.streams.map(\.mediaSessionID))
                participants.append([
                    "login": .string(participant.login), "sessionId": .string(participant.id), "joinDate": date(participant.joined),
                    "streams": .array(records.map { $0.json() }),
                ])
            }
            answer.append([
                "name": .string(room.name), "createDate": date(room.opened), "record": .bool(room.isRecorded),
                "status": .string(room.idleSince == nil ? "ACTIVE" : "IDLE"), "participants": .array(participants),
            ])
        }
        return RESTReply(body: .array(answer))
    }
}

/// Times of the rooms' clock as dates. The same instant is the same date at each call, unless the machine's clock was set anew.
private final class RoomDates: Sendable {
    private let reference = ContinuousClock.now
    private let known = Mutex<Int64?>(nil)

    /// Milliseconds from a fixed instant of this process.
    func milliseconds(_ instant: ContinuousClock.Instant) -> Int64 {
        Int64((reference.duration(to: instant) / .milliseconds(1)).rounded())
    }

    /// The date of that fixed instant, in milliseconds since 1970.
    func origin(now: ContinuousClock.Instant, wallNow: Int64) -> Int64 {
        known.withLock { known in
            let measured = wallNow - milliseconds(now)
            // Both clocks are read at slightly different moments each time.
            if let known, abs(known - measured) < 1_000 { return known }
            known = measured
            return measured
        }
    }
}

/// The body of /room/find.
private struct RoomFilter: Sendable {
    var name: String?
    var login: String?

    init() {}

    init(_ body: JSONValue?) throws(RESTFailure) {
        guard let body, !body.isNull else { return }
        let fields = try RESTFields(body)
        if let other = body.objectValue?.keys.sorted().first(where: { !["name", "login"].contains($0) }) {
            throw .badRequest("there is no field \"\(other)\" to look for")
        }
        name = try fields.optional("name")
        login = try fields.optional("login")
    }

    func matches(_ room: Room) -> Bool {
        if let name, !room.name.utf8.elementsEqual(name.utf8) { return false }
        if let login, room.participant(login: login) == nil { return false }
        return true
    }

    var description: String {
        let parts = [name.map { "name=\($0)" }, login.map { "login=\($0)" }].compactMap(\.self)
        return parts.isEmpty ? "any" : parts.joined(separator: " ")
    }
}

/// Texts of a REST body.
private struct RESTFields: Sendable {
    private let object: JSONValue

    init(_ body: JSONValue?) throws(RESTFailure) {
        guard let body, body.objectValue != nil else { throw .badRequest("a JSON object is expected as the body") }
        object = body
    }

    func optional(_ key: String) throws(RESTFailure) -> String? {
        guard let value = object[key], !value.isNull else { return nil }
        guard let text = value.stringValue, !text.isEmpty else { throw .badRequest("\"\(key)\" must be a non-empty string") }
        return text
    }

    func required(_ key: String) throws(RESTFailure) -> String {
        guard let text = try optional(key) else { throw .badRequest("\"\(key)\" is missing") }
        return text
    }
}
