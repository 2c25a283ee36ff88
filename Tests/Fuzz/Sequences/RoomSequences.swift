// SPDX-License-Identifier: Apache-2.0
// Sequences of what clients do with rooms, against the model that all rooms are.
@testable import MartletServer
import Primitives

/// Joins, leaves, losses, streams and messages in any order: bounds hold, and nobody is in a room that doesn't know it.
func fuzzRooms(_ bytes: UnsafeRawBufferPointer) {
    var events = EventReader(bytes)
    var limits = RoomLimits()
    limits.maximumRooms = 4
    limits.maximumParticipants = 3
    limits.maximumRoomsPerSession = 2
    var model = RoomModel(limits: limits), now = ContinuousClock.Instant.now
    let names = ["a", "b", "\u{e9}", "e\u{301}", "", "c", "d"]
    var published: [String: Int] = [:]
    while let kind = events.byte(), let detail = events.byte() {
        let room = names[Int(detail & 0x0f) % names.count], id = ParticipantID("p\(detail >> 4 & 3)"), login = "l\(detail >> 6)"
        switch kind & 0x0f {
        case 0..<5: _ = try? model.join(room, login: login, as: id, record: kind & 0x80 != 0, at: now)
        case 5, 6: _ = try? model.leave(room, id, at: now)
        case 7: _ = model.lose(id, at: now)
        case 8: _ = model.terminate(room)
        case 9:
            guard let elapsed = events.elapsed() else { return }
            now += .nanoseconds(elapsed)
            _ = model.expire(at: now)
        case 10, 11:
            published[room, default: 0] += 1
            _ = model.publish(RoomStream(mediaSessionID: "\(detail >> 5)", name: "s"), in: room, by: id)
        case 12: _ = model.unpublish(mediaSessionID: "\(detail >> 5)", in: room, by: id, failed: kind & 0x80 != 0)
        case 13: _ = try? model.sendMessage("x", to: "l\(kind >> 6)", in: room, from: id, at: now)
        case 14: _ = model.announce("x", from: login, to: kind & 0x80 == 0 ? nil : login, in: room)
        default: _ = model.nextDeadline
        }
        hold(model.count <= limits.maximumRooms, "more rooms than allowed")
        for room in model.all {
            hold(room.participants.count <= limits.maximumParticipants, "more participants than allowed")
            for participant in room.participants {
                hold(model.isMember(participant.id, of: room.name), "a participant whose room its membership doesn't know")
            }
            hold(Set(room.participants.map { Array($0.login.utf8) }).count == room.participants.count, "a login twice in one room")
        }
    }
}
