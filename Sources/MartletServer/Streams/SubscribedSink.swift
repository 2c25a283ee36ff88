// SPDX-License-Identifier: Apache-2.0
// A subscription to a stream from inside the server: what RTMP players and pushes hold. Made by StreamRegistry.openSink.
import MediaIO
import Primitives
import RTP
import Signalling
import Synchronization

/// What is wanted of a stream.
struct SinkRequest: Sendable {
    var mediaSessionID = Identifier.uuid()
    var name: String
    /// "Flash", "RTSP"
    var mediaProvider: String
    /// Codecs that can be taken; a track in another one is converted to the first. Empty: none is wanted.
    var audio: [CodecKind]
    var video: [CodecKind]
    /// Pictures may come in another order than they are shown in.
    var takesReordered = false
    var custom: JSONValue?

    init(name: String, mediaProvider: String, audio: [CodecKind], video: [CodecKind]) {
        self.name = name
        self.mediaProvider = mediaProvider
        self.audio = audio
        self.video = video
    }

    func wishes(_ isVideo: Bool) -> [CodecKind] { isVideo ? video : audio }
}

/// One task reads; any may stop it. The subscription behind it is another one after the stream's tracks have changed.
final class SubscribedSink: Sendable {
    enum Item: Sendable {
        case media(FrameSubscription.Item)
        /// From here on frames count by these tracks; their times go on.
        case tracks([SubscribedTrack])
    }

    let mediaSessionID: String
    private let ownerID: String
    private let registry: StreamRegistry
    private struct State {
        var subscription: FrameSubscription
        /// Follows when the present one is over.
        var next: FrameSubscription?
        var isOver = false
        var droppedBefore = 0
    }
    private let state: Mutex<State>

    init(_ mediaSessionID: String, ownerID: String, registry: StreamRegistry, subscription: FrameSubscription) {
        self.mediaSessionID = mediaSessionID
        self.ownerID = ownerID
        self.registry = registry
        state = Mutex(State(subscription: subscription))
    }

    private var current: FrameSubscription { state.withLock { $0.subscription } }

    /// Those that frames are counted by at present.
    var tracks: [SubscribedTrack] { current.tracks }

    /// The next frame; `nil` when the stream or the subscription is over. One task at a time.
    func next() async -> Item? {
        while true {
            let subscription = current
            if let item = await subscription.next() { return .media(item) }
            let dropped = await subscription.dropped
            let tracks = state.withLock { state -> [SubscribedTrack]? in
                guard !state.isOver, let next = state.next else { return nil }
                state.subscription = next
                state.next = nil
                state.droppedBefore += dropped
                return next.tracks
            }
            guard let tracks else { return nil }
            return .tracks(tracks)
        }
    }

    /// Bytes that wait for the reader.
    var heldBytes: Int { state.withLock { $0.subscription.heldBytes + ($0.next?.heldBytes ?? 0) } }

    /// When the first frame is, on the server's clock; `nil` before it.
    var origin: Instant? { get async { await current.origin } }

    /// The reader goes on with another subscription; what the present one still holds is left out.
    func go(onWith next: FrameSubscription) async {
        let (old, isOver) = state.withLock { state in
            let replaced = state.next
            state.next = next
            return (replaced ?? state.subscription, state.isOver)
        }
        await old.finish()
        if isOver { await next.finish() }
    }

    /// The media session is over; the reader is woken.
    func finish() {
        let all = state.withLock { state in
            state.isOver = true
            return [state.subscription] + [state.next].compactMap { $0 }
        }
        Task { for one in all { await one.finish() } }
    }

    /// Frames left out because the reader was slow or packets were missing.
    var dropped: Int { get async { await current.dropped + state.withLock { $0.droppedBefore } } }

    func stop() async { await registry.stop(mediaSessionID, ownerID: ownerID) }
}
