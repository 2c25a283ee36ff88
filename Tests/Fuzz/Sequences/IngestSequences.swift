// SPDX-License-Identifier: Apache-2.0
// Sequences of what an encoder sends by RTMP, and of what a camera's connections do: into the decisions about tracks and time, and on into
// the packets of a stream.
@testable import MartletServer
@testable import MediaIO
import Primitives
import RTMP
import RTSP
import SDP

/// A stream that takes everything.
private final class TakingSource: LocalSource {
    let id = EndpointID(rawValue: 1)
    func write(track: Int, packet: [UInt8]) -> Bool { true }
    func write(track: Int, packets: [[UInt8]]) -> Bool {
        hold(packets.allSatisfy { $0.count >= 12 && $0.count <= 1600 }, "a packet of an impossible length")
        return true
    }
    func markReordered(track: Int) {}
    func report(track: Int, ntp: UInt64, timestamp: UInt32) {}
    func restart() {}
    func setTracks(_ tracks: [TrackFormat]) {}
    func onKeyFrameRequest(_ handler: @escaping @Sendable () -> Void) {}
}

/// Messages of both kinds, any tags, any clock: nothing traps, what waits for the start is bounded, and media time can't run away from arrival.
func fuzzIngest(_ bytes: UnsafeRawBufferPointer) {
    var events = EventReader(bytes), state = IngestState()
    guard let setting = events.byte() else { return }
    var now = Instant(nanoseconds: setting & 1 == 0 ? 0 : 1 << 50), timestamp: UInt32 = setting & 2 == 0 ? 0 : 0xffff_ff00
    /// When the first message came: media time begins there.
    var begun: Instant?
    var source: FrameSource?
    var repetitions = 30_000

    func perform(_ actions: [IngestState.Action]) {
        for action in actions {
            switch action {
            case .write(let track, let frame):
                // Behind it may be: what waited for the start is written late. Ahead by as much as twenty new beginnings a minute allow, each by the
                // widest drift and a jump (30 + 10 s), before the publisher is ended; the stream's own clock holds it closer.
                let passed = now.span(since: begun ?? now), ahead = (frame.time - MediaTime.zero) - passed
                hold(ahead < .seconds(840) + passed * 14, "media time is \(ahead.milliseconds / 1000) s ahead of arrival")
                source?.write(track: track, frame: frame.bytes, time: frame.time, isKeyFrame: frame.isKeyFrame)
            case .update(let track, let sets): source?.update(track: track, parameterSets: sets)
            case .begin(let tracks):
                source = FrameSource(TakingSource(), tracks: tracks.map(\.source))
                perform(state.began(tracks, at: now))
            case .change(let tracks): source = FrameSource(TakingSource(), tracks: tracks.map(\.source))
            case .note, .fail, .lookAfter: break
            }
        }
    }
    func send(_ type: UInt8, _ payload: [UInt8]) {
        begun = begun ?? now
        perform(state.take(RTMPMessage(type: type, streamID: 1, timestamp: timestamp, payload: payload), at: now))
    }

    let avc: [UInt8] = [0x17, 0, 0, 0, 0, 1, 0x42, 0xc0, 0x0d, 0xff, 0xe1, 0, 4, 0x67, 0x42, 0xc0, 0x0d, 1, 0, 2, 0x68, 0xce]
    while let kind = events.byte() {
        switch kind & 0x0f {
        case 0: send(RTMPMessageType.video, avc + (kind & 0x80 == 0 ? [] : events.bytes(4)))
        case 1: send(RTMPMessageType.audio, [0xaf, 0] + (kind & 0x80 == 0 ? [0x11, 0x90] : events.bytes(Int(kind >> 4 & 7))))
        case 2, 3: send(RTMPMessageType.video, [kind & 0x40 == 0 ? 0x17 : 0x27, 1, 0, kind >> 4, 0, 0, 0, 0, 3, kind & 0x40 == 0 ? 0x65 : 0x41, 0x9a, kind])
        case 4, 5: send(RTMPMessageType.audio, [kind & 0x80 == 0 ? 0xaf : 0x72, 1, 0x21, kind])
        case 6:
            guard let step = events.step() else { return }
            timestamp &+= step
        case 7, 8:
            guard let elapsed = events.elapsed() else { return }
            now = now + .nanoseconds(elapsed)
            perform(state.look(at: now))
        case 9:
            // Many alike: what small steps add up to.
            guard let step = events.step(), let count = events.byte() else { return }
            for _ in 0..<min(Int(count) * 20, repetitions) {
                timestamp &+= step
                now = now + .milliseconds(Int64(kind >> 4))
                send(RTMPMessageType.audio, [kind & 0x80 == 0 ? 0xaf : 0x72, 1, 0x21, kind])
                repetitions -= 1
            }
        case 10:
            let metadata: AMF0Value = ["videocodecid": kind & 0x10 == 0 ? .number(7) : .null, "audiocodecid": .number(kind & 0x20 == 0 ? 10 : 0)]
            state.take(metadata: metadata)
        case 11: send(RTMPMessageType.video, [0x90 | kind >> 4 & 7] + Array("hvc1avc1av01vp09".utf8.dropFirst(Int(kind >> 6) * 4).prefix(4)) + events.bytes(12))
        case 12: send(RTMPMessageType.audio, [0x90 | kind >> 4 & 7] + Array("Opusmp4a".utf8.dropFirst(Int(kind >> 7) * 4).prefix(4)) + events.bytes(12))
        default:
            guard let length = events.byte() else { return }
            send(kind & 0x80 == 0 ? RTMPMessageType.video : RTMPMessageType.audio, events.bytes(Int(length & 63)))
        }
    }
    state.end()
}

/// Connections that end for any reason at any time: the pause between two attempts stays within its bounds, and an end stays an end.
func fuzzPull(_ bytes: UnsafeRawBufferPointer) {
    var events = EventReader(bytes), now = Instant.zero
    guard let setting = events.byte() else { return }
    var life = RTSPPullLife(longestGap: setting & 1 == 0 ? nil : .seconds(60), idleTimeout: setting & 2 == 0 ? nil : .seconds(5))
    var watch = RTSPLinkWatch(activityTimeout: .seconds(10), at: now)
    let ends: [RTSPPullEnd] = [.unreachable(""), .silent(nil), .malformed(""), .client(.unauthorized)]
    var hasEnded = false
    while let kind = events.byte() {
        switch kind & 7 {
        case 0: life.plays()
        case 1: watch.noteMedia(at: now)
        case 2, 3:
            guard let elapsed = events.elapsed() else { return }
            now = now + .nanoseconds(elapsed)
            _ = watch.tick(at: now, signOfLifeInterval: .milliseconds(Int64(kind) * 10))
        case 4: _ = life.note(players: Int(kind >> 6), at: now)
        case 5:
            if kind & 0xc0 == 0xc0 { life.end(.idle); hasEnded = true }
        default:
            let next = life.linkEnded(ends[Int(kind >> 6)], media: watch.media, at: now)
            switch next {
            case .callAgain(let pause):
                hold(!hasEnded, "called again after its end")
                hold(pause >= .zero && pause <= .seconds(60), "a pause of \(pause.milliseconds) ms")
                now = now + pause
                watch = RTSPLinkWatch(activityTimeout: .seconds(10), at: now)
            case .end: return
            }
        }
    }
}
