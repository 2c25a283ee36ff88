// SPDX-License-Identifier: Apache-2.0
// A stream published from inside the server: what RTMP, RTSP and the like hold while they publish. Made by StreamRegistry.openSource.
import MediaIO
import Primitives
import Signalling
import Synchronization

/// What is to be published.
struct SourceRequest: Sendable {
    var mediaSessionID = Identifier.uuid()
    var name: String
    /// "Flash", "RTSP"
    var mediaProvider: String
    var custom: JSONValue?
    var record = false

    init(name: String, mediaProvider: String) {
        self.name = name
        self.mediaProvider = mediaProvider
    }
}

/// The name is taken; media may follow. Safe from any task; writing never blocks.
final class PublishedSource: Sendable {
    let mediaSessionID: String
    private let ownerID: String
    private let registry: StreamRegistry
    private struct State {
        var frames: FrameSource?
        var onKeyFrameRequest: (@Sendable () -> Void)?
    }
    private let state = Mutex(State())

    init(_ mediaSessionID: String, ownerID: String, registry: StreamRegistry) {
        self.mediaSessionID = mediaSessionID
        self.ownerID = ownerID
        self.registry = registry
    }

    /// The stream begins: PUBLISHING. Once.
    func start(_ tracks: [SourceTrack]) async throws(StreamRefusal) {
        let frames = try await registry.startSource(mediaSessionID, ownerID: ownerID, tracks: tracks)
        let handler = state.withLock { state in
            state.frames = frames
            return state.onKeyFrameRequest
        }
        if let handler { frames.onKeyFrameRequest(handler) }
    }

    /// See `FrameSource.write`; false also before `start`.
    @discardableResult
    func write(track: Int, frame: [UInt8], time: MediaTime, isKeyFrame: Bool = true) -> Bool {
        guard let frames = state.withLock({ $0.frames }) else { return false }
        return frames.write(track: track, frame: frame, time: time, isKeyFrame: isKeyFrame)
    }

    /// The source has these tracks from now on: see `FrameSource.setTracks`. False before `start`, and when a track can't be described.
    @discardableResult
    func setTracks(_ tracks: [SourceTrack]) -> Bool { state.withLock { $0.frames }?.setTracks(tracks) ?? false }

    func update(track: Int, parameterSets: [[UInt8]]) {
        state.withLock { $0.frames }?.update(track: track, parameterSets: parameterSets)
    }

    /// Frames that found no room.
    var refused: UInt64 { state.withLock { $0.frames }?.refused ?? 0 }

    /// Called when a player needs a key frame, at most every `rtcp_pli_request_interval`; on a reactor thread.
    func onKeyFrameRequest(_ handler: @escaping @Sendable () -> Void) {
        state.withLock { state in
            state.onKeyFrameRequest = handler
            return state.frames
        }?.onKeyFrameRequest(handler)
    }

    /// UNPUBLISHED; the name is free.
    func stop() async { await registry.stop(mediaSessionID, ownerID: ownerID) }
}
