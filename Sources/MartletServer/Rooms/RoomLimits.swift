// SPDX-License-Identifier: Apache-2.0
// The bounds and times of rooms, as the room model needs them. Made from the settings by the composition.

struct RoomLimits: Sendable, Equatable {
    /// How long an empty room is kept whose last participant was lost without `leave`.
    var idleTimeout = Duration.milliseconds(60_000)
    var maximumRooms = 10_000
    /// Of these, opened from one address; IPv6 addresses count by /64.
    var maximumRoomsPerAddress = 2_000
    var maximumParticipants = 100
    /// Rooms that one session may be in at the same time.
    var maximumRoomsPerSession = 50
    /// UTF-8 bytes of one text message.
    var maximumMessageLength = 16_384
    /// Texts per second that a participant may send to each of the others, on average over them.
    var maximumMessageRate = 20
    /// Streams of a room are played by its participants only.
    var playsForMembersOnly = true
    /// In a second everybody together may send this many times `maximumMessageRate` to one participant.
    static let messageRateOfAll = 5
    /// Sound of participants who are silent is not forwarded.
    var withholdsSilence = false
    /// UTF-8 bytes of a room's name or a login. Stream names are made of both and may have 1024.
    static let maximumNameLength = 256

    init() {}

    init(_ settings: Settings) {
        idleTimeout = .milliseconds(settings.roomIdleTimeout)
        maximumRooms = settings.maximumRooms
        maximumRoomsPerAddress = settings.maximumRoomsPerAddress
        maximumParticipants = settings.maximumRoomParticipants
        maximumRoomsPerSession = settings.maximumRoomsPerSession
        maximumMessageLength = settings.maximumRoomMessageLength
        maximumMessageRate = settings.maximumRoomMessageRate
        playsForMembersOnly = settings.roomMembersOnly
        withholdsSilence = settings.roomLoudestOnly
    }
}
