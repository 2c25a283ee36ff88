// SPDX-License-Identifier: Apache-2.0
// Everything a server says to a client. Encoded by sessions, decoded by the client of agents and tools.

/// A message from server to client.
public enum ServerMessage: Sendable, Equatable {
    case ping
    case pong
    /// The echo of `connection`; makes the client's session ESTABLISHED.
    case userData(JSONValue)
    case version(String)
    /// The answer to an offer. Exactly one per stream.
    case setRemoteSDP(mediaSessionID: String, sdp: String)
    case streamStatus(StreamStatusMessage)
    case streamEvent(StreamEventMessage)
    case available(Availability)
    case inboundVideoRate(VideoRate)
    case outboundVideoRate(VideoRate)
    case dataStatus(DataStatus)
    case data(DataEvent)
    case fail(FailMessage)
    case sessionDebugEvent(JSONValue)
    /// SIP: a call is over.
    case callFinished(JSONValue)
    case unknown(String)

    /// Decodes what a server sent. Missing or odd arguments give `unknown`, never an error.
    public init(_ envelope: Envelope) {
        let argument = envelope.argument
        switch envelope.message {
        case "ping": self = .ping
        case "pong": self = .pong
        case "getUserData": self = .userData(argument)
        case "getVersion": self = .version(argument.lenientString ?? "")
        case "setRemoteSDP":
            // Two elements, or three where the last says that this is an answer.
            guard let id = argument.lenientString, envelope.data.count > 1, let sdp = envelope.data[1].stringValue else {
                self = .unknown(envelope.message)
                return
            }
            self = .setRemoteSDP(mediaSessionID: id, sdp: sdp)
        case "notifyStreamStatusEvent", "notifyVideoFormat":
            self = StreamStatusMessage(argument).map(ServerMessage.streamStatus) ?? .unknown(envelope.message)
        case "notifyStreamEvent": self = .streamEvent(StreamEventMessage(argument))
        case "availableStream": self = .available(Availability(argument))
        case "inboundVideoRate": self = .inboundVideoRate(VideoRate(argument))
        case "outboundVideoRate": self = .outboundVideoRate(VideoRate(argument))
        case "DataStatusEvent": self = .dataStatus(DataStatus(argument))
        case "OnDataEvent": self = .data(DataEvent(argument))
        case "fail": self = .fail(FailMessage(argument))
        case "notifySessionDebugEvent": self = .sessionDebugEvent(argument)
        case "finish": self = .callFinished(argument)
        default: self = .unknown(envelope.message)
        }
    }

    public var envelope: Envelope {
        switch self {
        case .ping: Envelope("ping")
        case .pong: Envelope("pong", [.null])
        case .userData(let object): Envelope("getUserData", [object])
        case .version(let text): Envelope("getVersion", [.string(text)])
        // Old Android clients dereference the third element: true = apply as answer.
        case .setRemoteSDP(let id, let sdp): Envelope("setRemoteSDP", [.string(id), .string(sdp), true])
        case .streamStatus(let status): Envelope("notifyStreamStatusEvent", [status.json])
        case .streamEvent(let event): Envelope("notifyStreamEvent", [event.json])
        case .available(let answer): Envelope("availableStream", [answer.json])
        case .inboundVideoRate(let rate): Envelope("inboundVideoRate", [rate.json])
        case .outboundVideoRate(let rate): Envelope("outboundVideoRate", [rate.json])
        case .dataStatus(let status): Envelope("DataStatusEvent", [status.json])
        case .data(let event): Envelope("OnDataEvent", [event.json])
        case .fail(let failure): Envelope("fail", [failure.json])
        case .sessionDebugEvent(let object): Envelope("notifySessionDebugEvent", [object])
        case .callFinished(let object): Envelope("finish", [object])
        case .unknown(let name): Envelope(name)
        }
    }
}
