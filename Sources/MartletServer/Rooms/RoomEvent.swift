// SPDX-License-Identifier: Apache-2.0
// What participants are told about their room: the payloads of `OnDataEvent`. Made by the room model, sent by RoomService.
import Signalling

enum RoomEvent: Sendable, Equatable {
    /// The others in the room, to the one who joins.
    case state([RoomStateEntry])
    case joined(login: String)
    case left(login: String)
    case published(login: String, stream: String)
    case unpublished(login: String, stream: String)
    /// A stream ended by failure.
    case failed(login: String, stream: String)
    case message(from: String, text: String)

    var name: String {
        switch self {
        case .state: "STATE"
        case .joined: "JOINED"
        case .left: "LEFT"
        case .published: "PUBLISHED"
        case .unpublished: "UNPUBLISHED"
        case .failed: "FAILED"
        case .message: "MESSAGE"
        }
    }

    func payload(room: String) -> JSONValue {
        ["roomName": .string(room), "name": .string(name), "info": info]
    }

    private var info: JSONValue {
        switch self {
        // Always an array: old clients never see STATE without one.
        case .state(let entries): .array(entries.map(\.json))
        case .joined(let login), .left(let login): .string(login)
        case .published(let login, let stream), .unpublished(let login, let stream), .failed(let login, let stream):
            ["login": .string(login), "name": .string(stream)]
        case .message(let from, let text): ["from": .string(from), "text": .string(text)]
        }
    }
}

/// An element of STATE: a participant without streams, or one stream of a participant. Never both for one login: the plain form
/// would make clients forget the streams.
enum RoomStateEntry: Sendable, Equatable {
    case participant(login: String)
    case stream(login: String, name: String)

    var json: JSONValue {
        switch self {
        case .participant(let login): .string(login)
        case .stream(let login, let name): ["login": .string(login), "name": .string(name)]
        }
    }
}
