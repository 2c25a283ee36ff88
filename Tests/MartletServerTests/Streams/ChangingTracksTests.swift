// SPDX-License-Identifier: Apache-2.0
import Bridges
import Logging
import MediaIO
import Primitives
import SDP
import Testing
import Workers

@testable import MartletServer

/// Nothing can be taken out of a stream.
struct NoTaps: StreamTapping, StreamConverting {
    func tap(_ stream: StreamHandle, into pipe: PacketPipe, backlog: TimeSpan, choice: TapChoice) async throws(EngineError) -> StreamTap {
        throw .notReady
    }
    func requestKeyFrame(of stream: StreamHandle, choice: TapChoice) {}
    func requestKeyFrame(of stream: StreamHandle) {}
    func removeEndpoint(_ endpoint: EndpointID) async {}
    func addConversion(
        to stream: StreamHandle, format: TrackFormat, pipe: PacketPipe, backlog: TimeSpan, onKeyFrameRequest: @escaping @Sendable () -> Void
    ) async throws(EngineError) -> Conversion { throw .notReady }
    func removeConversion(_ id: EndpointID) async -> Bool { true }

    /// With them: what can be converted in principle is refused.
    static func doors(_ configuration: BridgeService.Configuration = .init()) -> StreamDoors {
        StreamDoors(
            taps: NoTaps(), bridges: BridgeService(
                engine: NoTaps(), pool: WorkerPool(configuration: .init(command: ["/nonexistent"]), logger: silentLogger()),
                configuration: configuration, logger: silentLogger()))
    }
}

@Suite("What follows for a stream's players when its tracks change") struct ChangingTracksTests {
    private static func format(_ name: String, _ kind: SDPMediaKind, isReordered: Bool = false) -> TrackFormat {
        var format = TrackFormat(kind: kind, codec: Codec(payloadType: 96, name: name, clockRate: kind == .video ? 90_000 : 48_000))
        format.isReordered = isReordered
        return format
    }

    /// `nil` when it is no more.
    private static func record(_ bench: SessionBench, _ id: String) async -> StreamRecord? { await bench.registry.records(of: [id]).first }

    /// A client that plays `s`, which another one publishes, as `v`.
    private static func player(_ bench: SessionBench, isolation: isolated (any Actor)? = #isolation) async -> BenchClient {
        _ = await bench.publisher("p", "s")
        let player = await bench.connected()
        player.play("v", "s")
        _ = await player.nextAnswer()
        #expect(await player.nextStatus()?.status == "PLAYING")
        return player
    }

    @Test("the records of the stream and of its players follow; a player that is given all of it isn't bothered")
    func follows() async {
        let bench = SessionBench()
        let player = await Self.player(bench)
        bench.engine.setTracks([Self.format("VP8", .video)], of: "p")
        bench.engine.emit(.tracksChanged(MediaInfo(audioCodec: nil, videoCodec: "VP8", width: 160, height: 120)), "p")
        for id in ["p", "v"] {
            #expect(await eventually { await Self.record(bench, id)?.width == 160 })
            let record = await Self.record(bench, id)
            #expect(record?.audioCodec == nil && record?.videoCodec == "VP8")
        }
        // What a player has asked for stays.
        let publisher = await Self.record(bench, "p"), asked = await Self.record(bench, "v")
        #expect(publisher?.hasAudio == false && publisher?.hasVideo == true && asked?.hasAudio == true)
        #expect(await player.isQuiet())
        await bench.close()
    }

    @Test("a player that can't be given a new track is told to come again, and the stream goes on")
    func letsGo() async {
        let bench = SessionBench()
        let player = await Self.player(bench)
        bench.engine.setMissing([MissingTrack(track: 1, format: Self.format("opus", .audio), codecs: [])], of: "v")
        bench.engine.emit(.tracksChanged(FakeMediaEngine.media), "p")
        let status = await player.nextStatus()
        #expect(status?.status == "STOPPED" || status?.status == "FAILED")
        #expect(await Self.record(bench, "v") == nil)
        #expect(await Self.record(bench, "p")?.status == .publishing)
        await bench.close()
    }

    @Test("B-frames that are found late show in the record, and end the stream where they aren't taken", arguments: [false, true])
    func reordered(areRefused: Bool) async {
        var doors = NoTaps.doors()
        doors.refusesReordered = areRefused
        let bench = SessionBench(doors: doors)
        let publisher = await bench.publisher("p", "s")
        bench.engine.setTracks([Self.format("H264", .video, isReordered: true)], of: "p")
        bench.engine.emit(.tracksChanged(FakeMediaEngine.media), "p")
        if areRefused {
            #expect(await publisher.nextStatus()?.status == "FAILED")
            #expect(await Self.record(bench, "p") == nil)
        } else {
            #expect(await eventually { await Self.record(bench, "p")?.hasBFrames == true })
        }
        await bench.close()
    }

    @Test("changes that come one upon the other are all followed")
    func many() async {
        let bench = SessionBench()
        let player = await Self.player(bench)
        for number in 0..<20 { bench.engine.emit(.tracksChanged(MediaInfo(audioCodec: nil, videoCodec: "VP8", width: number, height: 0)), "p") }
        #expect(await eventually { await Self.record(bench, "v")?.width == 19 })
        #expect(await player.isQuiet())
        await bench.close()
    }
}
