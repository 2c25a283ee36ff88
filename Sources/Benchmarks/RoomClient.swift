// SPDX-License-Identifier: Apache-2.0
// One participant of the room benchmark: a real WebSocket session that joins, writes and leaves, and notes how long the answers
// and the events of others took. No media.
import MartletServer
import Signalling
import Synchronization

/// What all participants have measured, by kind of message.
final class RoomTimes: Sendable {
    enum Kind: CaseIterable, Sendable {
        /// From a command to its DataStatusEvent.
        case command
        /// From `sendMessage` to MESSAGE at the addressee.
        case message
        /// From `join` or `leave` to JOINED or LEFT at each of the others.
        case presence
    }
    private struct State {
        var histograms: [Kind: LatencyHistogram] = [:]
        var refusals: [String: Int] = [:]
        var isMeasuring = false
    }
    private let state = Mutex(State())

    func begin() { state.withLock { $0.isMeasuring = true } }
    func end() { state.withLock { $0.isMeasuring = false } }

    func record(_ kind: Kind, since start: Int64) {
        let elapsed = LoadClock.now() - start
        state.withLock { if $0.isMeasuring { $0.histograms[kind, default: LatencyHistogram()].record(elapsed) } }
    }

    func refused(_ info: String) { state.withLock { $0.refusals[info, default: 0] += 1 } }

    var refusals: [String: Int] { state.withLock { $0.refusals } }
    func histogram(_ kind: Kind) -> LatencyHistogram { state.withLock { $0.histograms[kind] } ?? LatencyHistogram() }
}

final class RoomClient: Sendable {
    private struct State {
        var sent: [String: Int64] = [:]
        var waiting: [String: CheckedContinuation<Bool, Never>] = [:]
        var next = 0
        var heard = 0
    }
    /// When each participant last sent `join` or `leave`, ns; by login. Shared by a room.
    final class Moves: Sendable {
        private let times = Mutex<[String: Int64]>([:])
        func note(_ login: String) { times.withLock { $0[login] = LoadClock.now() } }
        func time(of login: String) -> Int64? { times.withLock { $0[login] } }
    }

    let login: String
    private let room: String
    private let moves: Moves
    private let times: RoomTimes
    private let state = Mutex(State())
    private let client = Mutex<WCSClient?>(nil)

    init(login: String, room: String, moves: Moves, times: RoomTimes) {
        self.login = login
        self.room = room
        self.moves = moves
        self.times = times
    }

    func connect(to address: WCSAddress) async throws {
        var configuration = WCSClientConfiguration()
        configuration.appKey = "roomApp"
        configuration.clientName = "load"
        configuration.custom = ["login": .string(login)]
        configuration.connectTimeout = .seconds(60)
        configuration.onData = { [weak self] in self?.receive($0) }
        let connected = try await WCSClient.connect(to: address, configuration: configuration)
        client.withLock { $0 = connected }
    }

    func close() async {
        let connected = client.withLock { client in
            defer { client = nil }
            return client
        }
        await connected?.shutdown()
    }

    // MARK: commands

    /// false when the server refused.
    func join() async -> Bool {
        moves.note(login)
        return await command("join", ["name": .string(room)])
    }

    func leave() async -> Bool {
        moves.note(login)
        return await command("leave", ["name": .string(room)])
    }

    func write(to other: String) async -> Bool {
        let text = "\(LoadClock.now()) a line of chat, as long as people write them"
        return await command("sendMessage", ["roomConfig": ["name": .string(room)], "to": .string(other), "text": .string(text)])
    }

    private func command(_ name: String, _ options: JSONValue) async -> Bool {
        guard let client = client.withLock({ $0 }) else { return false }
        return await withCheckedContinuation { continuation in
            let id = state.withLock { state in
                state.next += 1
                let id = "\(state.next)"
                state.sent[id] = LoadClock.now()
                state.waiting[id] = continuation
                return id
            }
            client.send(.sendData(DataRequest(operationID: id, payload: ["command": .string(name), "options": options])))
        }
    }

    // MARK: answers

    /// On an event loop.
    private func receive(_ message: ServerMessage) {
        switch message {
        case .dataStatus(let status):
            let (sent, waiting) = state.withLock { ($0.sent.removeValue(forKey: status.operationID), $0.waiting.removeValue(forKey: status.operationID)) }
            if let sent { times.record(.command, since: sent) }
            if !status.isAccepted { times.refused(status.info ?? "") }
            waiting?.resume(returning: status.isAccepted)
        case .data(let event):
            state.withLock { $0.heard += 1 }
            let info = event.payload["info"]
            switch event.payload["name"]?.stringValue {
            case "MESSAGE":
                let text = info?["text"]?.stringValue ?? ""
                if let sent = text.split(separator: " ").first.flatMap({ Int64($0) }) { times.record(.message, since: sent) }
            case "JOINED", "LEFT":
                if let sent = info?.stringValue.flatMap(moves.time(of:)) { times.record(.presence, since: sent) }
            default: break
            }
        default: break
        }
    }

    /// Events heard so far.
    var heard: Int { state.withLock { $0.heard } }
}
