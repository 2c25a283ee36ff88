// SPDX-License-Identifier: Apache-2.0
// Sequences of what a source and its players do, through the ring and the fan-out: one track, up to six players and a mirror.
@testable import MediaGraph
import Primitives
import RTP
import SDP
import SRTP

/// Everything that left for one player, by SSRC and SRTP index: no index may carry two different packets (RFC 3711 §9.1, RFC 5116 §5.1.1).
private final class Wire {
    private struct Source {
        var unwrapper = SequenceUnwrapper()
        var packets: [Int64: Int] = [:]
    }
    private var sources: [UInt64: Source] = [:]

    func note(_ packet: UnsafeRawBufferPointer, player: Int32) {
        guard packet.count >= 12, packet[0] >> 6 == 2, !(192...223).contains(packet[1]) else { return }
        let sequence = UInt16(packet[2]) << 8 | UInt16(packet[3])
        let ssrc = packet[8..<12].reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
        var source = sources[UInt64(player) << 32 | ssrc] ?? Source()
        let index = source.unwrapper.unwrap(sequence)
        var hasher = Hasher()
        hasher.combine(bytes: packet)
        let hash = hasher.finalize()
        if let earlier = source.packets[index] {
            hold(earlier == hash, "two packets under one SRTP index")
        } else {
            source.packets[index] = hash
        }
        sources[UInt64(player) << 32 | ssrc] = source
    }
}

private final class FuzzedPlayer {
    let sink: UnsafeMutablePointer<DownlinkTrack>
    let history: UnsafeMutablePointer<SendHistory>
    let sender: SRTPSender

    init?(_ track: UplinkTrack, number: Int32, hasRTX: Bool, isNumbered: Bool, random: inout RandomSource) {
        guard let sender = try? SRTPSender(profile: .aeadAES128GCM, key: .init(repeating: UInt8(truncatingIfNeeded: number), count: 16), salt: .init(repeating: 1, count: 12))
        else { return nil }
        self.sender = sender
        history = .allocate(capacity: 1)
        history.initialize(to: SendHistory(remembers: isNumbered))
        var parameters = DownlinkTrack.Parameters(ssrc: 0x1000 + UInt32(number), payloadType: 96)
        if hasRTX { (parameters.rtxSSRC, parameters.rtxPayloadType) = (0x2000 + UInt32(number), 97) }
        if isNumbered { parameters.transportSequenceID = 5 }
        sink = track.addSink(
            parameters, sender: sender, destination: Destination(address: SocketAddress(ipv4: 0x0a00_0000, port: 1), socket: number),
            history: history, random: &random)
    }

    func end(_ track: UplinkTrack) {
        track.removeSink(sink)
        sender.destroy()
        history.pointee.destroy()
        history.deinitialize(count: 1)
        history.deallocate()
    }
}

func fuzzForwarding(_ bytes: UnsafeRawBufferPointer) {
    var events = EventReader(bytes), random = RandomSource.seeded(1)
    guard let setting = events.byte() else { return }
    let isVideo = setting & 1 == 0
    let format = isVideo
        ? TrackFormat(kind: .video, codec: Codec(payloadType: 96, name: "VP8", clockRate: 90_000))
        : TrackFormat(kind: .audio, codec: Codec(payloadType: 111, name: "opus", clockRate: 48_000, channels: 2))
    let stream = MediaStream(handle: StreamHandle(rawValue: 1)), track = UplinkTrack(format: format, codec: isVideo ? .vp8 : .opus)
    stream.setTracks([track])
    stream.markReady()
    if setting & 2 != 0 { stream.withholdSilence() }
    let wire = Wire()
    let arena = SendArena(capacity: 64 * 1024, maximumRuns: 64) { arena in
        for run in arena.runs {
            var offset = run.offset
            while offset < run.offset + run.length {
                let length = min(run.segmentLength, run.offset + run.length - offset)
                wire.note(UnsafeRawBufferPointer(start: arena.memory + offset, count: length), player: run.destination.socket)
                offset += length
            }
        }
    }
    var players: [Int32: FuzzedPlayer] = [:], nextPlayer: Int32 = 1
    var sequence: UInt16 = 65_500, timestamp: UInt32 = setting & 4 == 0 ? 9 : 0xffff_ff00, ssrc: UInt32 = 7, now = Instant(milliseconds: 1000)
    var extensions = UplinkExtensions()
    extensions.audioLevel = 1
    defer { for player in players.values { player.end(track) } }
    func chosen(_ number: UInt8) -> FuzzedPlayer? {
        players.isEmpty ? nil : players[players.keys.sorted()[Int(number) % players.count]]
    }

    while let kind = events.byte() {
        switch kind & 0x0f {
        case 0..<6:
            guard let detail = events.byte() else { return }
            let isLate = kind & 0x10 != 0
            let number = isLate ? sequence &- UInt16(detail & 0x3f) : sequence &+ UInt16(detail & 3)
            if !isLate { sequence = number &+ 1 }
            if kind & 0x20 != 0 { timestamp &+= 3000 }
            let isKeyFrame = kind & 0xc0 == 0xc0
            let payload: [UInt8] = (isKeyFrame ? [0x10, 0x10, 2, 0, 0x9d, 0x01, 0x2a, 64, 0, 48, 0] : [0x10, 0x11, 2, 0]) + [UInt8](repeating: detail, count: Int(detail) * 4)
            receive(payload, number, isRetransmission: isLate && detail & 0x40 != 0, marker: kind & 0x40 != 0)
        case 6:
            guard let step = events.step() else { return }
            timestamp &+= step
        case 7:
            guard let step = events.step() else { return }
            sequence &+= UInt16(truncatingIfNeeded: step)
            if kind & 0x80 != 0 { ssrc &+= 1 }
        case 8:
            guard let elapsed = events.elapsed() else { return }
            now += .nanoseconds(elapsed)
            _ = stream.flush(into: arena, at: now)
            arena.flush()
        case 9:
            guard players.count < 6, let player = FuzzedPlayer(track, number: nextPlayer, hasRTX: kind & 0x10 != 0, isNumbered: kind & 0x20 != 0, random: &random) else { continue }
            players[nextPlayer] = player
            nextPlayer += 1
            if track.open(player.sink, arena: arena, at: now), kind & 0x40 != 0 { pace(player, room: 1 << 20) }
        case 10:
            guard let detail = events.byte(), let player = chosen(detail) else { continue }
            switch kind >> 4 & 7 {
            case 0, 1: track.suspend(player.sink)
            case 2, 3: track.resume(player.sink)
            case 4: track.hold(player.sink, arena: arena, at: now)
            case 5: _ = track.skipToKeyFrame(player.sink, after: now - .seconds(3))
            default: pace(player, room: Int(detail) * 100)
            }
        case 11:
            guard let detail = events.byte(), let player = chosen(detail), let low = events.byte() else { continue }
            // Near the newest packets on the player's own wire.
            let newest = UInt16(truncatingIfNeeded: track.ring.newest &- player.sink.pointee.sequenceBase)
            var room = 100_000
            track.retransmit((0..<UInt16(detail & 7)).map { newest &- UInt16(low) &+ $0 }, to: player.sink, room: &room, arena: arena, at: now)
        case 12:
            guard let ntp = events.long() else { return }
            track.receiveReport(ntp: ntp, timestamp: timestamp, at: now)
            for player in players.values { _ = track.senderReport(for: player.sink, at: now) }
        case 13:
            guard let detail = events.byte(), kind & 0x80 != 0, let key = players.keys.sorted().first(where: { $0 & 3 == Int32(detail & 3) }) else { continue }
            players.removeValue(forKey: key)?.end(track)
        case 14: track.requestKeyFrame()
        default:
            _ = track.nack.pending(at: now, rtt: .milliseconds(20))
            track.updateRates(at: now)
        }
    }
    _ = stream.flush(into: arena, at: now)
    track.flush(into: arena, at: now)
    arena.flush()

    func receive(_ payload: [UInt8], _ number: UInt16, isRetransmission: Bool, marker: Bool) {
        let packet = rtpPacket(payloadType: 96, sequence: number, timestamp: timestamp, ssrc: ssrc, marker: marker, payload: payload)
        packet.withUnsafeBytes { raw in
            guard let view = RTPView(raw) else { return }
            track.receive(view, bytes: raw, isRetransmission: isRetransmission, extensions: extensions, arena: arena, at: now)
        }
    }
    func pace(_ player: FuzzedPlayer, room: Int) {
        guard player.sink.pointee.cursor != .max else { return }
        var room = room
        if track.pace(player.sink, since: now - .milliseconds(1), patience: .milliseconds(750), room: &room, arena: arena, at: now) == .caughtUp {
            track.release(player.sink)
        }
    }
}
