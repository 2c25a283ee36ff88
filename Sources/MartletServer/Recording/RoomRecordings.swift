// SPDX-License-Identifier: Apache-2.0
// Rooms that are recorded as a whole: follows the life of rooms and puts the streams of those that asked for it into one
// recording each. Owned by the composition, which carries the events here.
import Clocks
import Foundation
import Logging
import MediaIO
import Primitives
import Recording
import Synchronization

final class RoomRecordings: Sendable {
    private let recordings: StreamRecordings
    private let streams: StreamRegistry
    private let logger: Logger
    private let events: AsyncStream<RoomLifeEvent>
    private let sink: AsyncStream<RoomLifeEvent>.Continuation

    private struct State {
        var isRecorded = false
        var streams: [(login: String, stream: RoomStream)] = []
    }

    init(recordings: StreamRecordings, streams: StreamRegistry, logger: Logger) {
        self.recordings = recordings
        self.streams = streams
        self.logger = logger
        (events, sink) = AsyncStream.makeStream()
    }

    static func address(of room: String) -> String { "multi-recorder://" + room }

    /// Takes what has happened. Returns at once; events are worked off in order by `run`.
    func note(_ event: RoomLifeEvent) { sink.yield(event) }

    /// Until its task is cancelled.
    func run() async {
        var rooms: [ExactText: State] = [:]
        for await event in events {
            switch event {
            case .opened(let name): rooms[ExactText(name)] = State()
            case .recordingRequested(let name):
                let room = ExactText(name)
                guard recordings.isEnabled, rooms[room]?.isRecorded == false else { break }
                do { rooms[room]?.isRecorded = try await recordings.service.startGroup(Self.address(of: name)) } catch {
                    logger.error("the room is not recorded", metadata: ["room": "\(name)", "reason": "\(error)"])
                }
                guard rooms[room]?.isRecorded == true else { break }
                for (login, stream) in rooms[room]?.streams ?? [] { await add(stream, of: login, in: name) }
            case .streamStarted(let name, let login, let stream):
                let room = ExactText(name)
                rooms[room]?.streams.append((login, stream))
                if rooms[room]?.isRecorded == true { await add(stream, of: login, in: name) }
            case .streamEnded(let name, _, let stream):
                let room = ExactText(name)
                rooms[room]?.streams.removeAll { $0.stream == stream }
                if rooms[room]?.isRecorded == true {
                    _ = await recordings.service.remove(stream.mediaSessionID, fromGroup: Self.address(of: name))
                }
            case .ended(let name):
                if rooms.removeValue(forKey: ExactText(name))?.isRecorded == true {
                    await recordings.service.endGroupInBackground(Self.address(of: name))
                }
                recordings.origins.forget(name)
            }
        }
    }

    private func add(_ stream: RoomStream, of login: String, in room: String) async {
        guard let entry = await streams.entry(stream.mediaSessionID), let handle = entry.stream else { return }
        do {
            try await recordings.add(entry.record, owner: entry.owner, login: login, stream: handle, toGroup: Self.address(of: room))
        } catch {
            logger.error("a stream is missing in the record of its room", metadata: StreamRegistry.metadata(entry.record, ["reason": "\(error)"]))
        }
    }
}

/// When the first stream of each room was published: where synchronised files begin (`enable_empty_shift_writer`).
final class RoomOrigins: Sendable {
    private let origins = Mutex<[ExactText: Instant]>([:])

    /// On the monotonic clock; that of the first call for a room holds until it is forgotten.
    func origin(of room: String) -> Instant {
        origins.withLock { origins in
            if let origin = origins[ExactText(room)] { return origin }
            let now = MonotonicClock.now()
            origins[ExactText(room)] = now
            return now
        }
    }

    func forget(_ room: String) { origins.withLock { $0[ExactText(room)] = nil } }
}
