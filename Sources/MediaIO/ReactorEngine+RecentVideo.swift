// SPDX-License-Identifier: Apache-2.0
// Looking at what a stream shows right now: the way of snapshots into the ring. Any thread; carried out on the home reactor.
import MediaGraph

/// What snapshots need of the media engine.
public protocol RecentVideoSource: Sendable {
    /// What the stream's video track holds.
    func recentVideoSummary(of stream: StreamHandle) async -> RecentVideoState
    /// The newest group of pictures, copied in one go; `nil` when there is none.
    func recentVideo(of stream: StreamHandle) async -> RecentVideo?
    func requestKeyFrame(of stream: StreamHandle)
}

/// The answer to "what is there?".
public enum RecentVideoState: Sendable, Equatable {
    /// The stream is gone.
    case noStream
    /// Its source has not said yet what it brings.
    case noTracks
    /// It carries sound only.
    case noVideo
    case video(RecentVideoSummary)
}

extension ReactorEngine: RecentVideoSource {
    public func recentVideoSummary(of stream: StreamHandle) async -> RecentVideoState {
        await reactor(of: stream.rawValue).run { core in
            guard let stream = core.stream(stream) else { return .noStream }
            guard !stream.tracks.isEmpty else { return .noTracks }
            guard let track = stream.track(of: .video) else { return .noVideo }
            return .video(track.summarizeVideo(at: core.now))
        } ?? .noStream
    }

    public func recentVideo(of stream: StreamHandle) async -> RecentVideo? {
        await reactor(of: stream.rawValue).run { core in
            core.stream(stream)?.track(of: .video)?.copyRecentVideo(at: core.now)
        } ?? nil
    }
}
