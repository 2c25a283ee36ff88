// SPDX-License-Identifier: Apache-2.0
// Why a room command was refused. The sentence goes to the client as `info` of DataStatusEvent, where pages show it to people.

enum RoomRefusal: Error, Sendable, Equatable {
    /// Somebody of that login is in the room: this session, or the one named.
    case loginTaken(holder: ParticipantID)
    case roomFull(maximum: Int)
    case tooManyRooms
    case tooManyRoomsOfSession(maximum: Int)
    case tooManyRoomsOfAddress(maximum: Int)
    /// The session gave no `custom.login` when it connected.
    case noLogin
    case notInRoom(String)
    case noSuchParticipant(login: String)
    case messageToOneself
    case messageTooLong(maximum: Int)
    case tooManyMessages(perSecond: Int)
    /// A field of the command is missing or not of its type.
    case malformed(String)
    case unknownCommand(String)

    /// The words for the client. Those of a taken login are the vendor's, which pages may compare.
    var info: String {
        switch self {
        case .loginTaken: "Room already has user with such login"
        case .roomFull(let maximum): "Room is full: it has \(maximum) participants"
        case .tooManyRooms: "There are too many rooms on this server"
        case .tooManyRoomsOfSession(let maximum): "This connection is in \(maximum) rooms already"
        case .tooManyRoomsOfAddress(let maximum): "Your address has opened \(maximum) rooms already"
        case .noLogin: "A login is needed: connect with custom.login"
        case .notInRoom(let room): "You are not in room \"\(Self.excerpt(room))\""
        case .noSuchParticipant(let login): "Room has no participant \"\(Self.excerpt(login))\""
        case .messageToOneself: "A message needs somebody else as its addressee"
        case .messageTooLong(let maximum): "Message is too long: at most \(maximum) bytes of UTF-8 are allowed"
        case .tooManyMessages(let rate): "Too many messages: at most \(rate) per second and addressee are allowed"
        case .malformed(let reason): reason
        case .unknownCommand(let command): "Unknown room command \"\(Self.excerpt(command))\""
        }
    }

    /// What came from outside is repeated in part only.
    private static func excerpt(_ text: String) -> String {
        text.utf8.count <= RoomLimits.maximumNameLength ? text : String(text.unicodeScalars.prefix(64).map(Character.init)) + "…"
    }
}
