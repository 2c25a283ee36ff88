// SPDX-License-Identifier: Apache-2.0
// A stream on its way to one RTMP peer: takes frames from the sink, packs them, waits for the peer. Used for players and for
// republishing.
import MediaIO
import RTMP
import Synchronization

final class RTMPPlayback: Sendable {
    let sink: SubscribedSink
    /// Sends messages and waits until the peer has taken enough; false: it is gone.
    private let send: @Sendable ([RTMPMessage]) async -> Bool

    private struct Wishes {
        var isPaused = false
        var wantsAudio = true
        var wantsVideo = true
        /// Pictures have been left out: the next has to be a key frame.
        var needsKeyFrame = false
    }
    private let wishes = Mutex(Wishes())
    private let task = Mutex<Task<Void, Never>?>(nil)

    init(sink: SubscribedSink, send: @escaping @Sendable ([RTMPMessage]) async -> Bool) {
        self.sink = sink
        self.send = send
    }

    func start() {
        let running = Task { await run() }
        task.withLock { $0 = running }
    }

    func stop() { task.withLock { $0 }?.cancel() }

    func pause(_ pauses: Bool) {
        wishes.withLock {
            $0.isPaused = pauses
            $0.needsKeyFrame = true
        }
    }

    func receive(audio: Bool) { wishes.withLock { $0.wantsAudio = audio } }

    func receive(video: Bool) {
        wishes.withLock {
            $0.wantsVideo = video
            $0.needsKeyFrame = true
        }
    }

    /// Until the stream or the peer is gone.
    func run() async {
        var tracks = sink.tracks
        var packager = RTMPPackager(tracks: tracks.map(Self.packaged))
        while !Task.isCancelled, let item = await sink.next() {
            if case .tracks(let others) = item {
                tracks = others
                packager.change(to: others.map(Self.packaged))
            }
            guard case .media(.frame(let frame)) = item, tracks.indices.contains(frame.track) else { continue }
            let isVideo = tracks[frame.track].kind == .video
            let isWanted = wishes.withLock { wishes in
                guard !wishes.isPaused, isVideo ? wishes.wantsVideo : wishes.wantsAudio else { return false }
                guard isVideo, wishes.needsKeyFrame else { return true }
                wishes.needsKeyFrame = !frame.isKeyFrame
                return frame.isKeyFrame
            }
            guard isWanted else { continue }
            let messages = packager.take(track: frame.track, frame.bytes, time: frame.time, arrival: frame.arrival, isKeyFrame: frame.isKeyFrame)
            if !messages.isEmpty, await !send(messages) { break }
        }
    }

    private static func packaged(_ track: SubscribedTrack) -> RTMPPackager.Track {
        track.kind == .video
            ? .init(isVideo: true, isSilent: track.isSilent) : .init(isVideo: false, config: track.aacConfig, clockRate: track.clockRate, channels: track.channels)
    }
}
