// SPDX-License-Identifier: Apache-2.0
import MediaGraph
import Primitives
import RTP
import SDP
import Synchronization
import Testing

@testable import MediaIO

@Suite("Sources whose tracks change, over real sockets") struct ChangingTracksTests {
    private static func engine(_ change: (inout MediaEngineConfiguration) -> Void = { _ in }) throws -> ReactorEngine {
        var configuration = MediaEngineConfiguration()
        configuration.reactors = 2
        configuration.portFrom = 0
        configuration.keyFrameRequestGap = .milliseconds(50)
        change(&configuration)
        return try ReactorEngine(configuration: configuration)
    }

    /// A frame source on an engine.
    private struct Publisher {
        let engine: ReactorEngine
        let stream: StreamHandle
        let frames: FrameSource
        let changes = Counter()
        private var time: Int64 = 0

        init(_ engine: ReactorEngine, _ tracks: [SourceTrack]) async throws {
            self.engine = engine
            stream = try engine.createStream()
            let changes = changes
            let local = try await engine.addSource(to: stream, tracks: tracks.compactMap(\.format)) { event in
                if case .tracksChanged = event { changes.add() }
            }
            frames = try #require(FrameSource(local, tracks: tracks))
        }

        /// A frame that is shown before the one in front of it.
        mutating func writeBackwards() {
            let frame: [UInt8] = [0, 0, 0, 1, 0x41] + [UInt8](repeating: 2, count: 200)
            for step: Int64 in [80, 40] { frames.write(track: 0, frame: frame, time: MediaTime(milliseconds: time / 1_000_000 + step), isKeyFrame: false) }
            time += 80_000_000
        }

        /// One frame of each track: key frames of video.
        mutating func write(_ tracks: [SourceTrack]) {
            time += 20_000_000
            for (index, track) in tracks.enumerated() {
                let frame: [UInt8] = switch track.codec {
                case .vp8: [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01] + [UInt8](repeating: 1, count: 200)
                case .h264: [0, 0, 0, 1, 0x67, 0x42, 0xe0, 0x1f, 1, 0, 0, 0, 1, 0x68, 2, 0, 0, 0, 1, 0x65] + [UInt8](repeating: 2, count: 200)
                default: [UInt8](repeating: 3, count: 160)
                }
                frames.write(track: index, frame: frame, time: MediaTime(nanoseconds: time))
            }
        }
    }

    private final class Counter: Sendable {
        private let count = Atomic<Int>(0)
        func add() { count.add(1, ordering: .relaxed) }
        var value: Int { count.load(ordering: .relaxed) }
    }

    /// Another engine that plays the stream.
    private struct Player {
        let engine: ReactorEngine
        let stream: StreamHandle
        let changes = Counter()
        let served: EndpointID

        init(_ publisher: Publisher) async throws {
            engine = try ChangingTracksTests.engine()
            stream = try engine.createStream()
            let changes = changes
            let pull = try await engine.offerPull(into: stream, audio: true, video: true, options: EndpointOptions()) { event in
                if case .tracksChanged = event { changes.add() }
            }
            let answer = try await publisher.engine.addPlayer(to: publisher.stream, offer: pull.offer, options: EndpointOptions()) { _ in }
            try await engine.setAnswer(pull.id, answer: answer.answer)
            served = answer.id
        }

        /// Encoding names of the tracks, each with whether packets of it have come.
        func tracks() async -> [String: Bool] {
            let handle = stream
            return await engine.reactor(of: stream.rawValue).run { core -> [String: Bool] in
                var found: [String: Bool] = [:]
                for track in core.stream(handle)?.tracks ?? [] { found[track.format.codec.name] = track.packets > 5 }
                return found
            } ?? [:]
        }
    }

    @Test("a player goes on when the video changes its codec, and gets audio that comes late, without another offer")
    func changesAndComes() async throws {
        var publisher = try await Publisher(Self.engine(), [.vp8])
        let player = try await Player(publisher)
        try await eventually("the first codec") {
            publisher.write([.vp8])
            return await player.tracks()["VP8"] == true
        }
        let h264 = SourceTrack.h264(parameterSets: [[0x67, 0x42, 0xe0, 0x1f, 1], [0x68, 2]])
        #expect(publisher.frames.setTracks([h264]))
        try await eventually("the other codec") {
            publisher.write([h264])
            return await player.tracks() == ["H264": true]
        }
        #expect(publisher.frames.setTracks([h264, .opus()]))
        try await eventually("audio beside it") {
            publisher.write([h264, .opus()])
            return await player.tracks() == ["H264": true, "opus": true]
        }
        #expect(await publisher.engine.missingTracks(of: player.served) == [])
        #expect(publisher.changes.value == 2)
        await player.engine.shutdown()
        await publisher.engine.shutdown()
    }

    @Test("players on other reactors follow as well")
    func mirrors() async throws {
        var publisher = try await Publisher(Self.engine { $0.playersPerReactor = 1 }, [.vp8])
        publisher.write([.vp8])
        var players: [Player] = []
        for _ in 0..<4 { players.append(try await Player(publisher)) }
        #expect(Set(players.map { $0.served.rawValue >> 56 }).count == 2, "none of the players is on another reactor")
        let h264 = SourceTrack.h264(parameterSets: [[0x67, 0x42, 0xe0, 0x1f, 1], [0x68, 2]])
        for player in players {
            try await eventually("the first codec") {
                publisher.write([.vp8])
                return await player.tracks()["VP8"] == true
            }
        }
        #expect(publisher.frames.setTracks([h264, .opus()]))
        for player in players {
            try await eventually("the new tracks") {
                publisher.write([h264, .opus()])
                return await player.tracks() == ["H264": true, "opus": true]
            }
        }
        for player in players { await player.engine.shutdown() }
        await publisher.engine.shutdown()
    }

    @Test("what a player can't be given without a new offer, or without a conversion, is known")
    func missing() async throws {
        var publisher = try await Publisher(Self.engine(), [.opus()])
        let player = try await Player(publisher)
        try await eventually("audio") {
            publisher.write([.opus()])
            return await player.tracks()["opus"] == true
        }
        publisher.frames.setTracks([.opus(), .vp8])
        try await eventually("the new track") { publisher.changes.value == 1 }
        // A video section without packets would keep browsers from playing the audio, so there is none.
        #expect(await publisher.engine.missingTracks(of: player.served)?.map(\.codecs) == [[]])
        publisher.frames.setTracks([.aac(config: [0x11, 0x90])])
        try await eventually("the other track") { publisher.changes.value == 2 }
        let missing = try #require(await publisher.engine.missingTracks(of: player.served))
        #expect(missing.map(\.track) == [0])
        #expect(missing.first?.codecs.first == "opus")
        await player.engine.shutdown()
        await publisher.engine.shutdown()
    }

    @Test("who played before B-frames were found goes on with what is made without them, on other reactors as well")
    func reordering() async throws {
        let h264 = SourceTrack.h264(parameterSets: [[0x67, 0x42, 0xe0, 0x1f, 1], [0x68, 2]])
        var publisher = try await Publisher(Self.engine { $0.playersPerReactor = 1 }, [h264])
        publisher.write([h264])
        var players: [Player] = []
        for _ in 0..<4 { players.append(try await Player(publisher)) }
        #expect(Set(players.map { $0.served.rawValue >> 56 }).count == 2, "none of the players is on another reactor")
        for player in players {
            try await eventually("video") {
                publisher.write([h264])
                return await player.tracks() == ["H264": true]
            }
            #expect(await publisher.engine.missingTracks(of: player.served) == [])
        }
        for _ in 0..<3 { publisher.writeBackwards() }
        try await eventually("the owner is told") { publisher.changes.value == 1 }
        for player in players {
            try await eventually("a conversion is wanted") { await publisher.engine.missingTracks(of: player.served)?.map(\.track) == [0] }
        }
        var format = try #require(await publisher.engine.forms(of: publisher.stream).first)
        #expect(format.isReordered)
        (format.isReordered, format.converts) = (false, 0)
        _ = try await publisher.engine.addConversion(
            to: publisher.stream, format: format, pipe: PacketPipe(), backlog: .zero, onKeyFrameRequest: {})
        for player in players {
            try await eventually("it is taken up") { await publisher.engine.missingTracks(of: player.served) == [] }
        }
        #expect(publisher.changes.value == 1)
        for player in players { await player.engine.shutdown() }
        await publisher.engine.shutdown()
    }
}
