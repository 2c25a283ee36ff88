// SPDX-License-Identifier: Apache-2.0
// A stream: its tracks, the one source that fills them, and the players that take them.
// Owned by a reactor; every call happens on that thread.
import Primitives
import RTP
import SDP

/// What fills a stream's tracks: a publisher's connection or a local source.
public protocol StreamSource: AnyObject {
    /// A player can't go on without a key frame of `track`. The source throttles.
    func keyFrameWanted(of track: UplinkTrack, arena: SendArena, at now: Instant)
}

/// The tracks of one name, one source and any number of sinks. Not thread-safe.
public final class MediaStream {
    public let handle: StreamHandle
    /// As the source sends them.
    public private(set) var tracks: [UplinkTrack] = []
    /// What bridges make of them, for sinks that can't take the codec.
    public private(set) var converted: [UplinkTrack] = []
    /// All of them: `tracks`, then `converted`.
    public private(set) var forms: [UplinkTrack] = []
    public weak var source: (any StreamSource)?
    /// Media has arrived: players may be added.
    public internal(set) var isReady = false

    /// Players that were added and have not left yet.
    public internal(set) var playerCount = 0
    /// Where else it can be had. Set by the driver; on the home reactor only.
    public var mirrors: [StreamMirror] = []

    /// What the clocks of the source's tracks have in common.
    public let clocks = SourceClockGroup()

    /// The driver's mark: already on its list of streams with something to send.
    public var isQueued = false

    /// What the rings ask when they grow: the reactor's account.
    private let allowance: MemoryAccount?

    public init(handle: StreamHandle, allowance: MemoryAccount? = nil) {
        self.handle = handle
        self.allowance = allowance
    }

    /// Players get no sound of this stream while it is silent.
    public private(set) var withholdsSilence = false

    /// The source has a new connection: what comes next on each of its tracks begins anew, whatever its numbers are.
    public func restart() { for track in tracks { track.restart() } }

    /// Bytes that the rings hold.
    public var memory: Int { forms.reduce(0) { $0 + $1.ring.memory } }

    /// Called by the source once it knows what it brings, and again when that changes. Tracks that go on are given again, as the same
    /// objects. The players follow with `settleTracks`.
    public func setTracks(_ tracks: [UplinkTrack]) {
        let isSame = tracks.map(ObjectIdentifier.init) == self.tracks.map(ObjectIdentifier.init)
        if !isSame {
            leaving += self.tracks.filter { old in !tracks.contains { $0 === old } }
            // Nobody knows others before the first.
            if !self.tracks.isEmpty { hasOtherForms = true }
            self.tracks = tracks
            keepConverted()
        }
        for track in tracks {
            track.clocks = clocks
            track.ring.allowance = allowance
        }
        forms = tracks + converted
        for track in forms where track.number == 0 {
            lastNumber += 1
            track.number = lastNumber
        }
        if withholdsSilence { withholdSilence() }
    }

    /// What was made of a track that is no more has nothing to be made of; the rest follows its origin to its new place.
    private func keepConverted() {
        converted = converted.filter { track in
            guard let place = tracks.firstIndex(where: { $0 === track.origin }) else {
                leaving.append(track)
                return false
            }
            track.setConverts(place)
            return true
        }
    }

    /// Tracks that have been replaced and may hold packets that are still to be sent.
    private var leaving: [UplinkTrack] = []
    /// The forms are others than those that the players know.
    public private(set) var hasOtherForms = false
    private var lastNumber = 0
    private var players: [WeakPlayer] = []

    private struct WeakPlayer {
        weak var player: PlayerEndpoint?
    }

    /// A track is the same, but no longer one that all its players can take: they follow with `settleTracks`.
    public func noteOtherForms() { hasOtherForms = true }

    func join(_ player: PlayerEndpoint) {
        playerCount += 1
        players.append(WeakPlayer(player: player))
    }

    func leave(_ player: PlayerEndpoint) {
        playerCount -= 1
        players.removeAll { $0.player == nil || $0.player === player }
    }

    /// Lets the players go on with the tracks that there are now. To be called after `setTracks` and `addConverted`.
    ///
    /// - Returns: whether anything was different.
    @discardableResult
    public func settleTracks(arena: SendArena, at now: Instant) -> Bool {
        guard hasOtherForms else { return false }
        hasOtherForms = false
        for track in leaving { track.flush(into: arena, at: now) }
        leaving = []
        for one in players { one.player?.tracksChanged(arena: arena, at: now) }
        return true
    }

    /// What is known of it now.
    public var info: MediaInfo {
        let video = track(of: .video)
        return MediaInfo(
            audioCodec: track(of: .audio)?.format.codec.name, videoCodec: video?.format.codec.name, width: video?.width ?? 0,
            height: video?.height ?? 0)
    }

    /// From now on players get no sound of this stream while it is silent.
    public func withholdSilence() {
        withholdsSilence = true
        for track in forms { track.withholdSilence() }
    }

    /// Adds what a bridge makes of `tracks[format.converts]`.
    /// - Parameter source: gets the wishes for key frames.
    public func addConverted(_ track: UplinkTrack, source: any StreamSource) {
        track.feeder = source
        track.ring.allowance = allowance
        track.origin = track.format.converts.flatMap { tracks.indices.contains($0) ? tracks[$0] : nil }
        if track.number == 0 {
            lastNumber += 1
            track.number = lastNumber
        }
        hasOtherForms = true
        if withholdsSilence { track.withholdSilence() }
        converted.append(track)
        forms = tracks + converted
    }

    /// false while a mirror shows it: then it has to stay.
    public func removeConverted(_ track: UplinkTrack) -> Bool {
        guard mirrors.allSatisfy({ !$0.shows(self) }) || !converted.contains(where: { $0 === track }) else { return false }
        converted.removeAll { $0 === track }
        forms = tracks + converted
        return true
    }

    /// A track of which nothing has come for so long is silent: nobody waits for it before he begins with the others.
    static let silenceBound = TimeSpan.seconds(1)

    /// Whether nothing comes of a track at present; of a converted one, nothing that it is made of. One of which nothing has come yet is
    /// given as long from the stream's first packet on.
    public func isSilent(_ track: UplinkTrack, at now: Instant) -> Bool {
        let source = track.origin ?? track
        let since = source.lastArrival != .zero ? source.lastArrival : tracks.map(\.firstArrival).filter { $0 != .zero }.min() ?? now
        return now.span(since: since) > Self.silenceBound
    }

    /// −dBov (RFC 6464) of its sound, smoothed; `nil` when its publisher sends no levels.
    public func audioLevel(at now: Instant) -> UInt8? { track(of: .audio)?.audioLevel(at: now) }

    /// The source is gone. Its tracks stay for the players on them: a source that comes back (an agent whose link broke)
    /// goes on in them when it brings the same codecs.
    public func sourceLeft() {
        source = nil
        isReady = false
    }

    /// A track left by an earlier source that a new one of this format can go on in.
    func track(like format: TrackFormat) -> UplinkTrack? {
        tracks.first { $0.carries(format) }
    }

    public func markReady() { isReady = true }

    /// The source's track of a kind.
    public func track(of kind: MediaKind) -> UplinkTrack? { tracks.first { $0.kind == kind } }

    @inline(__always)
    public var hasPending: Bool {
        for track in forms where track.hasPending { return true }
        return false
    }

    /// Fans out what has arrived since the last call.
    ///
    /// - Returns: when to call again for a picture of which some is still to come; `distantFuture` = nothing waits.
    @inline(__always)
    public func flush(into arena: SendArena, at now: Instant) -> Instant {
        var next = Instant.distantFuture
        for track in forms where track.hasPending {
            let until = track.waitsUntil
            if until > now { next = min(next, until) } else { track.flush(into: arena, at: now) }
        }
        return next
    }

    /// Asks the source for a key frame on behalf of a player or of the control plane.
    public func requestKeyFrame(of track: UplinkTrack, arena: SendArena, at now: Instant) {
        track.requestKeyFrame()
        if track.wantsKeyFrame { (track.feeder ?? source)?.keyFrameWanted(of: track, arena: arena, at: now) }
    }
}

/// What the home reactor knows of a mirror of one of its streams.
public struct StreamMirror {
    /// The mirror's own handle, on its reactor.
    public let handle: StreamHandle
    public let link: MirrorLink
    /// What the mirror knows of a track that feeds it.
    private struct Shown: Equatable {
        let number: Int
        let isReordered: Bool

        init(_ track: UplinkTrack) { (number, isReordered) = (track.number, track.format.isReordered) }
    }
    private var tracks: [Shown] = []

    public init(handle: StreamHandle, link: MirrorLink) {
        self.handle = handle
        self.link = link
    }

    public func shows(_ stream: MediaStream) -> Bool { tracks == stream.forms.map(Shown.init) }

    /// From now on it gets all forms of the stream; those that it has already go on without a gap.
    public mutating func follow(_ stream: MediaStream, arena: SendArena, at now: Instant) {
        for track in stream.forms where !tracks.contains(where: { $0.number == track.number }) {
            track.addMirror(link, arena: arena, at: now)
        }
        tracks = stream.forms.map(Shown.init)
    }
}

/// A track as a mirror on another reactor is told of it.
public struct MirroredTrack: Sendable {
    public let number: Int
    public let format: TrackFormat

    public init(_ track: UplinkTrack) {
        number = track.number
        format = track.format
    }
}

extension TrackFormat {
    /// Somebody who was told of one can be sent the other.
    public func isSameTrack(as other: TrackFormat) -> Bool { kind == other.kind && codec.isSameCoding(as: other.codec) }
}

extension SDP.Codec {
    /// Players that were told of one can be sent the other: equal but for the payload type, the feedback and the parameter sets, which
    /// may change at any key frame.
    func isSameCoding(as other: SDP.Codec) -> Bool {
        func essential(_ codec: SDP.Codec) -> FormatParameters {
            var parameters = codec.parameters
            for key in ["sprop-parameter-sets", "sprop-vps", "sprop-sps", "sprop-pps"] { parameters[key] = nil }
            return parameters
        }
        return name.lowercased() == other.name.lowercased() && clockRate == other.clockRate && channels == other.channels
            && essential(self) == essential(other)
    }
}
