// SPDX-License-Identifier: Apache-2.0
// The commands of room clients, as they come in the payload of `sendData`. Parsed by RoomService, whatever the application key.
import Signalling

enum RoomCommand: Sendable, Equatable {
    case join(room: String, record: Bool)
    case leave(room: String)
    case sendMessage(room: String, to: String, text: String)

    /// Reads a payload. `nil`: it is no room command, but data of some other application.
    /// - Parameter isRoomClient: whoever connected as a room client means everything it sends for its rooms; then what can't be
    ///   a command is refused instead.
    init?(_ payload: JSONValue, isRoomClient: Bool) throws(RoomRefusal) {
        guard case .string(let command)? = payload["command"] else {
            if isRoomClient { throw .malformed("\"command\" is missing or not a string") }
            return nil
        }
        let reader = OptionsReader(command: command, options: payload["options"] ?? .null)
        switch command {
        case "join": self = .join(room: try reader.name("name"), record: try reader.flag("record"))
        case "leave": self = .leave(room: try reader.name("name"))
        case "sendMessage":
            self = .sendMessage(
                room: try reader.inner("roomConfig").name("name"), to: try reader.name("to"), text: try reader.text("text"))
        default:
            if isRoomClient { throw .unknownCommand(command) }
            return nil
        }
    }
}

/// Strict access to the options of a command; what is wrong is named in a sentence.
private struct OptionsReader {
    let command: String
    let options: JSONValue
    var path = ""

    /// A non-empty text of bounded length.
    func name(_ key: String) throws(RoomRefusal) -> String {
        let name = try text(key)
        guard !name.isEmpty else { throw fault(key, "is empty") }
        guard name.utf8.count <= RoomLimits.maximumNameLength else {
            throw fault(key, "is longer than \(RoomLimits.maximumNameLength) bytes of UTF-8")
        }
        return name
    }

    func text(_ key: String) throws(RoomRefusal) -> String {
        guard let value = options[key], !value.isNull else { throw fault(key, "is missing") }
        guard let text = value.stringValue else { throw fault(key, "must be a string") }
        return text
    }

    /// false when missing.
    func flag(_ key: String) throws(RoomRefusal) -> Bool {
        guard let value = options[key], !value.isNull else { return false }
        guard let flag = value.lenientBool else { throw fault(key, "must be true or false") }
        return flag
    }

    /// The options within the options.
    func inner(_ key: String) throws(RoomRefusal) -> OptionsReader {
        guard let value = options[key], !value.isNull else { throw fault(key, "is missing") }
        guard value.objectValue != nil else { throw fault(key, "must be an object") }
        return OptionsReader(command: command, options: value, path: path + key + ".")
    }

    private func fault(_ key: String, _ what: String) -> RoomRefusal { .malformed("\(command): \"\(path)\(key)\" \(what)") }
}
