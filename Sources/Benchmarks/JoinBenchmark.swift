// SPDX-License-Identifier: Apache-2.0
// `martlet bench join`: how long it takes from the play request to the first picture, with a key frame at hand and without.
import MartletServer

public enum JoinBenchmark {
    /// - Parameter joins: of each kind.
    public static func run(joins: Int, _ options: BenchmarkOptions) async throws -> Figures {
        try await Bench.run(options, playersLookEachMillisecond: false) { bench in
            let say = options.progress
            let shape = options.shape
            // Hits: a stream with a key frame every two seconds. Misses: streams whose only key frame is too old by then.
            let regular = try await bench.publish(1, shape: shape)
            let onDemand = try await bench.publish(joins, prefix: "d", shape: shape.withKeyFramesOnDemand)
            say("Waiting until the key frames of \(joins) streams are old")
            try await Task.sleep(for: .seconds(7))

            var hits = Sample(), misses = Sample()
            let address = try bench.server.address
            say("\(joins) joins with a key frame at hand")
            for _ in 0..<joins {
                try await join("s0", 0, bench, address, &hits, &misses)
            }
            say("\(joins) joins without")
            for i in 0..<joins {
                try await join("d\(i)", UInt32(i), bench, address, &hits, &misses)
            }
            await bench.leave(regular + onDemand)

            var figures = Figures()
            figures.add("benchmark", "Benchmark", .text("join"))
            figures.add("stream", "Stream", .text(shape.name))
            hits.describe("hit", "Key frame at hand", into: &figures)
            misses.describe("miss", "Key frame asked for", into: &figures)
            return figures
        }
    }

    private struct Sample {
        var connected: [Double] = []
        var firstPacket: [Double] = []
        var keyFrame: [Double] = []
        var firstFrame: [Double] = []

        func describe(_ key: String, _ label: String, into figures: inout Figures) {
            figures.add("\(key)_joins", label, firstFrame.count, "joins")
            for (name, what, values) in [
                ("connected", "connected", connected), ("first_packet", "first packet", firstPacket),
                ("key_frame", "first packet of a key frame", keyFrame), ("first_frame", "first whole picture", firstFrame),
            ] {
                let sorted = values.sorted()
                for (suffix, text, fraction) in [("p50", "median", 0.5), ("p95", "95 %", 0.95)] {
                    figures.add(
                        "\(key)_\(name)_ms_\(suffix)", "  \(what), \(text)",
                        sorted.isEmpty ? nil : sorted[min(sorted.count - 1, Int(Double(sorted.count) * fraction))], "ms", otherwise: "none")
                }
            }
        }
    }

    private static func join(
        _ name: String, _ number: UInt32, _ bench: Bench, _ address: WCSAddress, _ hits: inout Sample, _ misses: inout Sample
    ) async throws {
        let seat = try await bench.load.play(name, number: number, on: address)
        try await bench.waitForPictures([seat])
        let counters = try await bench.load.counters(of: [seat])[0]
        await bench.load.leave(seat)
        func add(to sample: inout Sample) {
            func milliseconds(_ time: Int64) -> Double { Double(time - seat.requestedAt) / 1e6 }
            sample.connected.append(milliseconds(counters.connectedAt))
            sample.firstPacket.append(milliseconds(counters.firstPacketAt))
            sample.keyFrame.append(milliseconds(counters.keyFrameAt))
            sample.firstFrame.append(milliseconds(counters.firstFrameAt))
        }
        // A picture that was sent before the player was connected came from the server's memory.
        if counters.keyFrameSentAt < counters.connectedAt { add(to: &hits) } else { add(to: &misses) }
    }
}
