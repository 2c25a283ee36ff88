// SPDX-License-Identifier: Apache-2.0
import DTLS
import MediaIO
import Testing

@testable import Benchmarks

@Suite("Load generator", .timeLimit(.minutes(2)))
struct LoadTests {
    @Test("players see every packet of a publisher through an engine, whole and in order", arguments: [StreamShape.full, .full.paced])
    func throughAnEngine(shape: StreamShape) async throws {
        var configuration = MediaEngineConfiguration()
        configuration.reactors = 1
        configuration.portFrom = 0
        configuration.announcedAddresses = ["127.0.0.1"]
        let engine = try ReactorEngine(configuration: configuration)
        let stream = try engine.createStream()
        let reactor = try LoadReactor(name: "load", gro: true)
        let certificate = try DTLSCertificate.selfSigned(commonName: "test")

        let (events, tell) = AsyncStream.makeStream(of: EndpointEvent.self)
        let publisher = LoadClientID(rawValue: 1)
        let offer = try await reactor.run { core in
            let client = try LoadPublisher(id: publisher, stream: 5, shape: shape, certificate: certificate, core: core)
            core.add(client)
            return client.connection.localDescription
        }
        let published = try await engine.addPublisher(to: stream, offer: offer, options: EndpointOptions()) { tell.yield($0) }
        try await reactor.run { core in try core.client(publisher)?.setAnswer(published.answer, core) }
        for await event in events { if case .mediaStarted = event { break } }

        let player = LoadClientID(rawValue: 2)
        let request = try await reactor.run { core in
            let client = try LoadPlayer(id: player, stream: 5, certificate: certificate, core: core)
            core.add(client)
            return client.connection.localDescription
        }
        let played = try await engine.addPlayer(to: stream, offer: request, options: EndpointOptions()) { _ in }
        try await reactor.run { core in try core.client(player)?.setAnswer(played.answer, core) }
        var counters = PlayerCounters()
        while counters.frames < 60 {
            counters = try await reactor.run { core in
                core.window = LoadWindow(from: 0, to: .max)
                return (core.client(player) as? LoadPlayer)?.counters ?? PlayerCounters()
            }
            await Task.yield()
        }
        let latencies = try await reactor.run { $0.measured.latency.count }
        await engine.shutdown()
        await reactor.stop()

        #expect(counters.packets > 500)
        #expect(counters.expected == counters.packets)
        #expect(counters.corrupt == 0)
        #expect(counters.skipped == 0)
        #expect(counters.duplicates == 0)
        #expect(counters.firstFrameAt >= counters.keyFrameAt)
        #expect(latencies > 100)
    }
}
