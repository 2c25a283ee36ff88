// SPDX-License-Identifier: Apache-2.0
import NetworkEmulator
import Primitives
import RTP
import Testing

@testable import MediaGraph

@Suite("EmulatedNetwork: players whose way takes nothing for a while") struct StalledPlayerTests {
    /// What one player has got: sequence numbers on its own wire, and the publisher's packet numbers.
    private static func watch(_ player: Chain.Player) -> () -> (sequences: [UInt16], keyFrames: [Bool]) {
        final class Seen { var sequences: [UInt16] = []; var keyFrames: [Bool] = [] }
        let seen = Seen()
        player.stream.tracks[0].addTap(id: 9) { bytes, slot in
            guard let view = RTPView(bytes) else { return }
            seen.sequences.append(view.sequenceNumber)
            seen.keyFrames.append(slot.pointee.startsKeyFrame)
        }
        return { (seen.sequences, seen.keyFrames) }
    }

    @Test("it gets nothing while stalled, goes on with a key frame of the present, and sees no gap in the sequence numbers")
    func goesOn() throws {
        let chain = try Chain(profile: LinkProfile(delay: .milliseconds(5)), seed: 21)
        chain.run(milliseconds: 500)
        let slow = try chain.addPlayer(seed: 90), other = try chain.addPlayer(seed: 91)
        let seen = Self.watch(slow)
        chain.run(milliseconds: 1000)
        let arena = chain.network.hosts[3]!.arena
        let remote = try #require(slow.served.connection.transports[0].remote)
        slow.served.setStalled(true, remote: remote, arena: arena, at: chain.network.now)
        chain.run(milliseconds: 20, sending: false)
        let before = seen().sequences.count, requests = chain.keyFrameRequests
        chain.run(milliseconds: 2000)
        #expect(seen().sequences.count == before)
        #expect(other.packets.count >= Int(chain.packetsSent) - 8, "the other player gets everything meanwhile")

        slow.served.setStalled(false, remote: remote, arena: arena, at: chain.network.now)
        chain.run(milliseconds: 1000)
        let after = seen()
        #expect(after.sequences.count > before + 40)
        #expect(after.keyFrames[before], "it goes on with a key frame")
        #expect(chain.keyFrameRequests == requests + 1)
        #expect(zip(after.sequences, after.sequences.dropFirst()).allSatisfy { $1 == $0 &+ 1 })
        #expect(slow.corrupt == 0 && slow.served.statistics().video?.nacks == 0)
    }

    @Test("being told twice changes nothing, and a way that is not in use says nothing")
    func ignoresTheRest() throws {
        let chain = try Chain(profile: LinkProfile(delay: .milliseconds(5)), seed: 22)
        chain.run(milliseconds: 500)
        let player = try chain.addPlayer(seed: 92)
        let seen = Self.watch(player)
        chain.run(milliseconds: 500)
        let arena = chain.network.hosts[3]!.arena
        let remote = try #require(player.served.connection.transports[0].remote)
        player.served.setStalled(true, remote: remote.via(SocketAddress.tcp | 7), arena: arena, at: chain.network.now)
        player.served.setStalled(false, remote: remote, arena: arena, at: chain.network.now)
        chain.run(milliseconds: 200)
        for _ in 0..<2 { player.served.setStalled(true, remote: remote, arena: arena, at: chain.network.now) }
        chain.run(milliseconds: 200)
        for _ in 0..<2 { player.served.setStalled(false, remote: remote, arena: arena, at: chain.network.now) }
        chain.run(milliseconds: 800)
        let sequences = seen().sequences
        #expect(zip(sequences, sequences.dropFirst()).allSatisfy { $1 == $0 &+ 1 })
        #expect(sequences.count > 60 && player.corrupt == 0)
    }
}
