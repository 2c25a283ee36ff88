// SPDX-License-Identifier: Apache-2.0
// What a player's endpoint does about its line: cached pictures are paced out, a stream that the line can't carry is thinned
// out to what it can, and the owner is told. Audio is never held back.
import Primitives

extension PlayerEndpoint {
    /// How a video line stands to the live edge.
    enum Lag: Equatable {
        /// The shared fan-out serves it.
        case live
        /// Sent from the ring since then: what was cached when it joined, or as much of the stream as the line carries.
        case joining(since: Instant)
        case behind(since: Instant)
        /// Frames are left out until a key frame comes and what stands in queues on the way has had `pause` to drain.
        case waiting(since: Instant, pause: TimeSpan)

        init() { self = .live }
    }

    /// How long a packet of a thin line waits here before frames are left out, and one of the cached pictures of a joiner.
    private static let patience = TimeSpan.milliseconds(750)
    private static let joinPatience = TimeSpan.milliseconds(1500)
    /// A joiner that needs longer than this is helped by a new key frame.
    private static let joinHelp = TimeSpan.milliseconds(800)
    /// All thin lines of a stream together make the publisher send a key frame at most this often.
    private static let requestGap = TimeSpan.seconds(2)
    private static let longestPause = TimeSpan.seconds(2)
    private static let paceInterval = TimeSpan.milliseconds(5)

    /// Line `i` begins with what is in the ring.
    func join(_ i: Int, _ path: PlayerPath, arena: SendArena, at now: Instant) {
        lines[i].lag = .joining(since: now)
        path.beginPacing(burst: PlayerPath.firstBurst, at: now)
        adapt(arena: arena, at: now)
    }

    /// Paces, thins out and tells, as the lines want it. Asks to be called again by `deadline`.
    func adapt(arena: SendArena, at now: Instant) {
        for (index, path) in paths.enumerated() {
            guard let path else { continue }
            path.advance(to: now)
            var streamRate = 0
            for line in lines where line.transport == index && line.sink?.pointee.isStarted ?? false {
                streamRate += line.track.wireRates.bitrate
            }
            let isThin = path.isTooThin(for: streamRate)
            var isWaiting = false
            for i in lines.indices where lines[i].transport == index && lines[i].track.kind == .video {
                guard let sink = lines[i].sink else { continue }
                if lines[i].lag == .live, isThin, path.isClogged, sink.pointee.isStarted {
                    lines[i].track.hold(sink, arena: arena, at: now)
                    lines[i].lag = .behind(since: now)
                    path.beginPacing(burst: 0, at: now)
                }
                step(i, sink, path, streamRate: streamRate, isThin: isThin, arena: arena, at: now)
                if lines[i].lag != .live { deadline = min(deadline, now + Self.paceInterval) }
                if case .waiting = lines[i].lag { isWaiting = true }
            }
            tell(path, isThin: isThin || (isWaiting && path.alarm.isRaised), streamRate: streamRate, at: now)
        }
    }

    private func step(
        _ i: Int, _ sink: UnsafeMutablePointer<DownlinkTrack>, _ path: PlayerPath, streamRate: Int, isThin: Bool,
        arena: SendArena, at now: Instant
    ) {
        let track = lines[i].track
        var since: Instant, patience = Self.patience
        switch lines[i].lag {
        case .live: return
        case .behind(let began): since = began
        case .joining(let began):
            since = began
            patience = Self.joinPatience
            if now.span(since: began) > Self.joinHelp {
                requestKeyFrame(of: track, arena: arena, at: now)
                if track.ring.keyFrameStart > sink.pointee.cursor, track.skipToKeyFrame(sink, after: began) {
                    since = now
                    lines[i].lag = .joining(since: now)
                }
            }
        case .waiting(let began, let pause):
            guard now.span(since: began) >= pause else { return }
            // An older one would bring what has been waited for in vain.
            guard track.skipToKeyFrame(sink, after: now - Self.patience) else {
                return requestKeyFrame(of: track, arena: arena, at: now)
            }
            since = now
            lines[i].lag = .behind(since: now)
            path.beginPacing(burst: isThin ? 0 : PlayerPath.firstBurst, probing: isThin, at: now)
        }
        let room = path.room(streamRate: streamRate, at: now)
        var left = room
        switch track.pace(sink, since: since, patience: patience, room: &left, arena: arena, at: now) {
        case .behind: break
        case .caughtUp:
            // A thin line stays with the pacer: frames leave at its rate.
            guard !isThin else { break }
            track.release(sink)
            lines[i].lag = .live
        case .late:
            let pause = min(max(path.controller.queueDelay, .zero), Self.longestPause)
            // Even where a key frame is at hand: what stands on the way would make it late as well.
            lines[i].lag = .waiting(since: now, pause: isThin ? pause : .zero)
        }
    }

    private func requestKeyFrame(of track: UplinkTrack, arena: SendArena, at now: Instant) {
        guard now.span(since: track.lastThinLineRequest) >= Self.requestGap else { return }
        track.lastThinLineRequest = now
        stream.requestKeyFrame(of: track, arena: arena, at: now)
    }

    private func tell(_ path: PlayerPath, isThin: Bool, streamRate: Int, at now: Instant) {
        switch path.alarm.update(isThin: isThin, at: now) {
        case .raised, .lasting: tell(.notEnoughBandwidth(bitrate: streamRate, bandwidth: path.controller.estimate))
        case .cleared: tell(.enoughBandwidth)
        case nil: break
        }
    }
}
