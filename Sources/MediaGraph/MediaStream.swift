// A stream: its tracks, the one source that fills them, and the players that take them.
// Owned by a reactor; every call happens on that thread.
import Primitives
import RTP
import SDP

/// What fills a stream's tracks: a publisher's connection or a local source.
public protocol StreamSource: AnyObject {
    /// A player can't go on without a key frame of `track`. The source throttles.
    func keyFrameWanted(of track: UplinkTrack, arena: SendArena, at now: Int64)
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

    public init(handle: StreamHandle) { self.handle = handle }

    /// Players get no sound of this stream while it is silent.
    public private(set) var withholdsSilence = false

    /// The source has a new connection: what comes next on each of its tracks begins anew, whatever its numbers are.
    public func restart() { for track in tracks { track.restart() } }

    /// Bytes that the rings hold.
    public var memory: Int { forms.reduce(0) { $0 + $1.ring.memory } }

    /// Called by the source once it knows what it brings.
    public func setTracks(_ tracks: [UplinkTrack]) {
        // What was made of a track that is no more has nothing to be made of.
        let isSame = tracks.map(ObjectIdentifier.init) == self.tracks.map(ObjectIdentifier.init)
        self.tracks = tracks
        for track in tracks { track.clocks = clocks }
        if !isSame { converted = [] }
        forms = tracks + converted
        if withholdsSilence { withholdSilence() }
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

    /// −dBov (RFC 6464) of its sound, smoothed; `nil` when its publisher sends no levels.
    public func audioLevel(at now: Int64) -> UInt8? { track(of: .audio)?.audioLevel(at: now) }

    /// The source is gone. Its tracks stay for the players on them: a source that comes back (an agent whose link broke)
    /// goes on in them when it brings the same codecs.
    public func sourceLeft() {
        source = nil
        isReady = false
    }

    /// A track left by an earlier source that a new one of this format can go on in.
    func track(like format: TrackFormat) -> UplinkTrack? {
        tracks.first { $0.format.kind == format.kind && $0.format.codec.isSameCoding(as: format.codec) }
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
    /// - Returns: when to call again for a picture of which some is still to come, ns; `Int64.max` = nothing waits.
    @inline(__always)
    public func flush(into arena: SendArena, at now: Int64) -> Int64 {
        var next = Int64.max
        for track in forms where track.hasPending {
            let until = track.waitsUntil
            if until > now { next = min(next, until) } else { track.flush(into: arena, at: now) }
        }
        return next
    }

    /// Asks the source for a key frame on behalf of a player or of the control plane.
    public func requestKeyFrame(of track: UplinkTrack, arena: SendArena, at now: Int64) {
        track.requestKeyFrame()
        if track.wantsKeyFrame { (track.feeder ?? source)?.keyFrameWanted(of: track, arena: arena, at: now) }
    }
}

/// What the home reactor knows of a mirror of one of its streams.
public struct StreamMirror {
    /// The mirror's own handle, on its reactor.
    public let handle: StreamHandle
    public let link: MirrorLink
    /// The tracks that feed it: of a stream whose source has come back with other tracks it is a mirror no longer.
    private let tracks: [ObjectIdentifier]

    public init(handle: StreamHandle, link: MirrorLink, of stream: MediaStream) {
        self.handle = handle
        self.link = link
        tracks = stream.forms.map(ObjectIdentifier.init)
    }

    public func shows(_ stream: MediaStream) -> Bool { tracks == stream.forms.map(ObjectIdentifier.init) }
}

extension SDP.Codec {
    /// Players that were told of one can be sent the other: equal but for the payload type and the feedback.
    func isSameCoding(as other: SDP.Codec) -> Bool {
        name.lowercased() == other.name.lowercased() && clockRate == other.clockRate && channels == other.channels
            && parameters == other.parameters
    }
}
