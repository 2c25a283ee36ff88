// SPDX-License-Identifier: Apache-2.0
// What follows from one change of the room model: who is told what, and what recorders and the like may want to know.

/// A room event and those it goes to.
struct RoomDelivery: Sendable, Equatable {
    let room: String
    let recipients: [ParticipantID]
    let event: RoomEvent
}

/// The life of rooms, for those who are no participants: recording, statistics.
enum RoomLifeEvent: Sendable, Equatable {
    case opened(room: String)
    /// A participant joined with `record: true`; told once per room.
    case recordingRequested(room: String)
    case streamStarted(room: String, login: String, RoomStream)
    case streamEnded(room: String, login: String, RoomStream)
    /// After the end of its last stream.
    case ended(room: String)
}

/// The consequences of one command or report, in order.
struct RoomStep: Sendable, Equatable {
    var deliveries: [RoomDelivery] = []
    var life: [RoomLifeEvent] = []

    mutating func tell(_ recipients: [ParticipantID], _ event: RoomEvent, of room: String) {
        if !recipients.isEmpty { deliveries.append(RoomDelivery(room: room, recipients: recipients, event: event)) }
    }

    mutating func append(_ step: RoomStep) {
        deliveries += step.deliveries
        life += step.life
    }
}
