// SPDX-License-Identifier: Apache-2.0
// `connection`: the first message of a client. Everything but the application key may be missing.

/// What a client says about itself when it connects.
public struct ConnectionRequest: Sendable, Equatable {
    public static let defaultAppKey = "defaultApp"

    public var appKey: String
    public var mediaProviders: [String]
    public var clientVersion: String
    public var clientOSVersion: String
    public var clientBrowserVersion: String
    public var keepAlive: Bool?
    public var authToken: String?
    /// Opaque to the protocol; rooms find `login` here.
    public var custom: JSONValue?
    /// The object as it came, for the echo in `getUserData`.
    public var object: [String: JSONValue]

    public init(_ argument: JSONValue) {
        object = argument.objectValue ?? [:]
        appKey = argument["appKey"]?.lenientString ?? Self.defaultAppKey
        mediaProviders = argument["mediaProviders"]?.arrayValue?.compactMap(\.stringValue) ?? []
        clientVersion = argument["clientVersion"]?.lenientString ?? ""
        clientOSVersion = argument["clientOSVersion"]?.lenientString ?? ""
        clientBrowserVersion = argument["clientBrowserVersion"]?.lenientString ?? ""
        keepAlive = argument["keepAlive"]?.lenientBool
        authToken = argument["authToken"]?.lenientString
        custom = argument["custom"]
    }

    public init(
        appKey: String = ConnectionRequest.defaultAppKey, clientVersion: String = "2.0", clientOSVersion: String = "",
        clientBrowserVersion: String = "", custom: JSONValue? = nil
    ) {
        self.appKey = appKey
        mediaProviders = ["WebRTC"]
        self.clientVersion = clientVersion
        self.clientOSVersion = clientOSVersion
        self.clientBrowserVersion = clientBrowserVersion
        self.custom = custom
        object = [:]
    }

    /// The login of a room client.
    public var login: String? { custom?["login"]?.lenientString }

    /// As a client sends it.
    public var json: JSONValue {
        var members = object
        members["appKey"] = .string(appKey)
        members["mediaProviders"] = .array(mediaProviders.map(JSONValue.string))
        members["clientVersion"] = .string(clientVersion)
        members["clientOSVersion"] = .string(clientOSVersion)
        members["clientBrowserVersion"] = .string(clientBrowserVersion)
        if let keepAlive { members["keepAlive"] = .bool(keepAlive) }
        if let authToken { members["authToken"] = .string(authToken) }
        if let custom { members["custom"] = custom }
        return .object(members)
    }

    /// `getUserData`: the request as it came, without its passwords, and what the server adds.
    public func userData(authToken: String) -> JSONValue {
        var members = object
        members["sipPassword"] = nil
        members["appKey"] = .string(appKey)
        members["mediaProviders"] = .array(mediaProviders.map(JSONValue.string))
        members["clientVersion"] = .string(clientVersion)
        members["clientOSVersion"] = .string(clientOSVersion)
        members["clientBrowserVersion"] = .string(clientBrowserVersion)
        members["keepAlive"] = .bool(keepAlive ?? false)
        members["authToken"] = .string(authToken)
        members["status"] = "ESTABLISHED"
        members["useWsTunnel"] = false
        members["useWsTunnelPacketization2"] = false
        members["useBase64BinaryEncoding"] = false
        return .object(members)
    }
}

extension ConnectionRequest {
    /// Set in `custom` by the client of another server's agent, so that a server can hold agents to its rules.
    public static let agentMark = "martletAgent"

    /// true when another server's agent introduces itself.
    public var isAgent: Bool { custom?[Self.agentMark]?.lenientBool ?? false }
}
