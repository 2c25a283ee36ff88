// SPDX-License-Identifier: Apache-2.0
// What fills a mirror: a stream on another reactor than its home. Made by that reactor's driver, used on its thread only.
import Primitives
import RTP
import SDP

/// The source of a mirror: takes what the link brings. On the mirror's reactor only.
public final class MirrorSource: StreamSource {
    public let stream: MediaStream
    public let link: MirrorLink
    private let keyFrameGap: TimeSpan
    /// Hands a wish for a key frame on to the home reactor; with the number of the track.
    private let onKeyFrameRequest: @Sendable (Int) -> Void

    /// - Parameter keyFrameGap: between two requests, as for the publisher.
    public init(
        stream: MediaStream, tracks: [MirroredTrack], link: MirrorLink, keyFrameGap: TimeSpan, onKeyFrameRequest: @escaping @Sendable (Int) -> Void
    ) {
        self.stream = stream
        self.link = link
        self.keyFrameGap = keyFrameGap
        self.onKeyFrameRequest = onKeyFrameRequest
        stream.source = self
        setTracks(tracks)
        stream.markReady()
    }

    /// The original's forms, as they are now. Those that are here already go on.
    public func setTracks(_ mirrored: [MirroredTrack]) {
        func track(_ one: MirroredTrack) -> UplinkTrack {
            if let known = stream.forms.first(where: { $0.number == one.number }) {
                if known.format.isReordered != one.format.isReordered { stream.noteOtherForms() }
                known.update(one.format)
                return known
            }
            let track = UplinkTrack(format: one.format, codec: CodecKind(encodingName: one.format.codec.name))
            track.number = one.number
            return track
        }
        stream.setTracks(mirrored.filter { $0.format.converts == nil }.map(track))
        for one in mirrored where one.format.converts != nil && !stream.forms.contains(where: { $0.number == one.number }) {
            stream.addConverted(track(one), source: self)
        }
    }

    /// Takes what has come over the link.
    public func receive(arena: SendArena, at now: Instant) {
        let tracks = stream.forms
        link.drain { number, item in
            // What the stream has lost meanwhile may still be on the way.
            guard let track = tracks.first(where: { $0.number == number }) else { return }
            switch item {
            case .packet(let slot, let bytes): track.receiveMirrored(slot.pointee, bytes: bytes, arena: arena, at: now)
            case .report(let ntp, let timestamp, let arrival): track.noteReport(ntp: ntp, timestamp: timestamp, at: arrival)
            }
        }
    }

    public func keyFrameWanted(of track: UplinkTrack, arena: SendArena, at now: Instant) {
        guard track.mayRequestKeyFrame(gap: keyFrameGap, repeatAfter: .milliseconds(300), at: now) else { return }
        onKeyFrameRequest(track.number)
    }

    /// Repeats requests that have not been answered.
    public func advance(arena: SendArena, at now: Instant) {
        for track in stream.forms where track.wantsKeyFrame { keyFrameWanted(of: track, arena: arena, at: now) }
    }
}
