// A stream filled from inside the process: a test pattern, a file, later RTMP and RTSP. RTP in, any thread.
import MediaGraph
import Primitives
import RTP
import SDP
import Synchronization

/// The reactor's half of a local source. Its reactor's thread only.
final class LocalSourceCore: StreamSource {
    let id: EndpointID
    let stream: MediaStream
    private let keyFrameGap: Int64
    private let onKeyFrameRequest: @Sendable () -> Void
    private static let extensions = UplinkExtensions()

    init(
        id: EndpointID, stream: MediaStream, formats: [TrackFormat], keyFrameGap: Int64,
        onKeyFrameRequest: @escaping @Sendable () -> Void
    ) {
        self.id = id
        self.stream = stream
        self.keyFrameGap = keyFrameGap
        self.onKeyFrameRequest = onKeyFrameRequest
        stream.setTracks(formats.map { UplinkTrack(format: $0, codec: CodecKind(encodingName: $0.codec.name)) })
        stream.source = self
        stream.markReady()
    }

    func receive(_ packet: [UInt8], track index: Int, arena: SendArena, at now: Int64) {
        guard stream.tracks.indices.contains(index) else { return }
        let track = stream.tracks[index]
        packet.withUnsafeBytes { bytes in
            guard let view = RTPView(bytes) else { return }
            track.receive(view, bytes: bytes, isRetransmission: false, extensions: Self.extensions, arena: arena, at: now)
        }
        if track.reportedNTP == 0 || now - track.reportArrival > 1_000_000_000 {
            // The source's clock is ours: the packet's RTP time is now.
            track.receiveReport(ntp: WallClock.ntp(), timestamp: RTPView.timestamp(of: packet), at: now)
        }
    }

    func keyFrameWanted(of track: UplinkTrack, arena: SendArena, at now: Int64) {
        guard now - track.lastKeyFrameRequest >= min(keyFrameGap, 200_000_000) else { return }
        track.noteKeyFrameRequest(at: now)
        onKeyFrameRequest()
    }

    func advance(at now: Int64) {
        for track in stream.tracks where track.wantsKeyFrame { keyFrameWanted(of: track, arena: arenaPlaceholder, at: now) }
    }
}
