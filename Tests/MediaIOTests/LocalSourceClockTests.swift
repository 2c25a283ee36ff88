// SPDX-License-Identifier: Apache-2.0
import MediaGraph
import Primitives
import RTP
import SDP
import Synchronization
import Testing

@testable import MediaIO

@Suite("Local sources whose clocks jump") struct LocalSourceClockTests {
    private static func engine() throws -> ReactorEngine {
        var configuration = MediaEngineConfiguration()
        configuration.reactors = 1
        configuration.portFrom = 0
        return try ReactorEngine(configuration: configuration)
    }

    private static let vp8 = TrackFormat(kind: .video, codec: Codec(payloadType: 96, name: "VP8", clockRate: 90_000))

    private static func packet(_ number: UInt16, timestamp: UInt32) -> [UInt8] {
        [0x80, 0x80 | 96, UInt8(number >> 8), UInt8(number & 255)] + withUnsafeBytes(of: timestamp.bigEndian, Array.init)
            + [0, 0, 0, 7, 0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01] + [UInt8](repeating: 1, count: 50)
    }

    @Test("one that never settles is told of, and then that it has failed and why, once")
    func endless() async throws {
        let engine = try Self.engine(), stream = try engine.createStream()
        let events = Mutex<[String]>([])
        let source = try await engine.addSource(to: stream, tracks: [Self.vp8]) { event in events.withLock { $0.append("\(event)") } }
        for number in 0..<200 as Range<UInt16> { _ = source.write(track: 0, packet: Self.packet(number, timestamp: UInt32(number) &* 0x7fff_ffff)) }
        try await eventually("the source has failed") { events.withLock { $0.contains { $0.contains("timestampJumps(perMinute: 20)") } } }
        #expect(events.withLock { $0.contains { $0.contains("clockJumped") } })
        for number in 200..<400 as Range<UInt16> { _ = source.write(track: 0, packet: Self.packet(number, timestamp: UInt32(number) &* 0x7fff_ffff)) }
        try await eventually("all of it has been taken") { await engine.statistics()[source.id]?.video?.packets == 400 }
        #expect(events.withLock { $0.count { $0.contains("timestampJumps") } } == 1)
        await engine.shutdown()
    }

    @Test("a new connection with the numbers of the old one goes on at once, and is no jump")
    func newConnection() async throws {
        let engine = try Self.engine(), stream = try engine.createStream()
        let events = Mutex<[String]>([]), seen = Mutex<[UInt32]>([])
        let source = try await engine.addSource(to: stream, tracks: [Self.vp8]) { event in events.withLock { $0.append("\(event)") } }
        _ = try await engine.addSink(to: stream) { packet in
            if let view = RTPView(packet.bytes) { seen.withLock { $0.append(view.timestamp) } }
        }
        for connection in 1...30 {
            source.restart()
            for number in 1000..<1010 as Range<UInt16> { _ = source.write(track: 0, packet: Self.packet(number, timestamp: UInt32(number) * 3000)) }
            try await eventually("all of connection \(connection)") { await engine.statistics()[source.id]?.video?.packets == UInt64(10 * connection) }
        }
        try await eventually("all of it at the sink") { seen.withLock { $0.count } == 300 }
        #expect(events.withLock { !$0.contains { $0.contains("ump") } }, "\(events.withLock { $0 })")
        await engine.shutdown()
    }
}
