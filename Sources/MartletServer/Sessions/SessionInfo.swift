// SPDX-License-Identifier: Apache-2.0
// What is known about a connected client: for REST, for logs, for applications.
import Signalling

/// What a client is connected by; the REST name is the raw value.
enum SessionTransport: String, Sendable { case ws, wss, rtmp, rtmps }

struct SessionInfo: Sendable, Equatable {
    /// "/client:port/server:port-uuid"
    let id: String
    let remoteAddress: String
    let transport: SessionTransport
    /// Milliseconds since 1970.
    let createDate: Int64
    /// `nil` before `connection`.
    var connection: ConnectionRequest?

    var login: String? { connection?.login }
    var appKey: String { connection?.appKey ?? ConnectionRequest.defaultAppKey }

    var json: JSONValue {
        var members: [String: JSONValue] = [
            "sessionId": .string(id), "id": .string(id), "remoteAddress": .string(remoteAddress),
            "transport": .string(transport.rawValue), "createDate": .integer(createDate),
            "status": .string(connection == nil ? "CONNECTED" : "ESTABLISHED"),
        ]
        if let connection {
            members["appKey"] = .string(connection.appKey)
            members["mediaProviders"] = .array(connection.mediaProviders.map(JSONValue.string))
            members["clientVersion"] = .string(connection.clientVersion)
            members["clientOSVersion"] = .string(connection.clientOSVersion)
            members["clientBrowserVersion"] = .string(connection.clientBrowserVersion)
            members["keepAlive"] = .bool(connection.keepAlive ?? false)
            members["login"] = connection.login.map(JSONValue.string)
        }
        return .object(members)
    }

    /// The names a filter may use.
    static let filterableKeys: Set<String> = [
        "sessionId", "id", "remoteAddress", "transport", "createDate", "status", "appKey", "clientVersion", "clientOSVersion",
        "clientBrowserVersion", "keepAlive", "login",
    ]
}
