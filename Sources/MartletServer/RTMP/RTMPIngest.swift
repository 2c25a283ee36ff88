// SPDX-License-Identifier: Apache-2.0
// What an encoder sends, into a source of the media graph: IngestState decides, this performs. Fed on the connection's event loop; starting
// happens in a task. Used for publishers and for pulled streams.
import Clocks
import Logging
import MediaIO
import Primitives
import RTMP
import Synchronization

/// Where the frames go: the source of one stream.
protocol IngestTarget: Sendable {
    func start(_ tracks: [IngestTrack]) async throws(StreamRefusal)
    /// The source has these tracks from now on; what is written afterwards counts by them. Returns at once.
    func change(_ tracks: [IngestTrack])
    /// One frame in decoding order, with the time at which it is shown or heard.
    func write(track: Int, frame: [UInt8], time: MediaTime, isKeyFrame: Bool)
    func update(track: Int, parameterSets: [[UInt8]])
}

/// What ingests have left out or put right, for the statistics page.
final class IngestCounters: Sendable {
    private let unusableMessages = Atomic<Int>(0), jumps = Atomic<Int>(0)

    /// Messages that could not be used.
    var unusable: Int { unusableMessages.load(ordering: .relaxed) }
    /// Time lines begun anew because timestamps had nothing to do with arrival.
    var rebases: Int { jumps.load(ordering: .relaxed) }

    func add(unusable: Int, rebases: Int = 0) {
        if unusable != 0 { unusableMessages.wrappingAdd(unusable, ordering: .relaxed) }
        if rebases != 0 { jumps.wrappingAdd(rebases, ordering: .relaxed) }
    }
}

final class RTMPIngest: Sendable {
    private let state = Mutex(IngestState())
    private let target: any IngestTarget
    private let counters: IngestCounters
    /// Why the stream can't go on; told once.
    private let onFailure: @Sendable (String) -> Void
    private let logger: Logger

    init(target: any IngestTarget, counters: IngestCounters = IngestCounters(), logger: Logger, onFailure: @escaping @Sendable (String) -> Void) {
        self.target = target
        self.counters = counters
        self.logger = logger
        self.onFailure = onFailure
    }

    func end() { state.withLock { $0.end() } }

    /// Bytes of frames that are not complete, or wait for the stream to begin.
    var heldBytes: Int { state.withLock { $0.heldBytes } }

    /// `onMetaData`: says which tracks to expect.
    func take(metadata: AMF0Value) { state.withLock { $0.take(metadata: metadata) } }

    /// Audio or video.
    func take(_ message: RTMPMessage, at now: Instant = MonotonicClock.now()) {
        let (actions, unusable, rebases) = state.withLock { state in
            let before = (state.counts.unusable + state.counts.otherTracks, state.clock.rebases)
            let actions = state.take(message, at: now)
            return (actions, state.counts.unusable + state.counts.otherTracks - before.0, Int(truncatingIfNeeded: state.clock.rebases &- before.1))
        }
        counters.add(unusable: unusable, rebases: rebases)
        if rebases > 0 {
            logger.debug("the publisher's timestamps jumped; its time line goes on by arrival", metadata: ["timestamp": "\(message.timestamp)"])
        }
        perform(actions)
    }

    private func perform(_ actions: [IngestState.Action]) {
        for action in actions {
            switch action {
            case .write(let track, let frame): target.write(track: track, frame: frame.bytes, time: frame.time, isKeyFrame: frame.isKeyFrame)
            case .update(let track, let sets): target.update(track: track, parameterSets: sets)
            case .begin(let tracks): begin(tracks)
            case .change(let tracks):
                logger.notice("the encoder sends other tracks now", metadata: ["tracks": "\(tracks.map(\.name).joined(separator: ","))"])
                target.change(tracks)
            case .note(let text): logger.warning("\(text)")
            case .fail(let reason): onFailure(reason)
            case .lookAfter(let time):
                Task { [weak self] in
                    try? await Task.sleep(for: time.duration)
                    guard let self else { return }
                    self.perform(self.state.withLock { $0.look(at: MonotonicClock.now()) })
                }
            }
        }
    }

    private func begin(_ tracks: [IngestTrack]) {
        Task {
            do throws(StreamRefusal) {
                try await target.start(tracks)
            } catch {
                guard case .refused(_, let reason) = error else { return end() }
                var actions: [IngestState.Action] = []
                state.withLock { $0.fail(reason, &actions) }
                return perform(actions)
            }
            // Under the lock, so that no later frame overtakes those that waited.
            state.withLock { state in
                perform(state.began(tracks, at: MonotonicClock.now()))
            }
        }
    }
}
