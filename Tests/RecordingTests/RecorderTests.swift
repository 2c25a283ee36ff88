// SPDX-License-Identifier: Apache-2.0
import Foundation
import Logging
import MediaIO
import Primitives
import SDP
import Synchronization
import Testing

@testable import Recording
@testable import Workers

/// A stream whose tracks a test says: by number and format.
private final class ChangingTaps: StreamTapping {
    private struct State {
        var tracks: [(number: Int, format: TrackFormat)]
        var pipes: [EndpointID: PacketPipe] = [:]
        var last: UInt64 = 0
    }
    private let state: Mutex<State>

    init(_ tracks: [(number: Int, format: TrackFormat)]) { state = Mutex(State(tracks: tracks)) }

    func change(_ tracks: [(number: Int, format: TrackFormat)]) { state.withLock { $0.tracks = tracks } }
    /// Numbers of the taps that are there.
    var open: [UInt64] { state.withLock { $0.pipes.keys.map(\.rawValue).sorted() } }

    func tap(_ stream: StreamHandle, into pipe: PacketPipe, backlog: TimeSpan, choice: TapChoice) async throws(EngineError) -> StreamTap {
        let tap = state.withLock { state -> StreamTap? in
            guard !state.tracks.isEmpty else { return nil }
            state.last += 1
            let id = EndpointID(rawValue: state.last)
            state.pipes[id] = pipe
            return StreamTap(id: id, tracks: state.tracks.map(\.format), numbers: state.tracks.map(\.number))
        }
        guard let tap else { throw .notReady }
        return tap
    }
    func requestKeyFrame(of stream: StreamHandle, choice: TapChoice) {}
    func requestKeyFrame(of stream: StreamHandle) {}
    func removeEndpoint(_ endpoint: EndpointID) async { state.withLock { $0.pipes[endpoint] = nil } }
}

@Suite("A recording whose stream changes its tracks") struct RecorderTests {
    private static func format(_ name: String) -> TrackFormat {
        let isVideo = name != "opus"
        return TrackFormat(
            kind: isVideo ? .video : .audio,
            codec: Codec(payloadType: 96, name: name, clockRate: isVideo ? 90_000 : 48_000, channels: isVideo ? 1 : 2))
    }

    /// A recorder whose workers take everything and make nothing of it.
    private struct Bench {
        let scratch: Scratch
        let taps: ChangingTaps
        let pool: WorkerPool
        let recorder: Recorder
        let stops = Stops()

        final class Stops: Sendable {
            private let all = Mutex<[RecordingStop]>([])
            func add(_ stop: RecordingStop) { all.withLock { $0.append(stop) } }
            var count: Int { all.withLock { $0.count } }
        }

        init(_ tracks: [(number: Int, format: TrackFormat)], begins: Bool = true) async throws {
            scratch = try Scratch()
            taps = ChangingTaps(tracks)
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            var workers = WorkerPool.Configuration(command: ["/bin/sh", "-c", "exec cat <&3 >/dev/null"])
            // They don't end when they are asked to.
            workers.stallTimeout = .milliseconds(100)
            pool = WorkerPool(configuration: workers, logger: logger)
            var configuration = RecordingService.Configuration(folder: scratch.path)
            let stops = stops
            configuration.onStopped = { _, stop in stops.add(stop) }
            let facts = RecordFacts(streamName: "s", mediaSessionID: "m", sessionID: "c", login: "")
            recorder = Recorder(
                RecordingRequest(stream: StreamHandle(rawValue: 1), facts: facts, template: .standard), configuration: configuration,
                taps: taps, pool: pool, logger: logger, onFinished: { _ in })
            if begins { try await recorder.begin() }
        }

        /// The recording is ended; nothing is left.
        func end() async {
            _ = await recorder.end()
            #expect(taps.open.isEmpty)
            await pool.shutdown()
        }
    }

    @Test("tracks that are the same go on in the same file, whatever has become known of them meanwhile")
    func same() async throws {
        let bench = try await Bench([(1, Self.format("H264"))])
        var known = Self.format("H264")
        known.isReordered = true
        known.sent["profile-level-id"] = "4d001f"
        bench.taps.change([(1, known)])
        await bench.recorder.tracksChanged()
        #expect(bench.taps.open == [1])
        await bench.end()
    }

    @Test("a change of tracks, and the end, wait for the beginning")
    func whileItBegins() async throws {
        for _ in 0..<5 {
            let bench = try await Bench([(1, Self.format("H264"))], begins: false), recorder = bench.recorder
            let beginning = Task { try await recorder.begin() }
            while bench.taps.open.isEmpty { await Task.yield() }
            bench.taps.change([(1, Self.format("H264")), (2, Self.format("opus"))])
            let changing = Task { await recorder.tracksChanged() }
            await bench.end()
            try await beginning.value
            await changing.value
            #expect(bench.taps.open.isEmpty)
        }
    }

    @Test("another track begins the next file with a tap of its own, the same format again included", arguments: ["VP8", "H264"])
    func other(codec: String) async throws {
        let bench = try await Bench([(1, Self.format("opus")), (2, Self.format("H264"))])
        bench.taps.change([(1, Self.format("opus")), (3, Self.format(codec))])
        await bench.recorder.tracksChanged()
        #expect(bench.taps.open == [2])
        // Two changes at a time are one after the other.
        bench.taps.change([(1, Self.format("opus"))])
        let recorder = bench.recorder
        async let first: Void = recorder.tracksChanged()
        async let second: Void = recorder.tracksChanged()
        _ = await (first, second)
        #expect(bench.taps.open.count == 1)
        #expect(await !bench.recorder.isOver)
        await bench.end()
    }

    @Test("a stream without tracks keeps its recording; one that can't be recorded any more ends it, which is told")
    func unusable() async throws {
        let bench = try await Bench([(1, Self.format("H264"))])
        bench.taps.change([])
        await bench.recorder.tracksChanged()
        #expect(bench.taps.open == [1])
        bench.taps.change([(2, Self.format("H265"))])
        await bench.recorder.tracksChanged()
        #expect(await bench.recorder.isOver)
        #expect(bench.stops.count == 1)
        await bench.end()
    }
}
