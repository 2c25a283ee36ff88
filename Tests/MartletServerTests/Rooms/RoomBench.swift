// SPDX-License-Identifier: Apache-2.0
// Sessions in rooms, without sockets: clients of the session bench with a room service behind them.
import MediaIO
import Signalling
import Synchronization

@testable import MartletServer

/// What a room client was told, in the order it came.
enum RoomNews: Equatable {
    /// ACCEPTED or the info of FAILED, by operation id.
    case outcome(String, String?)
    case event(room: String, name: String, info: JSONValue)
    case status(StreamStatus, id: String, info: String?)
    case answer(String)
    case warning(String, event: String?)
    case ended
}

/// A room client: answers pings, as browsers do.
final class RoomClient {
    let client: BenchClient
    private var operations = 0
    var answersPings = true

    init(_ client: BenchClient) { self.client = client }

    func next(isolation: isolated (any Actor)? = #isolation) async -> RoomNews {
        while let message = await client.next() {
            switch message {
            case .ping: if answersPings { client.send(.pong) }
            case .dataStatus(let status): return .outcome(status.operationID, status.isAccepted ? nil : status.info ?? "")
            case .data(let event):
                return .event(
                    room: event.payload["roomName"]?.stringValue ?? "", name: event.payload["name"]?.stringValue ?? "",
                    info: event.payload["info"] ?? .null)
            case .streamStatus(let status): return .status(status.known ?? .new, id: status.mediaSessionID, info: status.info)
            case .setRemoteSDP(let id, _): return .answer(id)
            case .fail(let failure): return .warning(failure.info, event: failure.object["roomEvent"]?.stringValue)
            default: continue
            }
        }
        return .ended
    }

    /// Everything up to and including the outcome of the command.
    func news(until id: String, isolation: isolated (any Actor)? = #isolation) async -> [RoomNews] {
        var news: [RoomNews] = []
        while true {
            let item = await next()
            news.append(item)
            if case .outcome(id, _) = item { return news }
            if item == .ended { return news }
        }
    }

    @discardableResult
    func send(_ payload: JSONValue) -> String {
        operations += 1
        client.send(.sendData(DataRequest(operationID: "op\(operations)", payload: payload)))
        return "op\(operations)"
    }

    @discardableResult
    func join(_ room: String, record: Bool? = nil) -> String {
        var options: JSONValue = ["name": .string(room)]
        if let record { options["record"] = .bool(record) }
        return send(["command": "join", "options": options])
    }
    @discardableResult
    func leave(_ room: String) -> String { send(["command": "leave", "options": ["name": .string(room)]]) }
    @discardableResult
    func write(_ text: String, to: String, in room: String) -> String {
        send(["command": "sendMessage", "options": ["roomConfig": ["name": .string(room)], "to": .string(to), "text": .string(text)]])
    }
    func publish(_ id: String, _ name: String, in room: String?) {
        var request = StreamRequest(mediaSessionID: id, name: name, published: true, sdp: "offer")
        request.custom = room.map { ["name": .string($0)] }
        client.send(.publishStream(request))
    }
    func play(_ id: String, _ name: String, in room: String?) {
        var request = StreamRequest(mediaSessionID: id, name: name, published: false, sdp: "offer")
        request.custom = room.map { ["name": .string($0)] }
        client.send(.playStream(request))
    }

    /// Joins and returns STATE's info; `nil` when it was refused.
    func enter(_ room: String, isolation: isolated (any Actor)? = #isolation) async -> JSONValue? {
        let id = join(room)
        guard await news(until: id).last == .outcome(id, nil) else { return nil }
        guard case .event(room, "STATE", let info) = await next() else { return nil }
        return info
    }

    /// What has come until everything that was sent is done.
    func settled(isolation: isolated (any Actor)? = #isolation) async -> [RoomNews] {
        // Something that is refused, whatever room the client is in.
        let id = leave("nowhere")
        return Array(await news(until: id).dropLast())
    }
}

final class RoomBench {
    let sessions: SessionBench
    let rooms: RoomService
    private let life = LifeRecord()

    init(isAutomatic: Bool = true, _ change: (inout RoomLimits) -> Void = { _ in }) {
        var limits = RoomLimits()
        change(&limits)
        let sessions = SessionBench(isAutomatic: isAutomatic)
        self.sessions = sessions
        rooms = RoomService(limits: limits, streams: sessions.registry, onLife: { [life] in life.append($0) }, logger: silentLogger())
    }

    var lifeEvents: [RoomLifeEvent] { life.events }

    func client(
        _ login: String?, presenceTimeout: Duration = .seconds(20), isolation: isolated (any Actor)? = #isolation
    ) async -> RoomClient {
        var limits = SessionLimits()
        limits.presenceTimeout = presenceTimeout
        let client = sessions.client(limits: limits, application: rooms)
        await client.connect(ConnectionRequest(appKey: "roomApp", custom: login.map { ["login": .string($0)] }))
        return RoomClient(client)
    }

    func close(isolation: isolated (any Actor)? = #isolation) async { await sessions.close() }
}

final class LifeRecord: Sendable {
    private let list = Mutex<[RoomLifeEvent]>([])
    func append(_ event: RoomLifeEvent) { list.withLock { $0.append(event) } }
    var events: [RoomLifeEvent] { list.withLock { $0 } }
}
