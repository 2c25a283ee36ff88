// SPDX-License-Identifier: Apache-2.0
// A stream filled from inside the process: a test pattern, a file, RTMP and RTSP. RTP in, any thread.
import Clocks
import MediaGraph
import Primitives
import RTP
import SDP
import Synchronization

/// The reactor's half of a local source. Its reactor's thread only.
final class LocalSourceCore: StreamSource {
    let id: EndpointID
    let stream: MediaStream
    private let keyFrameGap: TimeSpan
    private let onEvent: EndpointEventHandler
    private let onKeyFrameRequest: @Sendable () -> Void
    private static let extensions = UplinkExtensions()
    /// It tells its clock itself.
    private var hasOwnClock = false
    /// Of each track, until then.
    private var paces: [ArrivalPace] = []
    private var toldSize = (width: 0, height: 0)
    private var nextPlayoutDelay = Instant.zero
    private var hasFailed = false
    /// That there are B-frames is known to the players.
    private var isReordered = false

    init(
        id: EndpointID, stream: MediaStream, formats: [TrackFormat], keyFrameGap: TimeSpan,
        onEvent: @escaping EndpointEventHandler, onKeyFrameRequest: @escaping @Sendable () -> Void
    ) {
        self.onEvent = onEvent
        self.id = id
        self.stream = stream
        self.keyFrameGap = keyFrameGap
        self.onKeyFrameRequest = onKeyFrameRequest
        setTracks(formats)
        stream.source = self
        stream.markReady()
    }

    /// Tracks that are the same go on as they are; the others begin.
    func setTracks(_ formats: [TrackFormat]) {
        var known = stream.tracks
        paces = formats.map { _ in ArrivalPace() }
        stream.setTracks(formats.map { format in
            guard let index = known.firstIndex(where: { $0.carries(format) }) else {
                return UplinkTrack(format: format, codec: CodecKind(encodingName: format.codec.name))
            }
            let track = known.remove(at: index)
            track.update(format)
            return track
        })
        isReordered = stream.tracks.contains(where: \.format.isReordered)
        for track in stream.tracks where track.kind == .video && !track.followsBitstream {
            track.followsBitstream = true
            track.cannotBeAsked()
        }
        if formats.contains(where: { $0.kind == .audio && !$0.isRealTime }) {
            for track in stream.tracks where track.lateness == nil {
                if track.kind == .video { track.followSound() } else { track.lateness = Lateness() }
            }
        }
    }

    /// Another connection of the source begins.
    func restart() {
        paces = paces.map { _ in ArrivalPace() }
        stream.restart()
    }

    func tellTracks() { onEvent(.tracksChanged(stream.info)) }

    func receive(_ packet: [UInt8], track index: Int, arena: SendArena, at now: Instant) {
        guard stream.tracks.indices.contains(index) else { return }
        let track = stream.tracks[index]
        packet.withUnsafeBytes { bytes in
            guard let view = RTPView(bytes) else { return }
            track.receive(view, bytes: bytes, isRetransmission: false, extensions: Self.extensions, arena: arena, at: now)
        }
        guard !hasOwnClock else { return }
        packet.withUnsafeBytes { bytes in
            guard let view = RTPView(bytes) else { return }
            paces[index].note(view.timestamp, clockRate: Int(track.clockRate), at: now)
            // The source's clock is ours: the packet's RTP time is now, unless it has waited.
            guard paces[index].isLive, track.reportedNTP == 0 || now.span(since: track.reportArrival) > .seconds(1) else { return }
            track.receiveReport(ntp: WallClock.now().ntp, timestamp: view.timestamp, at: now)
        }
    }

    func report(ntp: UInt64, timestamp: UInt32, track index: Int, at now: Instant) {
        guard stream.tracks.indices.contains(index) else { return }
        hasOwnClock = true
        stream.tracks[index].receiveReport(ntp: ntp, timestamp: timestamp, at: now)
    }

    func keyFrameWanted(of track: UplinkTrack, arena: SendArena, at now: Instant) {
        guard track.mayRequestKeyFrame(gap: keyFrameGap, repeatAfter: Self.keyFrameRepeat, at: now) else { return }
        onKeyFrameRequest()
    }

    func advance(arena: SendArena, at now: Instant) {
        if now >= nextPlayoutDelay {
            nextPlayoutDelay = now + Self.playoutDelayInterval
            adaptPlayoutDelay()
        }
        if let count = stream.clocks.toTell(at: now) { onEvent(.clockJumped(count: count)) }
        if !hasFailed, stream.clocks.isBeyondReason(at: now) {
            hasFailed = true
            onEvent(.failed(.timestampJumps(perMinute: SourceClockGroup.maximumPerMinute)))
        }
        for track in stream.tracks {
            if track.wantsKeyFrame { keyFrameWanted(of: track, arena: arena, at: now) }
            if track.kind == .video, track.width != toldSize.width || track.height != toldSize.height {
                toldSize = (track.width, track.height)
                onEvent(.resized(width: track.width, height: track.height))
            }
            // Found by the order of the pictures, or by the parameter sets among them.
            if !isReordered, track.format.isReordered {
                isReordered = true
                stream.noteOtherForms()
            }
        }
    }

    /// Of its pictures, and of what is made of them.
    private func adaptPlayoutDelay() {
        guard let sound = stream.track(of: .audio)?.lateness else { return }
        for track in stream.forms {
            guard let pictures = track.lateness, let delay = track.playoutDelay else { continue }
            track.playoutDelay = delay.following(sound: sound, pictures: pictures)
        }
    }

    func markReordered(track index: Int) {
        if stream.tracks.indices.contains(index) { stream.tracks[index].markReordered() }
    }

    func statistics(at now: Instant) -> EndpointStatistics {
        var result = EndpointStatistics(endpoint: id)
        for track in stream.tracks {
            track.updateRates(at: now)
            let statistics = track.statistics()
            if track.kind == .video { result.video = statistics } else { result.audio = statistics }
        }
        return result
    }

    static let keyFrameRepeat = TimeSpan.milliseconds(300)
    private static let playoutDelayInterval = TimeSpan.milliseconds(500)
}

/// The control plane's half: a `LocalSource` that any thread may write to.
final class LocalSourceHandle: LocalSource {
    let id: EndpointID
    private let reactor: Reactor
    private let keyFrameRequest = Mutex<(@Sendable () -> Void)?>(nil)
    /// Packets that may wait for the reactor; more means that it is stuck, and new ones are refused.
    private static let mailboxLimit = 4096

    init(id: EndpointID, reactor: Reactor) {
        self.id = id
        self.reactor = reactor
    }

    func write(track: Int, packet: [UInt8]) -> Bool {
        let id = id
        return reactor.post(limit: Self.mailboxLimit) { core in
            guard let source = core.localSources[id.rawValue] else { return }
            source.receive(packet, track: track, arena: core.arena, at: core.now)
            core.touch(source.stream)
        }
    }

    func write(track: Int, packets: [[UInt8]]) -> Bool {
        let id = id
        return reactor.post(limit: Self.mailboxLimit) { core in
            guard let source = core.localSources[id.rawValue] else { return }
            for packet in packets { source.receive(packet, track: track, arena: core.arena, at: core.now) }
            core.touch(source.stream)
        }
    }

    func setTracks(_ tracks: [TrackFormat]) {
        let id = id
        reactor.post { core in
            guard let source = core.localSources[id.rawValue], source.stream.source === source else { return }
            source.setTracks(tracks)
            if core.settleTracks(of: source.stream) { source.tellTracks() }
        }
    }

    func markReordered(track: Int) {
        let id = id
        reactor.post(limit: Self.mailboxLimit) { $0.localSources[id.rawValue]?.markReordered(track: track) }
    }

    func report(track: Int, ntp: UInt64, timestamp: UInt32) {
        let id = id
        reactor.post(limit: Self.mailboxLimit) { core in
            core.localSources[id.rawValue]?.report(ntp: ntp, timestamp: timestamp, track: track, at: core.now)
        }
    }

    func restart() {
        let id = id
        // Not bounded: one packet of the new connection taken for the old one's would spoil the tracks' time.
        reactor.post { $0.localSources[id.rawValue]?.restart() }
    }

    func onKeyFrameRequest(_ handler: @escaping @Sendable () -> Void) { keyFrameRequest.withLock { $0 = handler } }

    func requestKeyFrame() { keyFrameRequest.withLock { $0 }?() }
}
