// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaGraph
import Primitives
import RTP
import SDP
import Synchronization
import Testing

@testable import MediaIO

@Suite("ReactorEngine on loopback sockets") struct ReactorEngineTests {
    private static func engine() throws -> ReactorEngine {
        var configuration = MediaEngineConfiguration()
        configuration.reactors = 2
        configuration.portFrom = 0
        return try ReactorEngine(configuration: configuration)
    }

    private static var vp8: TrackFormat {
        var codec = Codec(payloadType: 96, name: "VP8", clockRate: 90_000)
        codec.feedback = ["nack", "nack pli"]
        return TrackFormat(kind: .video, codec: codec)
    }

    /// One packet of a VP8 key frame whose content follows from its number.
    private static func packet(_ number: UInt16) -> [UInt8] {
        [0x80, 0x80 | 96, UInt8(number >> 8), UInt8(number & 255)] + withUnsafeBytes(of: (UInt32(number) * 3000).bigEndian, Array.init)
            + [0, 0, 0, 7, 0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01]
            + [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 500)
    }

    private final class Sink: Sendable {
        let packets = Mutex<[UInt16: [UInt8]]>([:])
        func take(_ packet: SinkPacket) {
            guard let view = RTPView(packet.bytes) else { return }
            let payload = Array(view.payload)
            packets.withLock { $0[UInt16(payload.last ?? 0)] = payload }
        }
        var count: Int { packets.withLock { $0.count } }
    }

    @Test("a stream goes from one engine to another and back out to players, over real sockets")
    func pushesAndPlays() async throws {
        let a = try Self.engine(), b = try Self.engine()
        let local = try a.createStream(), remote = try b.createStream()
        let source = try await a.addSource(to: local, tracks: [Self.vp8])
        let started = Atomic<Bool>(false)
        let push = try await a.offerPush(of: local, options: EndpointOptions()) { _ in }
        let published = try await b.addPublisher(to: remote, offer: push.offer, options: EndpointOptions()) { event in
            if case .mediaStarted = event { started.store(true, ordering: .relaxed) }
        }
        try await a.setAnswer(push.id, answer: published.answer)
        var number: UInt16 = 0
        try await eventually("media on b") {
            number += 1
            _ = source.write(track: 0, packet: Self.packet(number))
            return started.load(ordering: .relaxed)
        }

        // A client plays from b.
        let client = try Self.engine()
        let played = try client.createStream()
        let pull = try await client.offerPull(into: played, audio: false, video: true, options: EndpointOptions()) { _ in }
        let answer = try await b.addPlayer(to: remote, offer: pull.offer, options: EndpointOptions()) { _ in }
        try await client.setAnswer(pull.id, answer: answer.answer)
        let sink = Sink()
        _ = try await client.addSink(to: played) { sink.take($0) }
        try await eventually("packets at the player") {
            number += 1
            _ = source.write(track: 0, packet: Self.packet(number))
            return sink.count > 20
        }
        sink.packets.withLock { packets in
            for (key, payload) in packets { #expect(payload.suffix(500).allSatisfy { $0 == UInt8(key) }) }
        }
        let statistics = await b.statistics()
        #expect(statistics.count == 2)
        #expect(statistics[answer.id]?.video?.packets ?? 0 > 20)
        #expect(statistics[published.id]?.video?.width == 640)

        await client.shutdown()
        try await eventually("b has noticed that its player left") { await b.statistics().count == 1 }
        await a.shutdown()
        try await eventually("b has noticed that its publisher left") { await b.statistics().isEmpty }
        await b.shutdown()
    }

    @Test("a sink that comes late begins with the newest group of pictures, and the source isn't asked for another")
    func sinkBeginsWithGroup() async throws {
        let engine = try Self.engine()
        let stream = try engine.createStream()
        let source = try await engine.addSource(to: stream, tracks: [Self.vp8])
        let requests = Atomic<Int>(0)
        source.onKeyFrameRequest { requests.add(1, ordering: .relaxed) }
        func write(_ number: UInt16) {
            var packet = Self.packet(number)
            if number != 2 { packet[13] = 0x11 }
            _ = source.write(track: 0, packet: packet)
        }
        for number in 1...3 as ClosedRange<UInt16> { write(number) }
        try await eventually("the packets are there") { await engine.statistics().values.first?.video?.packets == 3 }
        let sink = Sink()
        _ = try await engine.addSink(to: stream) { sink.take($0) }
        write(4)
        try await eventually("packets at the sink") { sink.packets.withLock { $0.keys.sorted() } == [2, 3, 4] }
        #expect(requests.load(ordering: .relaxed) == 0)
        await engine.shutdown()
    }

    @Test("what is added is removed: sockets, endpoints and streams are back where they were after 200 cycles")
    func leavesNothingBehind() async throws {
        func descriptors() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count }
        let server = try Self.engine(), client = try Self.engine()
        let stream = try server.createStream()
        let source = try await server.addSource(to: stream, tracks: [Self.vp8])
        _ = source.write(track: 0, packet: Self.packet(1))
        let before = try descriptors()
        for _ in 0..<200 {
            let played = try client.createStream()
            let pull = try await client.offerPull(into: played, audio: true, video: true, options: EndpointOptions()) { _ in }
            let player = try await server.addPlayer(to: stream, offer: pull.offer, options: EndpointOptions()) { _ in }
            try await client.setAnswer(pull.id, answer: player.answer)
            await client.destroyStream(played)
            await server.removeEndpoint(player.id)
        }
        // The source is left.
        #expect(await server.statistics().count == 1)
        #expect(await client.statistics().isEmpty)
        #expect(try descriptors() <= before + 2)
        let reactors = await server.reactorStatistics()
        #expect(reactors.reduce(0) { $0 + $1.endpoints } == 0)
        #expect(reactors.reduce(0) { $0 + $1.streams } == 1)
        await client.shutdown()
        await server.shutdown()
    }

    @Test("players beyond what one reactor should carry are served by the others, from the same key frame on and with the same packets")
    func shards() async throws {
        var configuration = MediaEngineConfiguration()
        configuration.reactors = 3
        configuration.portFrom = 0
        configuration.playersPerReactor = 2
        configuration.keyFrameRequestGap = .milliseconds(50)
        let server = try ReactorEngine(configuration: configuration), client = try Self.engine()
        let stream = try server.createStream()
        let source = try await server.addSource(to: stream, tracks: [Self.vp8])
        let keyFrameRequests = Atomic<Int>(0)
        source.onKeyFrameRequest { keyFrameRequests.add(1, ordering: .relaxed) }
        // A key frame for each player that comes, so that none finds one that is too old to begin with however busy the machine is;
        // from then on packets that are none.
        var number: UInt16 = 0
        func writeKeyFrame() -> UInt16 {
            number += 1
            _ = source.write(track: 0, packet: Self.packet(number))
            return number
        }
        func write() {
            number += 1
            var packet = Self.packet(number)
            packet[13] = 0x11
            _ = source.write(track: 0, packet: packet)
        }

        var players: [(sink: Sink, id: EndpointID, stream: StreamHandle)] = []
        for count in 1...9 {
            let keyFrame = writeKeyFrame()
            write()
            let played = try client.createStream()
            let pull = try await client.offerPull(into: played, audio: false, video: true, options: EndpointOptions()) { _ in }
            let answer = try await server.addPlayer(to: stream, offer: pull.offer, options: EndpointOptions()) { _ in }
            try await client.setAnswer(pull.id, answer: answer.answer)
            let sink = Sink()
            _ = try await client.addSink(to: played) { sink.take($0) }
            players.append((sink, answer.id, played))
            try await eventually("packets at player \(count), the key frame among them") {
                write()
                return sink.count > 3 && sink.packets.withLock { $0[keyFrame & 0xff] != nil }
            }
        }
        #expect(keyFrameRequests.load(ordering: .relaxed) == 0, "every player started from the key frame that was there")
        let load = await server.reactorStatistics()
        #expect(load.map(\.endpoints).sorted() == [2, 3, 4] || load.map(\.endpoints).sorted() == [3, 3, 3], "\(load.map(\.endpoints))")
        #expect(load.reduce(0) { $0 + $1.streams } == 3)
        #expect(await server.statistics().count == 10, "nine players and the source")
        for player in players {
            let before = player.sink.count
            try await eventually("packets go on") {
                write()
                return player.sink.count > before + 20
            }
            player.sink.packets.withLock { packets in
                for (key, payload) in packets { #expect(payload.suffix(500).allSatisfy { $0 == UInt8(key) }) }
            }
        }

        // Wishes for a key frame reach the source from wherever they come.
        for player in players {
            let before = keyFrameRequests.load(ordering: .relaxed)
            client.requestKeyFrame(of: player.stream)
            try await eventually("the source is asked") {
                write()
                return keyFrameRequests.load(ordering: .relaxed) > before
            }
            number += 1
            _ = source.write(track: 0, packet: Self.packet(number))
        }
        await server.destroyStream(stream)
        let rest = await server.reactorStatistics()
        #expect(rest.allSatisfy { $0.endpoints == 0 && $0.streams == 0 })
        await client.shutdown()
        await server.shutdown()
    }

    @Test("with no memory left new streams and players are refused in words, what is on air goes on, and there is room again afterwards")
    func memory() async throws {
        var configuration = MediaEngineConfiguration()
        configuration.reactors = 1
        configuration.portFrom = 0
        let budget = MemoryBudget(limit: 32 << 20, share: 32 << 20)
        configuration.memory = budget
        let engine = try ReactorEngine(configuration: configuration)
        let stream = try engine.createStream()
        let source = try await engine.addSource(to: stream, tracks: [Self.vp8])
        let others = budget.account(for: AddressKey("192.0.2.1"))
        #expect(others.set(27 << 20) == nil)
        let error = #expect(throws: EngineError.self) { try engine.createStream() }
        guard case .limit(let words) = error else { return #expect(Bool(false), "\(String(describing: error))") }
        #expect(words.contains("memory_budget"))
        let sink = Sink()
        _ = try await engine.addSink(to: stream) { sink.take($0) }
        _ = source.write(track: 0, packet: Self.packet(1))
        try await eventually("what is on air goes on") { sink.count == 1 }
        others.close()
        let another = try engine.createStream()
        await engine.destroyStream(another)
        await engine.destroyStream(stream)
        try await eventually("the rings' memory is given back") { budget.statistics.used == 0 }
        await engine.shutdown()
    }

    @Test("refuses in words what can't be done")
    func refuses() async throws {
        let engine = try Self.engine()
        let stream = try engine.createStream()
        await #expect(throws: EngineError.self) {
            try await engine.addPlayer(to: stream, offer: "v=0", options: EndpointOptions()) { _ in }
        }
        do throws(EngineError) {
            _ = try await engine.addPublisher(to: stream, offer: "rubbish", options: EndpointOptions()) { _ in }
            Issue.record("rubbish was accepted")
        } catch {
            if case .negotiation = error {} else { Issue.record("\(error)") }
        }
        await engine.destroyStream(stream)
        do throws(EngineError) {
            _ = try await engine.addSource(to: stream, tracks: [Self.vp8])
            Issue.record("the stream was gone")
        } catch {
            if case .noSuchStream = error {} else { Issue.record("\(error)") }
        }
        await engine.shutdown()
        do throws(EngineError) {
            _ = try engine.createStream()
            Issue.record("the engine was gone")
        } catch {
            if case .shutDown = error {} else { Issue.record("\(error)") }
        }
    }
}
