// SPDX-License-Identifier: Apache-2.0
import Codecs
import Foundation
import MediaIO
import Primitives
import RTP
import Synchronization
import Testing

@testable import Snapshots
@testable import Workers

/// A ring that holds what a test puts into it.
private final class FakeVideo: RecentVideoSource {
    struct State {
        var answer = RecentVideoState.noTracks
        var packets: [[UInt8]] = []
        var keyFrameRequests = 0
        var onKeyFrameRequest: (@Sendable (FakeVideo) -> Void)?
    }
    let state = Mutex(State())

    /// Puts a group into the ring whose newest packet arrived `age` ago.
    func show(_ packets: [[UInt8]], codec: CodecKind, start: Int64 = 1000, age: TimeSpan = .zero, width: Int = 320, height: Int = 240, keyFrameAge: TimeSpan = .zero) {
        var summary = RecentVideoSummary(codec: codec, codecName: codec.encodingName, parameterSets: nil, clockRate: 90_000, now: Instant(milliseconds: 1_000_000))
        summary.keyFrameStart = start
        summary.newest = start + Int64(packets.count) - 1
        summary.newestArrival = summary.now - age
        summary.keyFrameArrival = summary.newestArrival - keyFrameAge
        summary.width = width
        summary.height = height
        if let last = packets.last { summary.newestTimestamp = last[4..<8].reduce(0) { $0 << 8 | UInt32($1) } }
        let made = summary
        state.withLock { state in
            state.answer = .video(made)
            state.packets = packets
        }
    }

    func recentVideoSummary(of stream: StreamHandle) async -> RecentVideoState { state.withLock { $0.answer } }
    func recentVideo(of stream: StreamHandle) async -> RecentVideo? {
        state.withLock { state in
            guard case .video(let summary) = state.answer else { return nil }
            return RecentVideo(summary: summary, packets: records(state.packets), packetCount: state.packets.count)
        }
    }
    func requestKeyFrame(of stream: StreamHandle) {
        let handler = state.withLock { state in
            state.keyFrameRequests += 1
            return state.onKeyFrameRequest
        }
        handler?(self)
    }
}

@Suite(.enabled(if: workerCommand() != nil)) struct SnapshotServiceTests {
    private let video = FakeVideo()
    private let stream = StreamHandle(rawValue: 5)

    private func service(limit: Duration = .seconds(20), command: [String]? = nil) throws -> (SnapshotService, WorkerPool) {
        let pool = WorkerPool(configuration: .init(command: try #require(command ?? workerCommand())), logger: silent)
        var configuration = SnapshotService.Configuration()
        configuration.timeLimit = limit
        // A machine that takes a second to decode five frames is slow, not wrong.
        configuration.maximumAge = limit
        return (SnapshotService(video: video, pool: pool, configuration: configuration, logger: silent), pool)
    }

    private func packets(_ codec: VideoCodec = .h264, frames: Int = 5) throws -> [[UInt8]] {
        var source = try PatternSource(codec)
        return try (1...frames).flatMap { try source.frame(clock: Int64($0)) }
    }

    @Test("twenty who ask at once get one decode's picture")
    func coalescing() async throws {
        video.show(try packets(), codec: .h264)
        let (service, _) = try service()
        let stream = stream
        let pictures = try await withThrowingTaskGroup(of: Snapshot.self) { group in
            for _ in 0..<20 { group.addTask { try await service.take(stream) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(pictures.count == 20)
        #expect(Set(pictures.map(\.picture.bytes)).count == 1)
        #expect(await service.counters.decodes == 1)
        #expect(try PictureReader.clock(pictures[0].picture.bytes) == 5)
        await service.shutdown()
    }

    @Test("a stream that is not there, or has no video, is told at once")
    func absent() async throws {
        let (service, _) = try service()
        video.state.withLock { $0.answer = .noStream }
        await #expect(throws: SnapshotError.noSuchStream) { try await service.take(stream) }
        video.state.withLock { $0.answer = .noVideo }
        await #expect(throws: SnapshotError.noVideo) { try await service.take(stream) }
        video.show(try packets(), codec: .h265)
        await #expect(throws: SnapshotError.unsupportedCodec("H265")) { try await service.take(stream) }
        await service.shutdown()
    }

    @Test("a publisher that froze is asked for a key frame, and the answer comes in time with the reason")
    func frozen() async throws {
        let (service, _) = try service(limit: .milliseconds(200))
        video.show(try packets(), codec: .h264, age: .seconds(12))
        let error = await #expect(throws: SnapshotError.self) { try await service.take(stream) }
        #expect("\(error as Any)".contains("no picture for 12"))
        #expect(video.state.withLock { $0.keyFrameRequests } > 0)
        await service.shutdown()
    }

    @Test("without a key frame one is asked for, and the picture comes with it")
    func keyFrame() async throws {
        let (service, _) = try service()
        let whole = try packets()
        video.show([], codec: .h264, start: 0)
        video.state.withLock { $0.onKeyFrameRequest = { $0.show(whole, codec: .h264) } }
        #expect(try PictureReader.clock(try await service.take(stream).picture.bytes) == 5)
        await service.shutdown()
    }

    @Test("a key frame that has only half arrived is waited for, and no other one asked for")
    func halfArrived() async throws {
        let (service, pool) = try service()
        let whole = try packets(frames: 1)
        try #require(whole.count > 2)
        video.show(Array(whole.prefix(whole.count / 2)), codec: .h264)
        let picture = Task { [stream] in try await service.take(stream) }
        while await pool.counters.jobs < 2 { await Task.yield() }
        video.show(whole, codec: .h264)
        #expect(try PictureReader.clock(try await picture.value.picture.bytes) == 1)
        #expect(video.state.withLock { $0.keyFrameRequests } == 0)
        await service.shutdown()
    }

    @Test("a key frame that lost a part for good is replaced")
    func halfLost() async throws {
        let (service, _) = try service()
        let whole = try packets(frames: 1)
        video.show(Array(whole.prefix(whole.count / 2)), codec: .h264, keyFrameAge: .seconds(1))
        video.state.withLock { $0.onKeyFrameRequest = { $0.show(whole, codec: .h264, start: 9000) } }
        #expect(try PictureReader.clock(try await service.take(stream).picture.bytes) == 1)
        await service.shutdown()
    }

    @Test("a long group is not decoded when a key frame can be had")
    func longGroup() async throws {
        let (service, _) = try service()
        let fresh = try packets(frames: 1)
        video.show(try packets(), codec: .h264, width: 1920, height: 1080, keyFrameAge: .seconds(30))
        video.state.withLock { $0.onKeyFrameRequest = { $0.show(fresh, codec: .h264, start: 5000) } }
        #expect(try PictureReader.clock(try await service.take(stream).picture.bytes) == 1)
        #expect(await service.counters.decodedFrames == 1)
        await service.shutdown()
    }

    @Test("video that can't be decoded is told with the reason; a key frame that can is taken")
    func garbage() async throws {
        let (hasty, _) = try service(limit: .milliseconds(400)), (service, pool) = try service()
        let whole = try packets()
        let garbage = whole.map { Array($0.prefix(12)) + [0x65] + $0.dropFirst(13).map { _ in 0xaa } }
        video.show(garbage, codec: .h264)
        await #expect(throws: SnapshotError.self) { try await hasty.take(stream) }
        await hasty.shutdown()
        video.state.withLock { $0.onKeyFrameRequest = { $0.show(whole, codec: .h264, start: 9000) } }
        #expect(try PictureReader.clock(try await service.take(stream).picture.bytes) == 5)
        #expect(await pool.counters.crashes == 0)
        await service.shutdown()
    }

    @Test("a worker killed in the middle costs that request; the next one works")
    func killed() async throws {
        video.show(try packets(), codec: .h264)
        let (service, pool) = try service()
        _ = try await service.take(stream)
        let pid = try #require(await pool.processIDs.first)
        // Stopped, so that the next request is surely in its hands when it is killed.
        kill(pid, SIGSTOP)
        let result = Task { [stream] in try await service.take(stream) }
        while await pool.counters.jobs < 2 { await Task.yield() }
        kill(pid, SIGKILL)
        await #expect(throws: SnapshotError.self) { try await result.value }
        #expect(try PictureReader.clock(try await service.take(stream).picture.bytes) == 5)
        #expect(await pool.counters.started == 2)
        await service.shutdown()
    }

    @Test("a worker that hangs is killed within the time limit")
    func hangs() async throws {
        video.show(try packets(), codec: .h264)
        let (service, pool) = try service(limit: .milliseconds(500), command: ["/bin/sh", "-c", "exec sleep 1000"])
        let error = await #expect(throws: SnapshotError.self) { try await service.take(stream) }
        guard case .timedOut? = error else {
            Issue.record("\(error as Any)")
            return
        }
        #expect(await pool.counters.processes <= 1)
        await service.shutdown()
    }

    @Test("different wishes at once are served by one decode")
    func formats() async throws {
        video.show(try packets(.vp8), codec: .vp8)
        let (service, _) = try service()
        _ = try await service.take(stream)
        let large = Task { [stream] in try await service.take(stream) }
        let small = Task { [stream] in try await service.take(stream, as: PictureFormat(.jpeg, maximumWidth: 100)) }
        #expect(try await large.value.picture.width == 320)
        #expect(try await small.value.picture.width == 100)
        #expect(await service.counters.decodedFrames == 5)
        await service.shutdown()
    }

    @Test("the parameter sets of a description become Annex B")
    func parameterSets() {
        #expect(SnapshotService.annexB("Z0I=,aM4=") == [0, 0, 0, 1, 0x67, 0x42, 0, 0, 0, 1, 0x68, 0xce])
        #expect(SnapshotService.annexB(nil).isEmpty)
        #expect(SnapshotService.annexB("%%%").isEmpty)
    }
}
