// SPDX-License-Identifier: Apache-2.0
// Application data: `sendData` and its `DataStatusEvent`, `OnDataEvent`; the answer to `availableStream`; `fail`.

/// `sendData`: opaque to the protocol; rooms put their commands into the payload.
public struct DataRequest: Sendable, Equatable {
    public var operationID: String
    public var payload: JSONValue

    public init(operationID: String, payload: JSONValue) {
        self.operationID = operationID
        self.payload = payload
    }
    public init(_ argument: JSONValue) {
        operationID = argument["operationId"]?.lenientString ?? ""
        payload = argument["payload"] ?? .null
    }
    public var json: JSONValue { ["operationId": .string(operationID), "payload": payload] }
}

/// `DataStatusEvent`: how a `sendData` went. Clients throw on any other status than these two.
public struct DataStatus: Sendable, Equatable {
    public var operationID: String
    public var isAccepted: Bool
    public var info: String?

    public init(operationID: String, isAccepted: Bool, info: String? = nil) {
        self.operationID = operationID
        self.isAccepted = isAccepted
        self.info = info
    }
    public init(_ argument: JSONValue) {
        operationID = argument["operationId"]?.lenientString ?? ""
        isAccepted = argument["status"]?.stringValue == "ACCEPTED"
        info = argument["info"]?.lenientString
    }
    public var json: JSONValue {
        var members: [String: JSONValue] = [
            "operationId": .string(operationID), "status": .string(isAccepted ? "ACCEPTED" : "FAILED"),
        ]
        if let info { members["info"] = .string(info) }
        return .object(members)
    }
}

/// `OnDataEvent`: data from the server.
public struct DataEvent: Sendable, Equatable {
    public var operationID: String?
    public var payload: JSONValue

    public init(operationID: String? = nil, payload: JSONValue) {
        self.operationID = operationID
        self.payload = payload
    }
    public init(_ argument: JSONValue) {
        operationID = argument["operationId"]?.lenientString
        payload = argument["payload"] ?? .null
    }
    public var json: JSONValue {
        var members: [String: JSONValue] = ["payload": payload]
        if let operationID { members["operationId"] = .string(operationID) }
        return .object(members)
    }
}

/// The answer to `availableStream`. On the wire the status is a *string*; clients take boolean `true` for "no".
public struct Availability: Sendable, Equatable {
    public var id: String
    public var isAvailable: Bool
    public var info: String

    public init(id: String, isAvailable: Bool, info: String = "") {
        self.id = id
        self.isAvailable = isAvailable
        self.info = info
    }
    public init(_ argument: JSONValue) {
        id = (argument["id"] ?? argument["mediaSessionId"])?.lenientString ?? ""
        isAvailable = argument["status"]?.stringValue == "true"
        info = argument["info"]?.lenientString ?? ""
    }
    public var json: JSONValue {
        ["id": .string(id), "status": .string(isAvailable ? "true" : "false"), "info": .string(info)]
    }
}

/// `fail`: a warning in words, or (with `apiMethod` StreamStatusEvent) the status of a stream.
public struct FailMessage: Sendable, Equatable {
    public var info: String
    public var object: [String: JSONValue]

    public init(info: String, also members: [String: JSONValue] = [:]) {
        self.info = info
        object = members
    }
    public init(_ argument: JSONValue) {
        object = argument.objectValue ?? [:]
        info = argument["info"]?.lenientString ?? ""
    }
    /// The status of a stream that came as a failure.
    public var streamStatus: StreamStatusMessage? {
        guard object["apiMethod"]?.stringValue == "StreamStatusEvent" else { return nil }
        return StreamStatusMessage(.object(object))
    }
    public var json: JSONValue {
        var members = object
        members["info"] = .string(info)
        return .object(members)
    }
}
