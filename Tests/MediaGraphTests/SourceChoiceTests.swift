// SPDX-License-Identifier: Apache-2.0
import NetworkEmulator
import Primitives
import RTP
import Testing

@testable import MediaGraph

@Suite("A publisher with several sources in one m-line") struct SourceChoiceTests {
    /// A packet of the chain's codec from a source that its offer didn't name.
    private static func other(_ ssrc: UInt32, _ number: Int, payloadType: UInt8, chain: Chain) {
        var bytes: [UInt8] = [0x80, 0x80 | payloadType]
        bytes += withUnsafeBytes(of: UInt16(truncatingIfNeeded: number).bigEndian, Array.init)
        bytes += withUnsafeBytes(of: UInt32(truncatingIfNeeded: 5_000_000 + number * 3600).bigEndian, Array.init)
        bytes += withUnsafeBytes(of: ssrc.bigEndian, Array.init)
        bytes += [0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00] + [UInt8](repeating: 3, count: 200)
        let arena = chain.network.hosts[2]!.arena, now = chain.network.now
        bytes.withUnsafeMutableBytes { chain.publisher.receiveRTP($0, transport: 0, arena: arena, at: now) }
    }

    private static func payloadType(_ chain: Chain) throws -> UInt8 { try #require(chain.publisher.connection.media.first?.codec?.payloadType) }

    @Test("the first named is taken; what the others bring is left out and counted")
    func oneIsTaken() throws {
        let chain = try Chain(profile: LinkProfile(delay: .milliseconds(5)), seed: 31)
        chain.run(milliseconds: 500)
        let payloadType = try Self.payloadType(chain), track = try #require(chain.server.tracks.first)
        let ssrc = track.ssrc, before = track.packets
        for number in 0..<25 {
            chain.run(milliseconds: 40)
            for layer in [4097, 4098] as [UInt32] { Self.other(layer, number, payloadType: payloadType, chain: chain) }
        }
        #expect(track.ssrc == ssrc && track.restarts == 0 && track.width == 640)
        #expect(track.packets - before <= 104)
        #expect(chain.publisher.statistics().video?.otherSourcePackets == 50)
    }

    @Test("another takes its place once it has been silent for two seconds, or has said goodbye", arguments: [false, true])
    func replaced(saysGoodbye: Bool) throws {
        let chain = try Chain(profile: LinkProfile(delay: .milliseconds(5)), seed: 32)
        chain.run(milliseconds: 500)
        let payloadType = try Self.payloadType(chain), track = try #require(chain.server.tracks.first)
        let first = track.ssrc
        if saysGoodbye {
            chain.publisher.receiveRTCP([.goodbye(Goodbye(ssrcs: [first]))], transport: 0, arena: chain.network.hosts[2]!.arena, at: chain.network.now)
        }
        var taken: Int?
        for number in 0..<75 {
            chain.run(milliseconds: 40, sending: false)
            Self.other(4097, number, payloadType: payloadType, chain: chain)
            if track.ssrc == 4097, taken == nil { taken = number * 40 }
        }
        let after = try #require(taken)
        let expected = saysGoodbye ? 0...0 : 1800...2100
        #expect(expected.contains(after))
        #expect(track.restarts == 1 && track.width == 320)
    }

    @Test("a publisher whose timestamps jump with every packet is ended, with the reason")
    func endless() throws {
        let chain = try Chain(profile: LinkProfile(delay: .milliseconds(5)), seed: 33)
        chain.run(milliseconds: 500)
        let track = try #require(chain.server.tracks.first), arena = chain.network.hosts[2]!.arena
        let newest = UInt16(truncatingIfNeeded: track.ring.newest)
        for number in 1...30 {
            var bytes: [UInt8] = [0x80, 0x80 | (try Self.payloadType(chain))]
            bytes += withUnsafeBytes(of: (newest &+ UInt16(number)).bigEndian, Array.init)
            bytes += withUnsafeBytes(of: (UInt32(number) &* 0x7fff_ffff).bigEndian, Array.init) + withUnsafeBytes(of: track.ssrc.bigEndian, Array.init)
            bytes += [0x10, 0x11, 0, 0] + [UInt8](repeating: 3, count: 100)
            let now = chain.network.now
            bytes.withUnsafeMutableBytes { chain.publisher.receiveRTP($0, transport: 0, arena: arena, at: now) }
        }
        chain.run(milliseconds: 100, sending: false)
        #expect(chain.publisher.isFailed)
        #expect(chain.events.all.contains { $0.contains("timestampJumps") })
    }
}
