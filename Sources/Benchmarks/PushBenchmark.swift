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

            let before = try await bench.load.counters(of: seats)
            let starts = (try ServerMeasurement(a), try ServerMeasurement(b))
            try await bench.load.beginMeasuring()
            try await Task.sleep(for: .seconds(options.seconds))
            let latency = try await bench.load.endMeasuring()
            let ends = (try ServerMeasurement(a), try ServerMeasurement(b))
            let after = try await bench.load.counters(of: seats)
            await bench.leave(seats)
            await bench.leave(publishers)
            var sum = PlayerCounters()
            for (later, earlier) in zip(after, before) { sum += later.since(earlier) }

            var figures = Figures()
            figures.add("benchmark", "Benchmark", .text("push"))
            figures.add("stream", "Stream", .text(shape.name))
            figures.add("streams", "Streams", streams)
            figures.add("push_ms_p50", "REST call to push, median", times[times.count / 2], "ms")
            figures.add("push_ms_max", "REST call to push, longest", times.last ?? 0, "ms")
            figures.add("push_all_ms", "All pushed, 16 calls at a time", all, "ms")
            let seconds = ends.0.seconds(since: starts.0)
            figures.add("packets_per_second", "Packets at the players of B", Double(sum.packets) / seconds, "/s")
            // Each packet is received once and sent once on either server.
            _ = ends.0.describe(since: starts.0, packets: sum.packets, hasCounter: a.allocations != nil, prefix: "a", into: &figures)
            _ = ends.1.describe(since: starts.1, packets: sum.packets, hasCounter: b.allocations != nil, prefix: "b", into: &figures)
            FanoutBenchmark.describe(sum, into: &figures)
            FanoutBenchmark.describe(latency, into: &figures)
            return figures
        }
    }
}
