// SPDX-License-Identifier: Apache-2.0
// The local stream of an RTMP pull. It outlives the connections that fill it: players keep it, and what the next connection brings goes
// on where the last one ended. Made and held by RTMPRelay.
import Clocks
import MediaIO
import Primitives
import Synchronization

final class PulledStream: IngestTarget {
    let source: PublishedSource
    private let door: DoorTarget

    private struct State {
        var tracks: [IngestTrack]?
        /// Added to the far side's times.
        var shift = TimeSpan.zero
        /// A connection has begun; its first frame says by how much its times are to be shifted.
        var hasNewClock = false
        var needsKeyFrame = false
        /// The newest time given on, and when that was.
        var newest = MediaTime.zero
        var newestAt = MonotonicClock.now()
    }
    private let state = Mutex(State())

    init(source: PublishedSource) {
        self.source = source
        door = DoorTarget(source: source)
    }

    func start(_ tracks: [IngestTrack]) async throws(StreamRefusal) {
        guard let known = state.withLock({ $0.tracks }) else {
            try await door.start(tracks)
            return state.withLock { $0.tracks = tracks }
        }
        if known != tracks { change(tracks) }
        state.withLock { state in
            state.hasNewClock = true
            state.needsKeyFrame = true
        }
    }

    func change(_ tracks: [IngestTrack]) {
        door.change(tracks)
        state.withLock { $0.tracks = tracks }
    }

    func write(track: Int, frame: [UInt8], time given: MediaTime, isKeyFrame: Bool) {
        let now = MonotonicClock.now()
        let time = state.withLock { state -> MediaTime? in
            guard let tracks = state.tracks, tracks.indices.contains(track) else { return nil }
            if state.hasNewClock {
                state.hasNewClock = false
                state.shift = state.newest + now.span(since: state.newestAt) - given
            }
            if tracks[track].isVideo, state.needsKeyFrame {
                guard isKeyFrame else { return nil }
                state.needsKeyFrame = false
            }
            let time = given + state.shift
            if time >= state.newest { (state.newest, state.newestAt) = (time, now) }
            return time
        }
        if let time { door.write(track: track, frame: frame, time: time, isKeyFrame: isKeyFrame) }
    }

    func update(track: Int, parameterSets: [[UInt8]]) { door.update(track: track, parameterSets: parameterSets) }
}
