// SPDX-License-Identifier: Apache-2.0
// `martlet bench push`: streams handed on to a second server by REST; what that costs on both, and what it adds to the way.

public enum PushBenchmark {
    /// - Parameter streams: published on the first server, pushed to the second and played there once each.
    public static func run(streams: Int, _ options: BenchmarkOptions) async throws -> Figures {
        try await Bench.run(options, servers: ["a", "b"]) { bench in
            let say = options.progress
            let shape = options.shape
            let (a, b) = (bench.servers[0], bench.servers[1])
            say("\(streams) × \(shape.name)")
            let publishers = try await bench.publish(streams, shape: shape)
            let pushing = LoadClock.now()
            let times = try await Bench.concurrently(streams) { i in
                let start = LoadClock.now()
                try await a.post(
                    "pull/push", #"{"uri":"ws://127.0.0.1:\#(b.webSocketPort)","localStreamName":"s\#(i)","remoteStreamName":"s\#(i)"}"#)
                return Double(LoadClock.now() - start) / 1e6
            }.sorted()
            let all = Double(LoadClock.now() - pushing) / 1e6
            say("Pushed all of them in \(Int(all)) ms")
            let seats = try await bench.play(streams, streams: streams, on: b)
            try await bench.waitForPictures(seats)
            try await Task.sleep(for: .seconds(2))

            let measured = try await bench.measure(seats)
            await bench.leave(seats)
            await bench.leave(publishers)
            var figures = Figures()
            figures.add("benchmark", "Benchmark", .text("push"))
            figures.add("stream", "Stream", .text(shape.name))
            figures.add("streams", "Streams", streams)
            figures.add("push_ms_p50", "REST call to push, median", times[times.count / 2], "ms")
            figures.add("push_ms_max", "REST call to push, longest", times.last ?? 0, "ms")
            figures.add("push_all_ms", "All pushed, 16 calls at a time", all, "ms")
            let packets = measured.delivered.packets
            figures.add("seconds", "Measured", measured.seconds, "s")
            figures.add("packets_per_second", "Packets at the players of B", Double(packets) / measured.seconds, "/s")
            // Each packet is received once and sent once on either server.
            for (i, server) in bench.servers.enumerated() {
                _ = measured.ends[i].describe(
                    since: measured.starts[i], packets: packets, hasCounter: server.allocations != nil, prefix: server.name,
                    into: &figures)
            }
            FanoutBenchmark.describe(measured.players, into: &figures)
            FanoutBenchmark.describe(measured.delivered.latency, into: &figures)
            return figures
        }
    }
}
