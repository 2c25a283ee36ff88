// SPDX-License-Identifier: Apache-2.0
import Primitives
import RTP
import SDP
import SRTP
import Testing

@testable import MediaGraph

@Suite("Silence that is not forwarded") struct SilenceGateTests {
    /// A publisher's sound, 20 ms a packet, and what two players get of it.
    private final class Bench {
        let track = UplinkTrack(
            format: TrackFormat(kind: .audio, codec: Codec(payloadType: 111, name: "opus", clockRate: 48_000)), codec: .opus)
        let path = PlayerPath(hasFeedback: false)
        var arena: SendArena!
        let sender: SRTPSender
        var random = RandomSource.seeded(3)
        var sinks: [UnsafeMutablePointer<DownlinkTrack>] = []
        /// By player: sequence number and timestamp of each packet.
        var seen: [[(sequence: UInt16, timestamp: UInt32)]] = []
        var now = Instant(milliseconds: 1000)
        var next: UInt16 = 65_500

        init() throws {
            sender = try SRTPSender(profile: .aeadAES128GCM, key: .init(repeating: 1, count: 16), salt: .init(repeating: 2, count: 12))
            arena = SendArena { [unowned self] arena in
                for run in arena.runs {
                    var offset = run.offset
                    while offset < run.offset + run.length {
                        let length = min(run.segmentLength, run.offset + run.length - offset)
                        if let view = RTPView(UnsafeRawBufferPointer(start: arena.memory + offset, count: length)) {
                            self.seen[Int(view.ssrc)].append((view.sequenceNumber, view.timestamp))
                        }
                        offset += length
                    }
                }
            }
            addPlayer()
        }

        deinit { sender.destroy() }

        /// A copy of the track on another reactor.
        private var mirror: MirrorSource?

        /// A player on a mirror of the stream.
        func addMirroredPlayer() {
            let link = MirrorLink {}
            let stream = MediaStream(handle: StreamHandle(rawValue: 2))
            stream.withholdSilence()
            track.number = 1
            mirror = MirrorSource(stream: stream, tracks: [MirroredTrack(track)], link: link, keyFrameGap: .zero) { _ in }
            track.addMirror(link, arena: arena, at: now)
            addPlayer(of: stream.tracks[0])
        }

        func addPlayer() { addPlayer(of: track) }

        private func addPlayer(of track: UplinkTrack) {
            let sink = track.addSink(
                DownlinkTrack.Parameters(ssrc: UInt32(sinks.count), payloadType: 100), sender: sender,
                destination: Destination(address: SocketAddress(ipv4: 1, port: UInt16(2 + sinks.count)), socket: 3), history: path.history,
                random: &random)
            sinks.append(sink)
            seen.append([])
            track.open(sink, arena: arena, at: now)
        }

        /// One packet of −`level` dBov, or without a level.
        func packet(_ level: UInt8?, number: UInt16) {
            var bytes: [UInt8] = [level == nil ? 0x80 : 0x90, 111, UInt8(number >> 8), UInt8(number & 255)]
            let timestamp = UInt32(number &- 65_500) * 960
            bytes += withUnsafeBytes(of: timestamp.bigEndian, Array.init) + [0, 0, 0, 9]
            if let level { bytes += [0xbe, 0xde, 0, 1, 0x10, level, 0, 0] }
            bytes += [UInt8](repeating: 7, count: 60)
            var extensions = UplinkExtensions()
            extensions.audioLevel = 1
            bytes.withUnsafeBytes { raw in
                _ = track.receive(RTPView(raw)!, bytes: raw, isRetransmission: false, extensions: extensions, arena: arena, at: now)
            }
            track.flush(into: arena, at: now)
            mirror?.receive(arena: arena, at: now)
            mirror?.stream.flush(into: arena, at: now)
            arena.flush()
        }

        func say(_ level: UInt8?, milliseconds: Int) {
            for _ in 0..<milliseconds / 20 {
                now += .milliseconds(20)
                packet(level, number: next)
                next &+= 1
            }
        }

        func isContinuous(_ player: Int) -> Bool {
            zip(seen[player], seen[player].dropFirst()).allSatisfy { $1.sequence == $0.sequence &+ 1 }
        }
    }

    @Test("without the setting silence is forwarded like anything else")
    func off() throws {
        let bench = try Bench()
        bench.say(127, milliseconds: 5000)
        #expect(bench.seen[0].count == 250)
    }

    @Test("a second after the last word nothing is sent any more, and a word comes with its beginning, its numbers without a gap")
    func gate() throws {
        let bench = try Bench()
        bench.track.withholdSilence()
        bench.say(30, milliseconds: 1000)
        bench.say(90, milliseconds: 5000)
        // 50 of speech, 50 of the pause that is still forwarded.
        #expect(bench.seen[0].count == 100)
        #expect(bench.track.withheld == 200)
        bench.addPlayer()
        bench.say(90, milliseconds: 1000)
        #expect(bench.seen[1].isEmpty)
        bench.say(30, milliseconds: 20)
        // With the three packets of the 60 ms before; a player that is new begins with the word.
        #expect(bench.seen[0].count == 104)
        #expect(bench.seen[1].count == 1)
        bench.say(35, milliseconds: 1000)
        #expect(bench.seen[0].count == 154 && bench.isContinuous(0))
        #expect(bench.seen[1].count == 51 && bench.isContinuous(1))
        // Time goes on where it really is.
        #expect(bench.seen[0].last?.timestamp == bench.seen[1].last?.timestamp)
        #expect(bench.seen[0][100].timestamp - bench.seen[0][99].timestamp == 960 * (250 - 3 + 1))
    }

    @Test("words with short pauses are forwarded as they are")
    func pauses() throws {
        let bench = try Bench()
        bench.track.withholdSilence()
        for _ in 0..<10 {
            bench.say(25, milliseconds: 300)
            bench.say(100, milliseconds: 900)
        }
        #expect(bench.seen[0].count == 600 && bench.isContinuous(0))
    }

    @Test("sound without levels is never taken for silence")
    func noLevels() throws {
        let bench = try Bench()
        bench.track.withholdSilence()
        bench.say(nil, milliseconds: 5000)
        #expect(bench.seen[0].count == 250)
        #expect(bench.track.audioLevel(at: bench.now) == nil)
    }

    @Test("what arrives late from before or within the pause never gets a number that another packet has had")
    func reordering() throws {
        let bench = try Bench()
        bench.track.withholdSilence()
        bench.say(30, milliseconds: 200)
        let missing = bench.next
        bench.next &+= 1
        bench.say(30, milliseconds: 200)
        bench.say(100, milliseconds: 1500)
        let within = bench.next
        bench.next &+= 1
        bench.say(100, milliseconds: 100)
        let beginning = bench.next
        bench.next &+= 1
        bench.say(100, milliseconds: 20)
        bench.say(30, milliseconds: 40)
        bench.packet(30, number: missing)
        bench.packet(30, number: within)
        // Of the 60 ms that were sent after all: not too late.
        bench.packet(30, number: beginning)
        bench.say(30, milliseconds: 100)
        let numbers = bench.seen[0].map(\.sequence)
        #expect(Set(numbers).count == numbers.count)
        #expect(!bench.seen[0].contains { $0.timestamp == UInt32(within &- 65_500) * 960 })
        #expect(bench.seen[0].contains { $0.timestamp == UInt32(beginning &- 65_500) * 960 })
        // Asking again for what was withheld brings nothing either.
        bench.say(100, milliseconds: 3000)
        let last = bench.seen[0].last?.sequence ?? 0
        let before = bench.seen[0].count
        var room = 10_000
        bench.track.retransmit([last &+ 5, last &+ 50], to: bench.sinks[0], room: &room, arena: bench.arena, at: bench.now)
        bench.arena.flush()
        #expect(bench.seen[0].count == before)
    }

    @Test("players on a mirror of the stream get the same as those on the stream itself")
    func mirrors() throws {
        let bench = try Bench()
        bench.track.withholdSilence()
        bench.addMirroredPlayer()
        bench.say(30, milliseconds: 1000)
        bench.say(90, milliseconds: 5000)
        bench.say(30, milliseconds: 1000)
        #expect(bench.seen[0].count == 153)
        #expect(bench.seen[1].map(\.timestamp) == bench.seen[0].map(\.timestamp))
        #expect(bench.isContinuous(1))
    }

    @Test("the level rises within 100 ms, falls within a second, and is silence when packets stop")
    func meter() throws {
        let bench = try Bench()
        bench.say(127, milliseconds: 1000)
        #expect(bench.track.audioLevel(at: bench.now) == 127)
        bench.say(20, milliseconds: 100)
        #expect(try #require(bench.track.audioLevel(at: bench.now)) < 50)
        bench.say(20, milliseconds: 1000)
        // Voice activity, the highest bit, is not part of the level.
        bench.say(20 | 0x80, milliseconds: 200)
        #expect(try #require(bench.track.audioLevel(at: bench.now)) <= 21)
        bench.say(127, milliseconds: 1000)
        #expect(try #require(bench.track.audioLevel(at: bench.now)) > 100)
        bench.say(20, milliseconds: 1000)
        #expect(bench.track.audioLevel(at: bench.now + .milliseconds(600)) == 127)
    }
}
