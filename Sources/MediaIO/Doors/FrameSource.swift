// Frames of a source inside the server on their way into a stream: packetised once, so that a player costs the same whatever the
// source is. Used by RTMP and the like.
import Primitives
import RTP
import SDP
import Synchronization

/// The writing end. Safe from any thread; never blocks.
public final class FrameSource: Sendable {
    private struct Track {
        var kind: SourceTrack
        let clockRate: Int64
        let firstTimestamp: UInt32
        var sender: RTPFrameSender
        var parameterSets: [[UInt8]] = []
        var newest: Int64 = .min
        var isReordered: Bool
        var nextReport: Int64 = .min
        var needsKeyFrame: Bool
    }
    private struct State {
        var tracks: [Track]
        /// The wall clock less the source's, ns; one for all tracks.
        var wallOffset: Int64?
        var refused: UInt64 = 0
    }

    /// Sender reports are made this often, ns.
    static let reportInterval: Int64 = 1_000_000_000

    private let source: any LocalSource
    private let onReordered: @Sendable () -> Void
    private let state: Mutex<State>

    /// - Parameter onReordered: B-frames have been found that nobody had announced; told once.
    /// `nil` when a track can't be packetised.
    public init?(_ source: any LocalSource, tracks: [SourceTrack], onReordered: @escaping @Sendable () -> Void = {}) {
        var made: [Track] = [], random = RandomSource.system
        for kind in tracks {
            guard let format = kind.format,
                let sender = RTPFrameSender(codec: kind.codec, payloadType: format.codec.payloadType, random: &random)
            else { return nil }
            var track = Track(
                kind: kind, clockRate: Int64(format.codec.clockRate), firstTimestamp: UInt32.random(in: 0...UInt32.max, using: &random),
                sender: sender, isReordered: format.isReordered, needsKeyFrame: kind.codec.isVideo)
            if case .h264(let sets, _, _) = kind { track.parameterSets = sets }
            made.append(track)
        }
        self.source = source
        self.onReordered = onReordered
        state = Mutex(State(tracks: made))
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
    ///   - time: when it is to be shown or heard, ns on a clock of the source's that all its tracks share.
    ///   - isKeyFrame: decoding can begin here; video in front of the first one is left out.
    /// - Returns: false when it was not taken.
    @discardableResult
    public func write(track index: Int, frame: [UInt8], time: Int64, isKeyFrame: Bool = true) -> Bool {
        var foundReordering = false
        let taken = state.withLock { state -> Bool in
            guard state.tracks.indices.contains(index), !frame.isEmpty else { return false }
            if state.tracks[index].needsKeyFrame {
                guard isKeyFrame else { return false }
                state.tracks[index].needsKeyFrame = false
            }
            let bytes = Self.bytes(frame, &state.tracks[index], isKeyFrame: isKeyFrame)
            let timestamp = Self.timestamp(time, state.tracks[index])
            let packets = state.tracks[index].sender.packets(frame: bytes, timestamp: timestamp)
            guard !packets.isEmpty else { return false }
            let offset = state.wallOffset ?? WallClock.nanoseconds() - time
            state.wallOffset = offset
            if time >= state.tracks[index].nextReport || time < state.tracks[index].nextReport - 2 * Self.reportInterval {
                state.tracks[index].nextReport = time + Self.reportInterval
                source.report(track: index, ntp: WallClock.ntp(time + offset), timestamp: timestamp)
            }
            if time < state.tracks[index].newest, !state.tracks[index].isReordered, index < state.tracks.count,
                state.tracks[index].kind.codec.isVideo, state.tracks[index].newest - time < 1_000_000_000
            {
                state.tracks[index].isReordered = true
                foundReordering = true
            }
            state.tracks[index].newest = time
            guard source.write(track: index, packets: packets) else {
                state.refused &+= 1
                if state.tracks[index].kind.codec.isVideo { state.tracks[index].needsKeyFrame = true }
                return false
            }
            return true
        }
        if foundReordering {
            source.markReordered(track: index)
            onReordered()
        }
        return taken
    }

    private static func timestamp(_ time: Int64, _ track: Track) -> UInt32 {
        let (seconds, rest) = time.quotientAndRemainder(dividingBy: 1_000_000_000)
        return track.firstTimestamp &+ UInt32(truncatingIfNeeded: seconds * track.clockRate + rest * track.clockRate / 1_000_000_000)
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
