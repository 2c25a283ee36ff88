// SPDX-License-Identifier: Apache-2.0
import NetworkEmulator
import Primitives
import RTP
import Testing

@testable import MediaGraph

@Suite("EmulatedNetwork: thin lines") struct ThinLineTests {
    /// About 1.5 Mbit/s of 25 frames of 8 packets.
    private static let packetsPerFrame = 8
    private static let rate = 1_540_000

    private func start(seed: UInt64) throws -> (Chain, Chain.Player) {
        let chain = try Chain(profile: LinkProfile(delay: .milliseconds(20)), seed: seed)
        chain.run(milliseconds: 800, packetsPerFrame: Self.packetsPerFrame)
        let player = try chain.addPlayer(seed: seed &+ 70)
        chain.run(milliseconds: 5000, packetsPerFrame: Self.packetsPerFrame)
        return (chain, player)
    }

    private func told(_ chain: Chain) -> [String] { chain.events.all.filter { $0.contains("noughBandwidth") } }

    @Test("a line of half the stream is told within three seconds, and no more within ten after it has got wide again",
          arguments: [(1, 40_000), (2, 256_000), (3, 256_000), (4, 100_000)] as [(UInt64, Int)])
    func tells(seed: UInt64, queue: Int) throws {
        let (chain, player) = try start(seed: seed)
        #expect(told(chain).isEmpty, "\(told(chain))")
        chain.network.profilesTo[player.address] = LinkProfile(delay: .milliseconds(20), rate: Self.rate / 2, queueLimit: queue)
        chain.run(milliseconds: 3000, packetsPerFrame: Self.packetsPerFrame)
        #expect(told(chain).contains { $0.contains("notEnough") }, "estimate \(player.served.statistics().bandwidth ?? 0)")
        chain.run(milliseconds: 17_000, packetsPerFrame: Self.packetsPerFrame)
        #expect(player.served.statistics().lacksBandwidth)
        #expect(!told(chain).contains { $0.contains("served: enough") }, "no flapping while it lasts")
        chain.network.profilesTo[player.address] = nil
        chain.run(milliseconds: 10_000, packetsPerFrame: Self.packetsPerFrame)
        #expect(!player.served.statistics().lacksBandwidth, "estimate \(player.served.statistics().bandwidth ?? 0)")
        #expect(player.corrupt == 0)
    }

    @Test("a thin line gets whole frames in time instead of everything late, and others get everything", arguments: 5...7 as ClosedRange<UInt64>)
    func thinsOut(seed: UInt64) throws {
        let (chain, player) = try start(seed: seed)
        let other = try chain.addPlayer(seed: seed &+ 90)
        chain.run(milliseconds: 1000, packetsPerFrame: Self.packetsPerFrame)
        chain.network.profilesTo[player.address] = LinkProfile(delay: .milliseconds(20), rate: Self.rate / 2)
        chain.run(milliseconds: 3000, packetsPerFrame: Self.packetsPerFrame)
        let from = chain.packetsSent
        let keyFrames = chain.keyFrameRequests
        chain.run(milliseconds: 20_000, packetsPerFrame: Self.packetsPerFrame)
        let to = chain.packetsSent
        chain.run(milliseconds: 1500, sending: false)
        let got = (from..<to).filter { player.packets[$0] != nil }
        let share = Double(got.count) / Double(to - from)
        #expect(share > 0.2 && share < 0.65, "\(share) of the packets through half a line")
        // Sent 40 ms apart per frame: how late each came.
        let late = got.map { (player.packets[$0] ?? .zero).span(since: other.packets[$0] ?? .zero) }.sorted()
        #expect(late[late.count * 95 / 100] < .milliseconds(1500), "\(late[late.count * 95 / 100].milliseconds) ms")
        #expect((from..<to).allSatisfy { other.packets[$0] != nil })
        let video = try #require(player.served.statistics().video)
        #expect(video.droppedFrames > 0)
        #expect(chain.keyFrameRequests - keyFrames <= 20_000 / 2000 + 3, "\(chain.keyFrameRequests - keyFrames) key frames for one thin line")
        // To the player nothing is missing: it doesn't ask for what was left out on purpose.
        #expect(video.missedRetransmissions < 200, "\(video.missedRetransmissions)")
        #expect(player.corrupt == 0)
    }

    @Test("random loss that is repaired is no reason to drop or to warn")
    func bearsLoss() throws {
        let (chain, player) = try start(seed: 11)
        chain.network.profilesTo[player.address] = LinkProfile(loss: 0.05, delay: .milliseconds(25), jitter: .milliseconds(5))
        chain.run(milliseconds: 20_000, packetsPerFrame: Self.packetsPerFrame)
        #expect(told(chain).isEmpty)
        #expect(player.served.statistics().video?.droppedFrames == 0)
    }

    @Test("a cached group of pictures of a thousand packets is paced out to a joiner, in order and complete")
    func pacesJoin() throws {
        let chain = try Chain(profile: LinkProfile(delay: .milliseconds(20)), seed: 20)
        chain.run(milliseconds: 5000, packetsPerFrame: Self.packetsPerFrame)
        let player = try chain.addPlayer(seed: 21)
        var arrivals: [Instant] = []
        var sequences: [Int64] = []
        player.stream.tracks[0].addTap(id: 2) { [unowned chain] _, slot in
            arrivals.append(chain.network.now)
            sequences.append(slot.pointee.sequence)
        }
        chain.run(milliseconds: 2500, packetsPerFrame: Self.packetsPerFrame)
        let first = try #require(arrivals.first)
        let inFirst = arrivals.count { $0.span(since: first) < .milliseconds(5) }
        #expect(inFirst * 950 <= PlayerPath.firstBurst + 30_000, "\(inFirst) packets at once")
        #expect(arrivals.count { $0.span(since: first) < .milliseconds(1500) } > 1000, "caught up within a second and a half")
        #expect(zip(sequences, sequences.dropFirst()).allSatisfy { $1 == $0 + 1 })
    }

    @Test("a storm of NACKs gets no more than its share of the line; what is refused is counted")
    func boundsRetransmissions() throws {
        let (chain, player) = try start(seed: 30)
        let sink = try #require(player.served.lines[0].sink)
        let arena = chain.network.hosts.values.first { $0.endpoint === player.served }!.arena
        let before = sink.pointee.retransmitted
        let newest = UInt16(truncatingIfNeeded: chain.server.tracks[0].ring.newest - sink.pointee.sequenceBase)
        var asked: UInt64 = 0
        for _ in 0..<100 {
            let sequences = (0..<200).map { newest &- UInt16($0) }
            asked += 200
            player.served.receiveRTCP(
                [.nack(NACK(senderSSRC: 1, mediaSSRC: sink.pointee.ssrc, sequenceNumbers: sequences))], transport: 0, arena: arena,
                at: chain.network.now)
            chain.run(milliseconds: 10, packetsPerFrame: Self.packetsPerFrame)
        }
        let repeated = sink.pointee.retransmitted - before
        let estimate = Double(try #require(player.served.statistics().bandwidth))
        #expect(Double(repeated) * 950 * 8 < estimate * PlayerPath.retransmissionShare * 1.3 + 40_000 * 8, "\(repeated) packets in a second")
        #expect(sink.pointee.refusedRetransmissions + repeated >= asked * 9 / 10)
    }
}

@Suite struct BandwidthAlarmTests {
    @Test("it is raised after a second, repeated every five, cleared after two, and doesn't flap in between")
    func hysteresis() {
        var alarm = BandwidthAlarm()
        var changes: [(Int64, BandwidthAlarm.Change)] = []
        func run(_ isThin: Bool, from: Int64, to: Int64) {
            for ms in stride(from: from, to: to, by: 100) {
                if let change = alarm.update(isThin: isThin, at: Instant(milliseconds: ms)) { changes.append((ms, change)) }
            }
        }
        run(false, from: 0, to: 5000)
        run(true, from: 5000, to: 5900)
        run(false, from: 5900, to: 6000)
        #expect(changes.isEmpty)
        run(true, from: 6000, to: 14_000)
        run(false, from: 14_000, to: 15_500)
        run(true, from: 15_500, to: 15_600)
        run(false, from: 15_600, to: 20_000)
        #expect(changes.map(\.0) == [7000, 12_000, 17_600])
        #expect(changes.map(\.1) == [.raised, .lasting, .cleared])
    }
}
