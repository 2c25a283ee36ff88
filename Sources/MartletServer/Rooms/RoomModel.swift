// SPDX-License-Identifier: Apache-2.0
// All rooms as one value: every method is one indivisible change and gives back what follows from it. It knows no sockets, no
// clock and no tasks, so that whatever happens can be replayed in a test. Owned by RoomService, which carries the steps out.
import Primitives

struct RoomModel: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// How a participant goes.
    enum Departure: Sendable {
        /// By `leave` or because somebody removed it. The last one ends the room.
        case left
        /// Its connection is gone. An empty room is kept for `idleTimeout`.
        case lost
    }

    let limits: RoomLimits
    private var rooms: [ExactText: Room] = [:]
    /// The rooms each participant is in, in the order of joining.
    private var memberships: [ParticipantID: [ExactText]] = [:]
    /// Empty rooms that are kept, since when.
    private var idle: [ExactText: Instant] = [:]
    /// Rooms that each network has opened.
    private var opened: [AddressKey: Int] = [:]

    init(limits: RoomLimits = RoomLimits()) { self.limits = limits }

    // MARK: Looking

    /// Oldest first.
    var all: [Room] { rooms.values.sorted { ($0.opened, $0.name) < ($1.opened, $1.name) } }
    var count: Int { rooms.count }
    func room(_ name: String) -> Room? { rooms[ExactText(name)] }
    func isMember(_ id: ParticipantID, of room: String) -> Bool { memberships[id]?.contains(ExactText(room)) ?? false }
    func isAnywhere(_ id: ParticipantID) -> Bool { memberships[id] != nil }
    /// When `expire` has something to do next.
    var nextDeadline: Instant? { idle.values.min().map { $0 + limits.idleTimeout } }

    // MARK: Coming

    /// Enters a room, which is made when there is none. The joiner's STATE comes first of all that it is told.
    /// - Parameter address: where it comes from; `nil`: rooms that it makes are bound by their number in all only.
    mutating func join(
        _ name: String, login: String, as id: ParticipantID, from address: AddressKey? = nil, record: Bool = false, at now: Instant
    ) throws(RoomRefusal) -> RoomStep {
        let key = ExactText(name)
        var step = RoomStep()
        if let room = rooms[key] {
            if let present = room.participant(id) ?? room.participant(login: login) { throw .loginTaken(holder: present.id) }
            guard room.participants.count < limits.maximumParticipants else { throw .roomFull(maximum: limits.maximumParticipants) }
        }
        guard memberships[id, default: []].count < limits.maximumRoomsPerSession else {
            throw .tooManyRoomsOfSession(maximum: limits.maximumRoomsPerSession)
        }
        if rooms[key] == nil {
            if let address, opened[address, default: 0] >= limits.maximumRoomsPerAddress {
                throw .tooManyRoomsOfAddress(maximum: limits.maximumRoomsPerAddress)
            }
            if rooms.count >= limits.maximumRooms { step.append(try makePlace()) }
            rooms[key] = Room(name: name, opened: now, opener: address)
            if let address { opened[address, default: 0] += 1 }
            step.life.append(.opened(room: name))
        }
        rooms[key]?.add(RoomParticipant(id: id, login: login, joined: now, allowance: MessageAllowance(at: now), inbox: MessageAllowance(at: now)))
        idle[key] = nil
        memberships[id, default: []].append(key)
        if record, rooms[key]?.isRecorded == false {
            rooms[key]?.isRecorded = true
            step.life.append(.recordingRequested(room: name))
        }
        if let room = rooms[key] {
            step.tell([id], .state(room.state(for: id)), of: name)
            step.tell(room.others(than: id), .joined(login: login), of: name)
        }
        return step
    }

    /// The empty room that has waited longest gives way to a new one.
    private mutating func makePlace() throws(RoomRefusal) -> RoomStep {
        guard let oldest = idle.min(by: { $0.value < $1.value })?.key else { throw .tooManyRooms }
        return end(oldest)
    }

    // MARK: Going

    mutating func leave(_ room: String, _ id: ParticipantID, at now: Instant) throws(RoomRefusal) -> RoomStep {
        guard isMember(id, of: room) else { throw .notInRoom(room) }
        return remove(id, from: ExactText(room), .left, at: now)
    }

    /// The connection of a participant is gone: out of all rooms.
    mutating func lose(_ id: ParticipantID, at now: Instant) -> RoomStep {
        var step = RoomStep()
        for key in memberships[id] ?? [] { step.append(remove(id, from: key, .lost, at: now)) }
        return step
    }

    /// Everybody goes, and the room with them. Nobody is told by room events: there is nobody left to show them to.
    mutating func terminate(_ room: String) -> RoomStep? {
        rooms[ExactText(room)] == nil ? nil : end(ExactText(room))
    }

    /// Ends the rooms that have been empty for too long.
    mutating func expire(at now: Instant) -> RoomStep {
        var step = RoomStep()
        guard !idle.isEmpty else { return step }
        for (key, since) in idle.sorted(by: { $0.value < $1.value }) where since + limits.idleTimeout <= now {
            step.append(end(key))
        }
        return step
    }

    private mutating func remove(_ id: ParticipantID, from key: ExactText, _ departure: Departure, at now: Instant) -> RoomStep {
        var step = RoomStep()
        forgetMembership(id, key)
        rooms[key]?.forgetSender(id)
        guard let gone = rooms[key]?.remove(id), let room = rooms[key] else { return step }
        let rest = room.participants.map(\.id)
        for stream in gone.streams {
            step.tell(rest, .unpublished(login: gone.login, stream: stream.name), of: room.name)
            step.life.append(.streamEnded(room: room.name, login: gone.login, stream))
        }
        step.tell(rest, .left(login: gone.login), of: room.name)
        if rest.isEmpty {
            switch departure {
            case .left: step.append(end(key))
            case .lost:
                rooms[key]?.idleSince = now
                idle[key] = now
            }
        }
        return step
    }

    private mutating func end(_ key: ExactText) -> RoomStep {
        var step = RoomStep()
        idle[key] = nil
        guard let room = rooms.removeValue(forKey: key) else { return step }
        if let opener = room.opener, let count = opened[opener] { opened[opener] = count > 1 ? count - 1 : nil }
        for participant in room.participants {
            forgetMembership(participant.id, key)
            step.life += participant.streams.map { .streamEnded(room: room.name, login: participant.login, $0) }
        }
        step.life.append(.ended(room: room.name))
        return step
    }

    private mutating func forgetMembership(_ id: ParticipantID, _ key: ExactText) {
        memberships[id]?.removeAll { $0 == key }
        if memberships[id]?.isEmpty == true { memberships[id] = nil }
    }

    // MARK: Streams

    /// A stream of a participant can be played from now on. `nil`: the publisher is not in the room, and the stream may not be.
    mutating func publish(_ stream: RoomStream, in room: String, by id: ParticipantID) -> RoomStep? {
        let key = ExactText(room)
        let login = rooms[key]?.withParticipant(id) { participant in
            participant.streams.append(stream)
            return participant.login
        }
        guard let login, let others = rooms[key]?.others(than: id) else { return nil }
        var step = RoomStep()
        step.tell(others, .published(login: login, stream: stream.name), of: room)
        step.life.append(.streamStarted(room: room, login: login, stream))
        return step
    }

    /// A stream is over. Streams that are not in the room (any more) are nobody's business.
    mutating func unpublish(mediaSessionID: String, in room: String, by id: ParticipantID, failed: Bool) -> RoomStep {
        let key = ExactText(room)
        var step = RoomStep()
        let ended = rooms[key]?.withParticipant(id) { participant -> (login: String, stream: RoomStream)? in
            guard let index = participant.streams.firstIndex(where: { $0.mediaSessionID == mediaSessionID }) else { return nil }
            return (participant.login, participant.streams.remove(at: index))
        }
        guard let (login, stream) = ended ?? nil, let others = rooms[key]?.others(than: id) else { return step }
        step.tell(
            others, failed ? .failed(login: login, stream: stream.name) : .unpublished(login: login, stream: stream.name), of: room)
        step.life.append(.streamEnded(room: room, login: login, stream))
        return step
    }

    // MARK: Text

    /// One participant writes to another. The text is passed on as it came.
    mutating func sendMessage(
        _ text: String, to login: String, in name: String, from id: ParticipantID, at now: Instant
    ) throws(RoomRefusal) -> RoomStep {
        let key = ExactText(name)
        guard let sender = rooms[key]?.participant(id) else { throw .notInRoom(name) }
        guard text.utf8.count <= limits.maximumMessageLength else { throw .messageTooLong(maximum: limits.maximumMessageLength) }
        guard let addressee = rooms[key]?.participant(login: login) else { throw .noSuchParticipant(login: login) }
        guard addressee.id != id else { throw .messageToOneself }
        let rate = limits.maximumMessageRate
        let others = (rooms[key]?.participants.count ?? 1) - 1
        let isAllowed = rooms[key]?.withParticipant(id) {
            $0.allowance.take(rate: rate, addressees: others, at: now)
        }
        let isTaken = isAllowed == true && rooms[key]?.withParticipant(addressee.id) {
            $0.inboxOfSenders[id, default: MessageAllowance(at: now)].take(rate: rate, addressees: 1, at: now)
                && $0.inbox.take(rate: rate.multipliedSaturating(by: RoomLimits.messageRateOfAll), addressees: 1, at: now)
        } == true
        guard isTaken else { throw .tooManyMessages(perSecond: rate) }
        var step = RoomStep()
        step.tell([addressee.id], .message(from: sender.login, text: text), of: name)
        return step
    }

    /// The server itself writes: to one participant, or to all but the one it writes for. `nil`: nobody is there to read it.
    func announce(_ text: String, from sender: String, to login: String?, in name: String) -> RoomStep? {
        guard let room = room(name) else { return nil }
        let recipients: [ParticipantID]
        if let login {
            recipients = room.participant(login: login).map { [$0.id] } ?? []
        } else {
            recipients = room.participants.filter { !$0.login.utf8.elementsEqual(sender.utf8) }.map(\.id)
        }
        guard !recipients.isEmpty else { return nil }
        var step = RoomStep()
        step.tell(recipients, .message(from: sender, text: text), of: name)
        return step
    }
}
