// /room/*: the rooms of this server, who is in them and what they publish.
import Signalling

struct RoomRoutes: RESTRouteProvider {
    let rooms: RoomService
    let streams: StreamRegistry
    /// Milliseconds since 1970.
    var wallClock: @Sendable () -> Int64 = WallClock.milliseconds

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
        let wallNow = wallClock()
        func date(_ instant: ContinuousClock.Instant) -> JSONValue { .integer(wallNow - milliseconds(instant.duration(to: now))) }
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

    private func milliseconds(_ duration: Duration) -> Int64 { Int64((duration / .milliseconds(1)).rounded()) }
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
