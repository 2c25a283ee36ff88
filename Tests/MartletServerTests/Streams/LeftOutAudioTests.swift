// SPDX-License-Identifier: Apache-2.0
import Bridges
import MediaIO
import Primitives
import SDP
import Signalling
import Testing

@testable import MartletServer

@Suite("Players of streams whose audio can't be converted") struct LeftOutAudioTests {
    /// Without a configuration, so that there is nothing it can be made into.
    private static let aac = TrackFormat(kind: .audio, codec: Codec(payloadType: 97, name: "mpeg4-generic", clockRate: 48_000, channels: 2))
    private static let vp8 = TrackFormat(kind: .video, codec: Codec(payloadType: 96, name: "VP8", clockRate: 90_000))

    private static func offer(_ kinds: [SDPMediaKind]) throws -> String {
        var random = RandomSource.seeded(7)
        return try Negotiation.offerReceiving(kinds: kinds, transports: { _ in FakeMediaEngine.transport }, ssrcs: &random).description.serialized()
    }

    @Test("a player gets the video without it; one that wants nothing else is refused")
    func video() async throws {
        let bench = SessionBench(doors: NoTaps.doors())
        _ = await bench.publisher("p", "s")
        bench.engine.setTracks([Self.aac, Self.vp8], of: "p")
        let player = await bench.connected()
        player.play("v", "s", sdp: try Self.offer([.audio, .video]))
        guard case .setRemoteSDP(_, let answer)? = await player.next() else {
            Issue.record("refused")
            return await bench.close()
        }
        #expect(try SessionDescription(parsing: answer).media.map(\.direction) == [.inactive, .sendonly])
        #expect(await player.nextStatus()?.status == "PLAYING")
        player.play("w", "s", sdp: try Self.offer([.audio]))
        let refused = await player.nextStatus()
        #expect(refused?.status == "FAILED" && refused?.info == "No common codecs")
        await bench.close()
    }

    @Test("what is refused by a setting stays refused")
    func disabled() async throws {
        var configuration = BridgeService.Configuration()
        configuration.isEnabled = false
        let bench = SessionBench(doors: NoTaps.doors(configuration))
        _ = await bench.publisher("p", "s")
        bench.engine.setTracks([Self.aac, Self.vp8], of: "p")
        let player = await bench.connected()
        player.play("v", "s", sdp: try Self.offer([.audio, .video]))
        let refused = await player.nextStatus()
        #expect(refused?.status == "FAILED" && refused?.info == "Transcoding required, but disabled")
        await bench.close()
    }
}
