// SPDX-License-Identifier: Apache-2.0
// One room as a value: its participants in the order in which they came, and their live streams. Owned by RoomModel.
import Primitives

/// Whoever takes part: the id of a session.
typealias ParticipantID = String

/// A published stream of a participant that can be played.
struct RoomStream: Sendable, Equatable {
    /// Names are reused by some clients; this is not.
    let mediaSessionID: String
    let name: String
}

struct RoomParticipant: Sendable, Equatable {
    let id: ParticipantID
    let login: String
    let joined: ContinuousClock.Instant
    var streams: [RoomStream] = []
    var allowance: MessageAllowance
    /// What others may still send to it.
    var inbox: MessageAllowance
    /// The same by sender, of those who have written to it.
    var inboxOfSenders: [ParticipantID: MessageAllowance] = [:]
}

struct Room: Sendable, Equatable {
    let name: String
    let opened: ContinuousClock.Instant
    /// Whose first participant made it.
    let opener: AddressKey?
    /// Somebody joined with `record: true`. Kept for the life of the room, for whoever records.
    var isRecorded = false
    /// Since when it has been empty because its last participant was lost.
    var idleSince: ContinuousClock.Instant?
    private(set) var participants: [RoomParticipant] = []

    init(name: String, opened: ContinuousClock.Instant, opener: AddressKey? = nil) {
        self.name = name
        self.opened = opened
        self.opener = opener
    }

    func participant(_ id: ParticipantID) -> RoomParticipant? { participants.first { $0.id == id } }

    func participant(login: String) -> RoomParticipant? {
        participants.first { $0.login.utf8.elementsEqual(login.utf8) }
    }

    /// Everybody but `id`.
    func others(than id: ParticipantID) -> [ParticipantID] { participants.map(\.id).filter { $0 != id } }

    /// The room as STATE shows it to `id`.
    func state(for id: ParticipantID) -> [RoomStateEntry] {
        participants.filter { $0.id != id }.flatMap { participant in
            participant.streams.isEmpty
                ? [RoomStateEntry.participant(login: participant.login)]
                : participant.streams.map { .stream(login: participant.login, name: $0.name) }
        }
    }

    mutating func add(_ participant: RoomParticipant) {
        participants.append(participant)
        idleSince = nil
    }

    mutating func remove(_ id: ParticipantID) -> RoomParticipant? {
        guard let index = participants.firstIndex(where: { $0.id == id }) else { return nil }
        return participants.remove(at: index)
    }

    mutating func forgetSender(_ id: ParticipantID) { for index in participants.indices { participants[index].inboxOfSenders[id] = nil } }

    /// Changes a participant in place; `nil` when there is none.
    mutating func withParticipant<Result>(_ id: ParticipantID, _ change: (inout RoomParticipant) -> Result) -> Result? {
        guard let index = participants.firstIndex(where: { $0.id == id }) else { return nil }
        return change(&participants[index])
    }
}
