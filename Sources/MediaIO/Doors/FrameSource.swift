// SPDX-License-Identifier: Apache-2.0
// Frames of a source inside the server on their way into a stream: packetised once, so that a player costs the same whatever the
// source is. Used by RTMP and the like.
import Clocks
import Primitives
import RTP
import SDP
import Synchronization

/// The writing end. Safe from any thread; never blocks.
public final class FrameSource: Sendable {
    private struct Track {
        var kind: SourceTrack
        let clockRate: Int
        var firstTimestamp: UInt32
        var sender: RTPFrameSender
        var parameterSets: [[UInt8]] = []
        var newest: MediaTime?
        var isReordered: Bool
        var order = PictureOrder()
        var nextReport: MediaTime?
        var needsKeyFrame: Bool
    }
    private struct State {
        var tracks: [Track]
        /// The wall clock less the source's; one for all tracks.
        var wallOffset: TimeSpan?
        var refused: UInt64 = 0
    }

    /// Sender reports are made this often.
    static let reportInterval = TimeSpan.seconds(1)
    /// A track's time may go on by this much more or less than ours before reports begin anew from ours. What comes late after a while has
    /// gone on as ever.
    static let widestOffset = TimeSpan.seconds(5)

    private let source: any LocalSource
    private let state: Mutex<State>

    /// `nil` when a track can't be packetised.
    public init?(_ source: any LocalSource, tracks: [SourceTrack]) {
        var made: [Track] = []
        for kind in tracks {
            guard let track = Self.track(kind) else { return nil }
            made.append(track)
        }
        self.source = source
        state = Mutex(State(tracks: made))
    }

    private static func track(_ kind: SourceTrack) -> Track? {
        var random = RandomSource.system
        guard let format = kind.format,
            let sender = RTPFrameSender(codec: kind.codec, payloadType: format.codec.payloadType, random: &random)
        else { return nil }
        var track = Track(
            kind: kind, clockRate: format.codec.clockRate, firstTimestamp: UInt32.random(in: 0...UInt32.max, using: &random),
            sender: sender, isReordered: format.isReordered, needsKeyFrame: kind.codec.isVideo)
        if case .h264(let sets, _, _) = kind { track.parameterSets = sets }
        return track
    }

    /// From now on the source has these tracks; the numbers of `write` count by this order. A track that is the same as before goes on.
    ///
    /// - Returns: false, and nothing has changed, when a track can't be described or packetised.
    @discardableResult
    public func setTracks(_ tracks: [SourceTrack]) -> Bool {
        state.withLock { state in
            var known = state.tracks, next: [Track] = [], formats: [TrackFormat] = []
            for kind in tracks {
                guard var format = kind.format, var track = Self.track(kind) else { return false }
                if let index = known.firstIndex(where: { kind.continues($0.kind) }) {
                    let before = known.remove(at: index)
                    // Another profile makes it another track for players: it begins anew for them.
                    let isSame = before.kind == kind
                    track.sender = before.sender
                    track.firstTimestamp = before.firstTimestamp
                    track.newest = before.newest
                    track.isReordered = before.isReordered || format.isReordered
                    track.needsKeyFrame = isSame ? before.needsKeyFrame : track.needsKeyFrame
                    format.isReordered = track.isReordered
                }
                next.append(track)
                formats.append(format)
            }
            guard !next.isEmpty else { return false }
            state.tracks = next
            // Under the lock, so that nothing written later overtakes it.
            source.setTracks(formats)
            return true
        }
    }

    public var id: EndpointID { source.id }
    /// Frames that found no room.
    public var refused: UInt64 { state.withLock { $0.refused } }
    public func onKeyFrameRequest(_ handler: @escaping @Sendable () -> Void) { source.onKeyFrameRequest(handler) }

    /// New parameter sets; they go in front of the next key frame.
    public func update(track: Int, parameterSets: [[UInt8]]) {
        state.withLock { state in
            if state.tracks.indices.contains(track) { state.tracks[track].parameterSets = parameterSets }
        }
    }

    /// One frame, in decoding order.
    /// - Parameters:
    ///   - time: when it is to be shown or heard, on a clock of the source's that all its tracks share.
    ///   - isKeyFrame: decoding can begin here; video in front of the first one is left out.
    /// - Returns: false when it was not taken.
    @discardableResult
    public func write(track index: Int, frame: [UInt8], time: MediaTime, isKeyFrame: Bool = true) -> Bool {
        var foundReordering = false
        let taken = state.withLock { state -> Bool in
            guard state.tracks.indices.contains(index), !frame.isEmpty else { return false }
            if state.tracks[index].needsKeyFrame {
                guard isKeyFrame else { return false }
                state.tracks[index].needsKeyFrame = false
            }
            let bytes = Self.bytes(frame, &state.tracks[index], isKeyFrame: isKeyFrame)
            let track = state.tracks[index]
            let timestamp = track.firstTimestamp &+ UInt32(truncatingIfNeeded: time.ticks(clockRate: track.clockRate))
            let packets = state.tracks[index].sender.packets(frame: bytes, timestamp: timestamp)
            guard !packets.isEmpty else { return false }
            report(track: index, time, timestamp, &state)
            foundReordering = Self.isFoundReordered(time, &state.tracks[index])
            guard source.write(track: index, packets: packets) else {
                state.refused &+= 1
                if state.tracks[index].kind.codec.isVideo { state.tracks[index].needsKeyFrame = true }
                return false
            }
            return true
        }
        if foundReordering { source.markReordered(track: index) }
        return taken
    }

    /// Says now and then which time of day a timestamp is, on one clock for all tracks.
    private func report(track index: Int, _ time: MediaTime, _ timestamp: UInt32, _ state: inout State) {
        let now = WallClock.now() - WallTime(nanoseconds: time.nanoseconds)
        let hasJumped = state.tracks[index].newest.map { (time - $0).magnitude > Self.widestOffset } ?? true
        if state.wallOffset.map({ hasJumped && (now - $0).magnitude > Self.widestOffset }) ?? true {
            state.wallOffset = now
            // All tracks at once, so that none is told on the old clock.
            for other in state.tracks.indices { state.tracks[other].nextReport = nil }
        }
        guard let offset = state.wallOffset else { return }
        if let next = state.tracks[index].nextReport, time < next, time >= next - Self.reportInterval - Self.reportInterval { return }
        state.tracks[index].nextReport = time + Self.reportInterval
        source.report(track: index, ntp: (WallTime(nanoseconds: time.nanoseconds) + offset).ntp, timestamp: timestamp)
    }

    /// true: video that nobody has announced as reordered is.
    private static func isFoundReordered(_ time: MediaTime, _ track: inout Track) -> Bool {
        defer { track.newest = time }
        guard let newest = track.newest, !track.isReordered, track.kind.codec.isVideo else { return false }
        track.order.take(step: time - newest)
        track.isReordered = track.order.isReordered
        return track.isReordered
    }

    /// H.264 as Annex B with the parameter sets in front of key frames; everything else as it is.
    private static func bytes(_ frame: [UInt8], _ track: inout Track, isKeyFrame: Bool) -> [UInt8] {
        guard case .h264(_, let framing, _) = track.kind else { return frame }
        var bytes = frame
        if case .lengthPrefixed(let size) = framing { bytes = H264Framing.annexB(fromLengthPrefixed: frame, lengthSize: size) }
        guard isKeyFrame else { return bytes }
        let own = H264Framing.parameterSets(inAnnexB: bytes)
        if own.isEmpty {
            bytes = track.parameterSets.flatMap { [0, 0, 0, 1] + $0 } + bytes
        } else {
            track.parameterSets = own
        }
        return bytes
    }
}
