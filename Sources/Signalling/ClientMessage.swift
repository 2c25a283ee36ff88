// SPDX-License-Identifier: Apache-2.0
// Everything a client says to a server. Decoded by sessions, encoded by the client of agents and tools.

/// A message from client to server.
public enum ClientMessage: Sendable, Equatable {
    case connection(ConnectionRequest)
    case ping
    case pong
    case publishStream(StreamRequest)
    case playStream(StreamRequest)
    case unPublishStream(StreamIdentity)
    case stopStream(StreamIdentity)
    case snapshot(StreamIdentity)
    case availableStream(StreamIdentity)
    case sendStreamEvent(StreamEventMessage)
    case sendData(DataRequest)
    /// Old SDKs acknowledge every `OnDataEvent`.
    case dataStatus(DataStatus)
    case submitBugReport(JSONValue)
    /// true: start, false: stop.
    case sessionDebug(Bool)
    case pushLogs(String)
    /// SIP: call, answer, hangup, hold, unhold, sendDtmf, transfer.
    case call(method: String, callID: String?)
    case unknown(String)

    public init(_ envelope: Envelope) {
        let argument = envelope.argument
        switch envelope.message {
        case "connection": self = .connection(ConnectionRequest(argument))
        case "ping": self = .ping
        case "pong": self = .pong
        case "publishStream": self = .publishStream(StreamRequest(argument, published: true))
        case "playStream": self = .playStream(StreamRequest(argument, published: false))
        case "unPublishStream": self = .unPublishStream(StreamIdentity(argument, published: true))
        case "stopStream": self = .stopStream(StreamIdentity(argument))
        case "snapshot": self = .snapshot(StreamIdentity(argument))
        case "availableStream": self = .availableStream(StreamIdentity(argument))
        case "sendStreamEvent": self = .sendStreamEvent(StreamEventMessage(argument))
        case "sendData": self = .sendData(DataRequest(argument))
        case "DataStatusEvent": self = .dataStatus(DataStatus(argument))
        case "submitBugReport": self = .submitBugReport(argument)
        case "sessionDebug": self = .sessionDebug(argument["command"]?.stringValue != "stop")
        case "pushLogs": self = .pushLogs(argument["logs"]?.lenientString ?? "")
        case "call", "answer", "hangup", "hold", "unhold", "sendDtmf", "transfer":
            self = .call(method: envelope.message, callID: argument["callId"]?.lenientString)
        default: self = .unknown(envelope.message)
        }
    }

    /// The frame a client sends. Messages a client of ours never sends (`call`, `unknown`) go out with their name only.
    public var envelope: Envelope {
        switch self {
        case .connection(let request): Envelope("connection", [request.json])
        case .ping: Envelope("ping", [.null])
        case .pong: Envelope("pong", [.null])
        case .publishStream(let request): Envelope("publishStream", [request.json])
        case .playStream(let request): Envelope("playStream", [request.json])
        case .unPublishStream(let identity): Envelope("unPublishStream", [identity.json])
        case .stopStream(let identity): Envelope("stopStream", [identity.json])
        case .snapshot(let identity): Envelope("snapshot", [identity.lookup])
        case .availableStream(let identity): Envelope("availableStream", [identity.lookup])
        case .sendStreamEvent(let event): Envelope("sendStreamEvent", [event.json])
        case .sendData(let request): Envelope("sendData", [request.json])
        case .dataStatus(let status): Envelope("DataStatusEvent", [status.json])
        case .submitBugReport(let report): Envelope("submitBugReport", [report])
        case .sessionDebug(let starts): Envelope("sessionDebug", [["command": .string(starts ? "start" : "stop")]])
        case .pushLogs(let lines): Envelope("pushLogs", [["logs": .string(lines)]])
        case .call(let method, let callID): Envelope(method, [["callId": JSONValue(callID)]])
        case .unknown(let name): Envelope(name, [.null])
        }
    }
}
