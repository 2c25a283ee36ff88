// SPDX-License-Identifier: Apache-2.0
import NetworkEmulator
import Primitives
import RTP
import SDP
import SRTP
import Testing

@testable import MediaGraph

@Suite("EmulatedNetwork: forwarding") struct ForwardingTests {
    @Test("a stream published over ICE, DTLS and SRTP reaches every player byte for byte")
    func forwardsEverything() throws {
        let chain = try Chain(profile: LinkProfile(delay: .milliseconds(5)), seed: 1)
        chain.run(milliseconds: 500)
        #expect(chain.server.isReady)
        #expect(chain.events.all.contains { $0.contains("mediaStarted") && $0.contains("width: 640") })
        let players = try (0..<5).map { try chain.addPlayer(seed: UInt64(50 + $0)) }
        chain.run(milliseconds: 2000)
        let last = chain.packetsSent
        chain.run(milliseconds: 100, sending: false)
        for player in players {
            let first = try #require(player.firstPacket)
            #expect(player.corrupt == 0)
            #expect((first..<last).allSatisfy { player.packets[$0] != nil })
        }
    }

    @Test("a player that joins late starts from the key frame in the ring, without asking the publisher")
    func joinsFromRing() throws {
        let chain = try Chain(profile: LinkProfile(delay: .milliseconds(5)), seed: 2)
        chain.run(milliseconds: 800)
        let requests = chain.keyFrameRequests
        let track = chain.server.tracks[0]
        let keyFrames = track.keyFrames
        let player = try chain.addPlayer(seed: 77)
        chain.run(milliseconds: 200)
        #expect(player.firstPacket == 0, "the first key frame is the newest one")
        #expect(chain.keyFrameRequests == requests)
        #expect(track.keyFrames == keyFrames)
        #expect(track.joinHits == 1)
    }

    @Test("while somebody takes the stream who can't ask, the publisher is asked for a key frame at the interval, and no longer")
    func asksForOthers() throws {
        let chain = try Chain(profile: LinkProfile(delay: .milliseconds(5)), seed: 21)
        chain.run(milliseconds: 500)
        let track = chain.server.tracks[0]
        let before = chain.keyFrameRequests
        chain.run(milliseconds: 4000)
        #expect(chain.keyFrameRequests == before, "nobody needs one")
        track.addTap(id: 9, isPassive: true) { _, _ in }
        chain.run(milliseconds: 10_000)
        #expect((3...4).contains(chain.keyFrameRequests - before))
        track.removeTap(id: 9)
        let after = chain.keyFrameRequests
        chain.run(milliseconds: 7000)
        #expect(chain.keyFrameRequests == after)
    }

    @Test("whoever needs a key frame soon after another got one has it as soon as the source can make it; many make it send one a second")
    func servesEachNeed() throws {
        let chain = try Chain(profile: LinkProfile(delay: .milliseconds(5)), seed: 23)
        chain.run(milliseconds: 600)
        let players = try [chain.addPlayer(seed: 81), chain.addPlayer(seed: 82)]
        chain.run(milliseconds: 400)
        func ask(_ player: Chain.Player) {
            guard let host = chain.network.hosts.values.first(where: { $0.address == player.address }) else { return }
            player.stream.requestKeyFrame(of: player.stream.tracks[0], arena: host.arena, at: chain.network.now)
        }
        for player in players {
            let before = player.stream.tracks[0].keyFrames
            ask(player)
            // Four ways of 5 ms, and a frame.
            chain.run(milliseconds: 100)
            #expect(player.stream.tracks[0].keyFrames == before + 1)
        }
        chain.run(milliseconds: 2000)
        let before = chain.keyFrameRequests
        for _ in 0..<100 {
            players.forEach(ask)
            chain.run(milliseconds: 100)
        }
        #expect((10...13).contains(chain.keyFrameRequests - before), "\(chain.keyFrameRequests - before) in 10 s")
    }

    @Test("of a source that can't be asked, or was in vain, a key frame of 10 s ago serves a player that joins; of another it doesn't")
    func longGroups() throws {
        for (cannotBeAsked, inVain) in [(true, false), (true, true), (false, false)] {
            let chain = try Chain(profile: LinkProfile(delay: .milliseconds(5)), seed: 22)
            chain.run(milliseconds: 300)
            if cannotBeAsked, !inVain { chain.server.tracks[0].cannotBeAsked() }
            for _ in 0..<6 where inVain {
                #expect(chain.server.tracks[0].mayRequestKeyFrame(gap: .seconds(1), repeatAfter: .milliseconds(300), at: chain.network.now))
                chain.run(milliseconds: 300)
            }
            chain.run(milliseconds: inVain ? 8000 : 9800)
            let sent = chain.packetsSent
            let player = try chain.addPlayer(seed: 79)
            chain.run(milliseconds: 500)
            #expect(chain.server.tracks[0].joinHits == (cannotBeAsked ? 1 : 0))
            #expect(player.corrupt == 0 && player.packets.keys.contains { $0 >= sent }, "it has got up to the present within half a second")
        }
    }

    @Test("the cached group of pictures comes with squeezed timestamps that never run backwards")
    func squeezesTimestamps() throws {
        let chain = try Chain(profile: LinkProfile(delay: .milliseconds(1)), seed: 3)
        chain.run(milliseconds: 2500)
        let player = try chain.addPlayer(seed: 78)
        var timestamps: [UInt32] = []
        player.stream.tracks[0].addTap(id: 2) { bytes, _ in
            if let view = RTPView(bytes) { timestamps.append(view.timestamp) }
        }
        chain.run(milliseconds: 400)
        let firstLive = timestamps.last!
        #expect(zip(timestamps, timestamps.dropFirst()).allSatisfy { $0 <= $1 })
        #expect(firstLive - timestamps[0] < 90 * (400 + 100), "two seconds of past take no more than a few frames of time")
        #expect(Set(timestamps).count > 50, "frames stay apart")
    }

    @Test("loss on both hops is repaired by NACK and RTX", arguments: UInt64(10)..<18)
    func repairsLoss(seed: UInt64) throws {
        let chain = try Chain(profile: LinkProfile(delay: .milliseconds(10)), seed: seed)
        chain.run(milliseconds: 600)
        let player = try chain.addPlayer(seed: seed &+ 1000)
        chain.run(milliseconds: 500)
        chain.network.profile = LinkProfile(loss: 0.05, delay: .milliseconds(25), jitter: .milliseconds(3))
        let from = chain.packetsSent
        chain.run(milliseconds: 6000)
        let to = chain.packetsSent
        chain.network.profile = LinkProfile(delay: .milliseconds(25))
        chain.run(milliseconds: 1500, sending: false)
        let missing = (from..<to).filter { player.packets[$0] == nil }
        #expect(player.corrupt == 0)
        #expect(missing.count <= Int(to - from) / 200, "\(missing.count) of \(to - from) packets missing")
    }

    @Test("a key frame request that is lost is repeated until a key frame comes")
    func repeatsKeyFrameRequest() throws {
        let chain = try Chain(profile: LinkProfile(delay: .milliseconds(10)), seed: 30)
        chain.run(milliseconds: 800)
        let before = chain.server.tracks[0].keyFrames
        chain.network.profile = .down
        chain.server.requestKeyFrame(of: chain.server.tracks[0], arena: chain.network.hosts[2]!.arena, at: chain.network.now)
        chain.run(milliseconds: 200)
        #expect(chain.server.tracks[0].keyFrames == before)
        chain.network.profile = LinkProfile(delay: .milliseconds(10))
        chain.run(milliseconds: 1500)
        #expect(chain.server.tracks[0].keyFrames > before)
    }

    @Test("reports let the player put media on the publisher's clock")
    func sendsReports() throws {
        let chain = try Chain(profile: LinkProfile(delay: .milliseconds(5)), seed: 31)
        chain.run(milliseconds: 600)
        let player = try chain.addPlayer(seed: 5)
        chain.run(milliseconds: 3000)
        #expect(player.stream.tracks[0].reportedNTP != 0)
        let roundTrip = try #require(player.served.statistics().roundTripMilliseconds)
        #expect((9...40).contains(roundTrip), "\(roundTrip) ms over two 5 ms links")
        let ofPublisher = try #require(chain.publisher.statistics().roundTripMilliseconds)
        #expect((9...40).contains(ofPublisher), "\(ofPublisher) ms over two 5 ms links")
    }

    @Test("players report what arrives, and the server knows what their lines carry")
    func estimatesBandwidth() throws {
        let chain = try Chain(profile: LinkProfile(delay: .milliseconds(20)), seed: 40)
        chain.run(milliseconds: 600)
        let player = try chain.addPlayer(seed: 6)
        chain.run(milliseconds: 4000)
        let bandwidth = try #require(player.served.statistics().bandwidth)
        // 4 packets of about 940 bytes, 25 times a second.
        #expect(bandwidth > 700_000, "\(bandwidth)")
    }

    @Test("a publisher that says goodbye is gone at once")
    func closesAtOnce() throws {
        let chain = try Chain(profile: LinkProfile(delay: .milliseconds(5)), seed: 32)
        chain.run(milliseconds: 600)
        chain.push.close(arena: chain.network.hosts[1]!.arena, at: chain.network.now)
        chain.run(milliseconds: 50, sending: false)
        #expect(chain.events.all.contains { $0.contains("closedByPeer") })
    }

    @Test("a publisher that falls silent fails by activity")
    func failsBySilence() throws {
        let chain = try Chain(profile: LinkProfile(delay: .milliseconds(5)), seed: 33)
        chain.run(milliseconds: 600)
        chain.run(milliseconds: 61_000, sending: false)
        #expect(chain.events.all.contains { $0.contains("rtpActivity") })
    }
}

@Suite("DownlinkTrack") struct DownlinkTrackTests {
    @Test("packets of all tracks and their retransmissions are numbered in one row, and the numbers tell when each was sent")
    func numbersPackets() throws {
        var sent: [[UInt8]] = []
        let arena = SendArena { arena in
            for run in arena.runs {
                for offset in stride(from: run.offset, to: run.offset + run.length, by: run.segmentLength) {
                    let length = min(run.segmentLength, run.offset + run.length - offset)
                    sent.append(Array(UnsafeRawBufferPointer(start: arena.memory + offset, count: length)))
                }
            }
        }
        let sender = try SRTPSender(profile: .aeadAES128GCM, key: .init(repeating: 1, count: 16), salt: .init(repeating: 2, count: 12))
        defer { sender.destroy() }
        let path = PlayerPath(hasFeedback: true)
        var random = RandomSource.seeded(1)
        func track(_ name: String, _ kind: CodecKind, ssrc: UInt32) -> (UplinkTrack, UnsafeMutablePointer<DownlinkTrack>) {
            let track = UplinkTrack(
                format: TrackFormat(kind: kind.isVideo ? .video : .audio, codec: Codec(payloadType: 96, name: name, clockRate: 48_000)), codec: kind)
            var parameters = DownlinkTrack.Parameters(ssrc: ssrc, payloadType: 100)
            parameters.transportSequenceID = 3
            if kind.isVideo {
                parameters.rtxSSRC = ssrc + 1
                parameters.rtxPayloadType = 101
            }
            let sink = track.addSink(
                parameters, sender: sender, destination: Destination(address: SocketAddress(ipv4: 1, port: 2), socket: 3),
                history: path.history, random: &random)
            _ = track.open(sink, arena: arena, at: .zero)
            return (track, sink)
        }
        let (audio, audioSink) = track("opus", .opus, ssrc: 5), (video, videoSink) = track("VP8", .vp8, ssrc: 8)
        func send(_ track: UplinkTrack, _ sequence: UInt8, at now: Instant) {
            let bytes: [UInt8] = [0x80, 96, 0, sequence, 0, 0, 0, 1, 0, 0, 0, 9] + [0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01]
            bytes.withUnsafeBytes { raw in
                _ = track.receive(
                    RTPView(raw)!, bytes: raw, isRetransmission: false, extensions: UplinkExtensions(), arena: arena, at: now)
            }
            track.flush(into: arena, at: now)
        }
        send(audio, 1, at: Instant(nanoseconds: 10_240_000))
        send(video, 1, at: Instant(nanoseconds: 20_480_000))
        let videoNumber = UInt16(truncatingIfNeeded: 1 - videoSink.pointee.sequenceBase)
        var room = 10_000
        video.retransmit([videoNumber], to: videoSink, room: &room, arena: arena, at: Instant(nanoseconds: 30_720_000))
        send(audio, 2, at: Instant(nanoseconds: 40_960_000))
        // Without RTX a packet with a number of its own can't be sent again.
        audio.retransmit([UInt16(truncatingIfNeeded: 2 - audioSink.pointee.sequenceBase)], to: audioSink, room: &room, arena: arena, at: Instant(milliseconds: 50))
        arena.flush()
        #expect(audioSink.pointee.refusedRetransmissions == 1)
        let numbers = try sent.map { packet in
            try packet.withUnsafeBytes { try #require(RTPView($0)?.extensionElement(id: 3)).map { Int($0) } }
        }
        #expect(numbers == [[0, 1], [0, 2], [0, 3], [0, 4]])
        #expect(try sent.map { try #require($0.withUnsafeBytes { RTPView($0)?.ssrc }) } == [5, 8, 9, 5])
        for (number, packet) in zip([1, 2, 3, 4] as [Int64], sent) {
            guard case .received(let sentAt, packet.count, false) = path.history.pointee.settle(number, isReceived: true, at: Instant(milliseconds: 99))
            else { return #expect(Bool(false)) }
            #expect(sentAt.span(since: Instant(nanoseconds: number * 10_240_000)).magnitude < .nanoseconds(2048))
        }
    }

    @Test("a retransmission without RTX is the same packet to the bit, whatever else was sent in between")
    func repeatsExactly() throws {
        var codec = Codec(payloadType: 96, name: "VP8", clockRate: 90_000)
        codec.feedback = ["nack"]
        let track = UplinkTrack(format: TrackFormat(kind: .video, codec: codec), codec: .vp8)
        var sent: [[UInt8]] = []
        let arena = SendArena { arena in
            for run in arena.runs {
                var offset = run.offset
                while offset < run.offset + run.length {
                    let length = min(run.segmentLength, run.offset + run.length - offset)
                    sent.append(Array(UnsafeRawBufferPointer(start: arena.memory + offset, count: length)))
                    offset += length
                }
            }
        }
        let sender = try SRTPSender(profile: .aeadAES128GCM, key: .init(repeating: 1, count: 16), salt: .init(repeating: 2, count: 12))
        defer { sender.destroy() }
        var parameters = DownlinkTrack.Parameters(ssrc: 5, payloadType: 100)
        parameters.midID = 4
        parameters.mid = "0"
        var random = RandomSource.seeded(1)
        let path = PlayerPath(hasFeedback: false)
        let sink = track.addSink(
            parameters, sender: sender, destination: Destination(address: SocketAddress(ipv4: 1, port: 2), socket: 3),
            history: path.history, random: &random)
        _ = track.open(sink, arena: arena, at: .zero)
        // Three packets in one turn, of lengths that would be evened out for a player with RTX.
        for i in 0..<3 {
            var bytes: [UInt8] = [0x80, (i == 2 ? 0x80 : 0) | 96, 0, UInt8(10 + i), 0, 0, 0, 1, 0, 0, 0, 9]
            bytes += [i == 0 ? 0x10 : 0, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01] + [UInt8](repeating: 7, count: 200 + 3 * (2 - i) % 5)
            bytes.withUnsafeBytes { raw in
                _ = track.receive(
                    RTPView(raw)!, bytes: raw, isRetransmission: false, extensions: UplinkExtensions(), arena: arena, at: Instant(nanoseconds: 1))
            }
        }
        track.flush(into: arena, at: Instant(nanoseconds: 1))
        arena.flush()
        let originals = sent
        #expect(originals.count == 3)
        sink.pointee.noteReport()
        sent = []
        let sequences = originals.map { UInt16($0[2]) << 8 | UInt16($0[3]) }
        var room = 10_000
        track.retransmit(sequences, to: sink, room: &room, arena: arena, at: Instant(nanoseconds: 1))
        arena.flush()
        #expect(sent == originals)
    }
}
