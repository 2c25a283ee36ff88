// SPDX-License-Identifier: Apache-2.0
// The clients that are connected to the server, for REST and for shutdown. Filled by WebSocketService and RTMPService.
import Signalling
import Synchronization

final class SessionRegistry: Sendable {
    private enum Client {
        case webSocket(Session)
        case rtmp(RTMPSession)
    }
    private struct Entry {
        let client: Client
        var info: SessionInfo?
    }
    private let sessions = Mutex<[String: Entry]>([:])

    func add(_ session: Session) { sessions.withLock { $0[session.id] = Entry(client: .webSocket(session)) } }
    func add(_ session: RTMPSession) { sessions.withLock { $0[session.id] = Entry(client: .rtmp(session)) } }
    func remove(_ id: String) { sessions.withLock { $0[id] = nil } }
    func update(_ info: SessionInfo) { sessions.withLock { $0[info.id]?.info = info } }

    /// By WebSocket, and by RTMP.
    var counts: (webSocket: Int, rtmp: Int) {
        sessions.withLock { sessions in
            let webSocket = sessions.values.count { if case .webSocket = $0.client { true } else { false } }
            return (webSocket, sessions.count - webSocket)
        }
    }

    /// Oldest first.
    func find(_ filter: SessionFilter) -> [SessionInfo] {
        sessions.withLock { $0.values.compactMap(\.info) }
            .filter(filter.matches)
            .sorted { ($0.createDate, $0.id) < ($1.createDate, $1.id) }
    }

    /// Ends every session that matches, on REST's behalf; how many that were.
    func terminate(_ filter: SessionFilter) -> Int {
        let matching = find(filter)
        for info in matching {
            switch sessions.withLock({ $0[info.id]?.client }) {
            case .webSocket(let session): session.post(.terminate)
            case .rtmp(let session): session.post(.terminate)
            case nil: break
            }
        }
        return matching.count
    }

    /// To all that are connected by WebSocket.
    func postToAll(_ input: Session.Input) {
        for entry in sessions.withLock({ Array($0.values) }) { if case .webSocket(let session) = entry.client { session.post(input) } }
    }

    /// To all that are connected by RTMP.
    func postToAll(_ input: RTMPSession.Input) {
        for entry in sessions.withLock({ Array($0.values) }) { if case .rtmp(let session) = entry.client { session.post(input) } }
    }
}

/// The body of /connection/find and /connection/terminate.
struct SessionFilter: Sendable {
    let fields: [String: JSONValue]

    static let all = SessionFilter(fields: [:])
    private init(fields: [String: JSONValue]) { self.fields = fields }

    /// `null` members don't filter; a missing body matches everything. Throws 400 naming the field.
    init(_ body: JSONValue?) throws(RESTFailure) {
        guard let body, !body.isNull else { self = .all; return }
        guard let members = body.objectValue else { throw .badRequest("the body must be a JSON object") }
        var fields: [String: JSONValue] = [:]
        for (key, value) in members where !value.isNull {
            guard SessionInfo.filterableKeys.contains(key) else { throw .badRequest("there is no field \"\(key)\" to look for") }
            guard value.lenientString != nil else { throw .badRequest("\"\(key)\" must be a string, number or boolean") }
            fields[key] = value
        }
        self.fields = fields
    }

    func matches(_ info: SessionInfo) -> Bool {
        if fields.isEmpty { return true }
        let json = info.json
        return fields.allSatisfy { key, wanted in json[key]?.lenientString == wanted.lenientString }
    }

    var description: String {
        fields.isEmpty ? "any" : fields.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value.lenientString ?? "")" }.joined(separator: " ")
    }
}
