// What fills a mirror: a stream on another reactor than its home. Made by that reactor's driver, used on its thread only.
import Primitives
import RTP
import SDP

/// The source of a mirror: takes what the link brings. On the mirror's reactor only.
public final class MirrorSource: StreamSource {
    public let stream: MediaStream
    public let link: MirrorLink
    private let keyFrameGap: Int64
    /// Hands a wish for a key frame on to the home reactor; with the index of the track.
    private let onKeyFrameRequest: @Sendable (Int) -> Void

    /// - Parameter keyFrameGap: ns between two requests, as for the publisher.
    public init(
        stream: MediaStream, formats: [TrackFormat], link: MirrorLink, keyFrameGap: Int64, onKeyFrameRequest: @escaping @Sendable (Int) -> Void
    ) {
        self.stream = stream
        self.link = link
        self.keyFrameGap = keyFrameGap
        self.onKeyFrameRequest = onKeyFrameRequest
        stream.source = self
        let tracks = formats.map { UplinkTrack(format: $0, codec: CodecKind(encodingName: $0.codec.name)) }
        stream.setTracks(tracks.filter { $0.format.converts == nil })
        for track in tracks where track.format.converts != nil { stream.addConverted(track, source: self) }
        stream.markReady()
    }

    /// Takes what has come over the link.
    public func receive(arena: SendArena, at now: Int64) {
        let tracks = stream.forms
        link.drain { index, item in
            guard tracks.indices.contains(index) else { return }
            switch item {
            case .packet(let slot, let bytes): tracks[index].receiveMirrored(slot.pointee, bytes: bytes, arena: arena, at: now)
            case .report(let ntp, let timestamp, let arrival): tracks[index].noteReport(ntp: ntp, timestamp: timestamp, at: arrival)
            }
        }
    }

    public func keyFrameWanted(of track: UplinkTrack, arena: SendArena, at now: Int64) {
        guard track.mayRequestKeyFrame(gap: keyFrameGap, repeatAfter: 300_000_000, at: now),
            let index = stream.forms.firstIndex(where: { $0 === track })
        else { return }
        onKeyFrameRequest(index)
    }

    /// Repeats requests that have not been answered.
    public func advance(arena: SendArena, at now: Int64) {
        for track in stream.forms where track.wantsKeyFrame { keyFrameWanted(of: track, arena: arena, at: now) }
    }
}
