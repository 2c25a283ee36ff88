// SPDX-License-Identifier: Apache-2.0
import Codecs
import Foundation
import MediaIO
import Primitives
import RTP
import SDP
import Testing

@testable import Snapshots
@testable import Workers

/// From a real engine's ring to a picture.
struct RecentVideoTests {
    private func engine() throws -> ReactorEngine {
        var configuration = MediaEngineConfiguration()
        configuration.reactors = 1
        configuration.portFrom = 0
        return try ReactorEngine(configuration: configuration)
    }

    private func format(_ codec: VideoCodec) -> TrackFormat {
        TrackFormat(kind: .video, codec: Codec(payloadType: 96, name: codec.kind.encodingName, clockRate: 90_000))
    }

    @Test("the newest group of pictures comes out of the ring as it went in", arguments: VideoCodec.allCases)
    func newestGroup(codec: VideoCodec) async throws {
        let engine = try engine()
        let stream = try engine.createStream()
        #expect(await engine.recentVideoSummary(of: stream) == .noTracks)
        let local = try await engine.addSource(to: stream, tracks: [format(codec)])
        #expect(await engine.recentVideo(of: stream) == nil)
        var source = try PatternSource(codec)
        for number in 1...6 {
            for packet in try source.frame(clock: Int64(number), key: number == 4) { #expect(local.write(track: 0, packet: packet)) }
        }
        let recent = try #require(await engine.recentVideo(of: stream))
        let request = SnapshotRequest(
            stream: 1, codec: codec, extradata: [], groupStart: recent.summary.keyFrameStart, formats: [PictureFormat()],
            packets: recent.packets)
        let reply = try SnapshotWorker.take(request, DecoderCache())
        #expect(reply.decodedFrames == 3)
        #expect(reply.timestamp == recent.summary.newestTimestamp)
        #expect(try PictureReader.clock(reply.pictures[0].bytes) == 6)
        await engine.destroyStream(stream)
        #expect(await engine.recentVideoSummary(of: stream) == .noStream)
        await engine.shutdown()
    }

    @Test("a stream with sound only says so")
    func audioOnly() async throws {
        let engine = try engine()
        let stream = try engine.createStream()
        var opus = Codec(payloadType: 111, name: "opus", clockRate: 48_000)
        opus.channels = 2
        _ = try await engine.addSource(to: stream, tracks: [TrackFormat(kind: .audio, codec: opus)])
        #expect(await engine.recentVideoSummary(of: stream) == .noVideo)
        await engine.shutdown()
    }
}
