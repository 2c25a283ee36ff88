// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Benchmarks

@Suite("Shape of the benchmark's streams")
struct StreamShapeTests {
    @Test("a frame is cut into packets of nearly one length", arguments: [64, 1178, 1179, 12_000, 57_189])
    func payloads(bytes: Int) throws {
        let lengths = StreamShape.payloads(of: bytes)
        #expect(lengths.reduce(0) { $0 + $1 - 2 } == bytes)
        let (low, high) = (try #require(lengths.min()), try #require(lengths.max()))
        #expect(high <= 1180)
        #expect(high - low <= 1)
    }

    @Test("the streams have the bitrates they are called by", arguments: [(StreamShape.full, 2.5e6), (.thin, 168e3)])
    func bitrate(shape: StreamShape, wanted: Double) {
        let average = Double(shape.frames.reduce(0, +)) / Double(shape.frames.count) * Double(shape.framesPerSecond) * 8
        #expect(abs(average / wanted - 1) < 0.05)
    }

    @Test("a paced publisher sends two and a half times its bitrate at most")
    func pacing() {
        let bitsPerSecond = Double(StreamShape.full.paced.pacedBytes) * 8 * 200
        #expect(abs(bitsPerSecond / 6.25e6 - 1) < 0.05)
        #expect(StreamShape.full.pacedBytes == 0)
    }

    @Test("the limit is measured with the stream's own packets", arguments: [StreamShape.full, .thin, .full.paced])
    func bursts(shape: StreamShape) {
        let runs = SendLimit.bursts(of: shape).flatMap { $0 }
        let video = shape.frames.reduce(0) { $0 + StreamShape.payloads(of: $1).count } + 2
        let audio = shape.frames.count * 50 / shape.framesPerSecond
        #expect(runs.reduce(0) { $0 + $1.count } == video + audio)
        let bytes = shape.frames.reduce(0, +) + audio * shape.audioBytes
        #expect(abs(Double(runs.reduce(0) { $0 + $1.count * $1.length }) / Double(bytes) - 1) < 0.02)
    }

    @Test("the limit of sending is above zero and counts its packets")
    func limit() throws {
        let limit = try SendLimit.measure(shape: .full, receivers: 3, gro: false, atLeast: 500)
        #expect(limit.packets >= 500)
        #expect(limit.microseconds > 0)
        #expect(limit.packetsPerRun > 2)
    }
}
