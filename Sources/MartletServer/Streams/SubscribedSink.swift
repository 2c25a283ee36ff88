// A subscription to a stream from inside the server: what RTMP players and pushes hold. Made by StreamRegistry.openSink.
import MediaIO
import RTP
import Signalling

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

/// One task reads; any may stop it.
final class SubscribedSink: Sendable {
    let mediaSessionID: String
    let tracks: [SubscribedTrack]
    private let ownerID: String
    private let registry: StreamRegistry
    private let subscription: FrameSubscription

    init(_ mediaSessionID: String, ownerID: String, registry: StreamRegistry, subscription: FrameSubscription) {
        self.mediaSessionID = mediaSessionID
        self.ownerID = ownerID
        self.registry = registry
        self.subscription = subscription
        tracks = subscription.tracks
    }

    /// The next frame; `nil` when the stream or the subscription is over. One task at a time.
    func next() async -> FrameSubscription.Item? { await subscription.next() }

    /// Frames left out because the reader was slow or packets were missing.
    var dropped: Int { get async { await subscription.dropped } }

    func stop() async { await registry.stop(mediaSessionID, ownerID: ownerID) }
}
