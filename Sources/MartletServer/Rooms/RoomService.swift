// SPDX-License-Identifier: Apache-2.0
// Rooms of the running server: takes the commands of sessions, asks the room model, and carries out what follows. The one
// application behind all sessions; made by the composition.
import Logging
import MediaIO
import Primitives
import Signalling

actor RoomService: SessionApplication {
    typealias Instant = ContinuousClock.Instant

    private(set) var model: RoomModel
    /// The sessions that are in some room.
    private var links: [ParticipantID: SessionLink] = [:]
    private let streams: StreamRegistry
    private let now: @Sendable () -> Instant
    /// Told of the life of rooms, in order; for recording and the like. Returns at once.
    private let onLife: @Sendable (RoomLifeEvent) -> Void
    private let logger: Logger
    private var expiry: Task<Void, Never>?
    private var expiryTime: Instant?

    init(
        limits: RoomLimits = RoomLimits(), streams: StreamRegistry, now: @escaping @Sendable () -> Instant = { .now },
        onLife: @escaping @Sendable (RoomLifeEvent) -> Void = { _ in }, logger: Logger
    ) {
        model = RoomModel(limits: limits)
        self.streams = streams
        self.now = now
        self.onLife = onLife
        self.logger = logger
    }

    deinit { expiry?.cancel() }

    // MARK: Commands

    func receive(_ data: DataRequest, from session: SessionLink) async -> DataOutcome {
        do throws(RoomRefusal) {
            guard let command = try RoomCommand(data.payload, isRoomClient: session.info.isRoomClient) else { return .accepted }
            try await perform(command, for: session)
            return .accepted
        } catch {
            logger.info("room command refused", metadata: Self.metadata(session, ["reason": "\(error.info)"]))
            return .refused(info: error.info)
        }
    }

    private func perform(_ command: RoomCommand, for session: SessionLink) async throws(RoomRefusal) {
        switch command {
        case .join(let room, let record): try await join(room, record: record, session)
        case .leave(let room):
            carryOut(try model.leave(room, session.id, at: now()))
            forgetLink(session.id)
            logger.info("left", metadata: Self.metadata(session, ["room": "\(room)"]))
            // Clients stop their streams after this; nobody else's would, and who is outside may not stay tuned in.
            await streams.endAll(ofOwner: session.id, inRoom: room, .user)
        case .sendMessage(let room, let to, let text):
            carryOut(try model.sendMessage(text, to: to, in: room, from: session.id, at: now()))
        }
    }

    private func join(_ room: String, record: Bool, _ session: SessionLink) async throws(RoomRefusal) {
        guard let login = session.info.login, !login.isEmpty else { throw .noLogin }
        guard login.utf8.count <= RoomLimits.maximumNameLength else {
            throw .malformed("The login is longer than \(RoomLimits.maximumNameLength) bytes of UTF-8")
        }
        do {
            try enter(room, login, record: record, session)
        } catch .loginTaken(let holder) where holder != session.id {
            // What that connection has sent may still be on its way through its session, a `leave` for example, or its end may
            // not have been noticed yet.
            await settle(holder)
            try enter(room, login, record: record, session)
        }
    }

    private func enter(_ room: String, _ login: String, record: Bool, _ session: SessionLink) throws(RoomRefusal) {
        let step = try model.join(room, login: login, as: session.id, from: AddressKey(session.info.remoteAddress), record: record, at: now())
        links[session.id] = session
        carryOut(step)
        logger.info(
            "joined",
            metadata: Self.metadata(session, ["room": "\(room)", "participants": "\(model.room(room)?.participants.count ?? 0)"]))
    }

    /// Waits until everything that a participant has sent so far is done, and puts it out when it isn't there any more.
    private func settle(_ id: ParticipantID) async {
        guard let link = links[id] else { return }
        switch await link.presence() {
        case .present: break
        case .gone: lose(link)
        case .silent:
            lose(link)
            link.drop("another connection has taken its place in a room")
        }
    }

    func sessionEnded(_ session: SessionLink) async { lose(session) }

    private func lose(_ session: SessionLink) {
        guard links.removeValue(forKey: session.id) != nil else { return }
        carryOut(model.lose(session.id, at: now()))
        logger.info("lost", metadata: Self.metadata(session))
    }

    private func forgetLink(_ id: ParticipantID) {
        if !model.isAnywhere(id) { links[id] = nil }
    }

    // MARK: Media

    func admission(of request: StreamRequest, from session: SessionLink) async -> MediaAdmission {
        if let room = request.room, !model.isMember(session.id, of: room) {
            return .refused(.restrictedAccess, "the session is not in room \"\(room.prefix(256))\"")
        }
        // Old clients play without naming the room.
        if !request.published, model.limits.playsForMembersOnly, let room = await streams.room(ofStream: request.name),
            !model.isMember(session.id, of: room) {
            return .refused(.restrictedAccess, "stream \"\(request.name.prefix(256))\" belongs to a room the session is not in")
        }
        return .allowed
    }

    func mediaStarted(_ record: StreamRecord, of session: SessionLink) async -> Bool {
        guard let room = record.room else { return true }
        guard record.isPublished else {
            return !model.limits.playsForMembersOnly || model.isMember(session.id, of: room)
        }
        let stream = RoomStream(mediaSessionID: record.mediaSessionID, name: record.name)
        if model.limits.withholdsSilence { await streams.withholdSilence(of: record.mediaSessionID) }
        // Whoever was put out of the room since it asked has nothing to publish there.
        guard let step = model.publish(stream, in: room, by: session.id) else { return false }
        carryOut(step)
        return true
    }

    func mediaEnded(_ record: StreamRecord, _ reason: StreamEnd, of session: SessionLink) async {
        guard record.isPublished, let room = record.room else { return }
        carryOut(model.unpublish(
            mediaSessionID: record.mediaSessionID, in: room, by: session.id, failed: record.status == .failed))
    }

    /// The streams of every room in which somebody can hear somebody.
    func audibleStreams() -> [(name: String, streams: [String])] {
        model.all.compactMap { room in
            guard room.participants.count > 1 else { return nil }
            let streams = room.participants.flatMap { $0.streams.map(\.mediaSessionID) }
            return streams.isEmpty ? nil : (room.name, streams)
        }
    }

    // MARK: Management (REST)

    /// The rooms, oldest first, and the time by which theirs are measured.
    func rooms() -> (rooms: [Room], now: Instant) { (model.all, now()) }

    /// Ends a room: its streams fail, everybody is told why. false: there is none of that name.
    func terminate(_ name: String) async -> Bool {
        guard let room = model.room(name), let step = model.terminate(name) else { return false }
        carryOut(step)
        logger.info("room terminated by REST", metadata: ["room": "\(name)"])
        for participant in room.participants { warn(participant.id, "Room \"\(name)\" has been closed", room: name, mark: "TERMINATED") }
        for participant in room.participants { await streams.endAll(ofOwner: participant.id, inRoom: name, .terminated) }
        return true
    }

    /// Puts a participant out of a room. false: it is not there.
    func kick(_ login: String, from name: String) async -> Bool {
        guard let participant = model.room(name)?.participant(login: login),
            let step = try? model.leave(name, participant.id, at: now())
        else { return false }
        carryOut(step)
        logger.info("participant put out by REST", metadata: ["room": "\(name)", "login": "\(login)"])
        warn(participant.id, "You have been removed from room \"\(name)\"", room: name, mark: "KICKED")
        await streams.endAll(ofOwner: participant.id, inRoom: name, .terminated)
        return true
    }

    /// Sends a text into a room, to one participant or to all. false: there is nobody it could go to.
    func announce(_ text: String, from sender: String, to login: String?, in name: String) -> Bool {
        guard let step = model.announce(text, from: sender, to: login, in: name) else { return false }
        carryOut(step)
        return true
    }

    /// Tells a session that it is out of a room, by the one message that clients take as a warning.
    private func warn(_ id: ParticipantID, _ info: String, room: String, mark: String) {
        let warning = FailMessage(info: info, also: ["roomName": .string(room), "roomEvent": .string(mark)])
        links[id]?.send(ServerMessage.fail(warning).envelope.serialized())
        forgetLink(id)
    }

    // MARK: Carrying out

    /// Sends what a step says. Nothing is awaited here, so that everybody is told in the order of the steps.
    private func carryOut(_ step: RoomStep) {
        for delivery in step.deliveries {
            // Written once, however many get it.
            let event = DataEvent(payload: delivery.event.payload(room: delivery.room))
            let frame = ServerMessage.data(event).envelope.serialized()
            for recipient in delivery.recipients { links[recipient]?.send(frame) }
        }
        for event in step.life {
            switch event {
            case .opened(let room): logger.info("room opened", metadata: ["room": "\(room)"])
            case .ended(let room): logger.info("room ended", metadata: ["room": "\(room)"])
            default: break
            }
            onLife(event)
        }
        scheduleExpiry()
    }

    /// Wakes up when the next empty room is due.
    private func scheduleExpiry() {
        guard model.nextDeadline != expiryTime else { return }
        expiry?.cancel()
        expiryTime = model.nextDeadline
        guard let expiryTime else { return }
        let wait = now().duration(to: expiryTime)
        expiry = Task { [weak self] in
            do { try await Task.sleep(for: wait) } catch { return }
            await self?.expire()
        }
    }

    /// Ends the rooms whose time is over.
    func expire() {
        expiryTime = nil
        carryOut(model.expire(at: now()))
    }

    private static func metadata(_ session: SessionLink, _ more: Logger.Metadata = [:]) -> Logger.Metadata {
        var metadata = more
        metadata["session"] = "\(session.id)"
        metadata["login"] = "\(session.info.login ?? "-")"
        return metadata
    }
}

extension SessionInfo {
    /// Whoever gives a login, or the application key of the vendor's room clients, means rooms by everything it sends.
    var isRoomClient: Bool { login != nil || appKey == "roomApp" || appKey == "flashRoomApp" }
}
