// SPDX-License-Identifier: Apache-2.0
// Watches who speaks in each room and has it told to those who watch the streams. A service of the composition; what it judges
// by comes from the media engine, what rooms there are from RoomService.
import Logging
import Primitives
import ServiceLifecycle

actor RoomSpeakers: Service {
    typealias Instant = ContinuousClock.Instant

    /// Pause between two looks while there are rooms to look at, and while there are none.
    static let interval = Duration.milliseconds(200)
    static let idleInterval = Duration.seconds(1)

    private let rooms: RoomService
    private let streams: StreamRegistry
    private let logger: Logger
    private var watched: [ExactText: LoudestSpeaker] = [:]

    init(rooms: RoomService, streams: StreamRegistry, logger: Logger) {
        self.rooms = rooms
        self.streams = streams
        self.logger = logger
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                await self.look(at: .now)
                try? await Task.sleep(for: await self.pause)
            }
        }
    }

    private var pause: Duration { watched.isEmpty ? Self.idleInterval : Self.interval }

    /// Looks once at every room.
    func look(at now: Instant) async {
        let audible = await rooms.audibleStreams()
        if audible.isEmpty, watched.isEmpty { return }
        let levels = await streams.audioLevels(of: audible.flatMap(\.streams))
        var next: [ExactText: LoudestSpeaker] = [:]
        for room in audible {
            let key = ExactText(room.name)
            var speaker = watched.removeValue(forKey: key) ?? LoudestSpeaker()
            let before = speaker.current
            if speaker.update(room.streams.map { .init(stream: $0, level: levels[$0]) }, at: now) {
                await tell(before, speaker.current, levels, room: room.name)
            }
            next[key] = speaker
        }
        // Rooms that are over, or have one person left.
        for (key, speaker) in watched { await tell(speaker.current, nil, levels, room: key.text) }
        watched = next
    }

    /// The old one first, so that no client ever marks two.
    private func tell(_ before: String?, _ now: String?, _ levels: [String: UInt8], room: String) async {
        if let before { await streams.setLoudest(before, false, level: levels[before] ?? 127) }
        if let now { await streams.setLoudest(now, true, level: levels[now] ?? 0) }
        logger.debug("loudest speaker", metadata: ["room": "\(room)", "media_session": "\(now ?? "-")"])
    }
}
