// `martlet bench churn`: players come and go all the time; what a join costs, and whether the server's memory,
// descriptors and threads stay where they were.
import MartletServer

public enum ChurnBenchmark {
    /// - Parameters:
    ///   - rate: joins (and as many leaves) a second.
    ///   - stay: seconds that a player stays.
    public static func run(rate: Double, stay: Double, _ options: BenchmarkOptions) async throws -> Figures {
        try await Bench.run(options, playersLookEachMillisecond: false) { bench in
            let say = options.progress
            let shape = options.shape
            let publishers = try await bench.publish(1, shape: shape)
            // Once through everything, so that what is made once doesn't count as a leak.
            let warm = try await bench.play(Int(max(2, rate * stay)))
            try await bench.waitForPictures(warm)
            await bench.leave(warm)
            try await Task.sleep(for: .seconds(2))

            say("\(rate) joins a second for \(options.seconds) s, each for \(stay) s")
            let first = try ServerMeasurement(bench.server)
            let address = try bench.server.address
            let start = ContinuousClock.now
            let (joined, failed, memory) = try await withThrowingTaskGroup(of: Bool.self) { group in
                var samples: [(seconds: Double, bytes: Double)] = []
                var count = 0
                var nextSample = 0.0
                while true {
                    let elapsed = Self.seconds(since: start)
                    if elapsed >= options.seconds { break }
                    if elapsed >= nextSample {
                        nextSample += 1
                        // The first fifth is for pools and caches to fill.
                        if elapsed > options.seconds / 5 { samples.append((elapsed, Double(try ServerMeasurement(bench.server).resident))) }
                    }
                    if Double(count) <= elapsed * rate {
                        count += 1
                        group.addTask { await Self.visit(bench.load, address, stay) }
                    } else {
                        try await Task.sleep(for: .milliseconds(5))
                    }
                }
                var failed = 0
                for try await ok in group where !ok { failed += 1 }
                return (count, failed, samples)
            }
            let last = try ServerMeasurement(bench.server)
            // Closed sockets and ended sessions take a moment.
            try await Task.sleep(for: .seconds(3))
            let settled = try ServerMeasurement(bench.server)
            await bench.leave(publishers)

            var figures = Figures()
            figures.add("benchmark", "Benchmark", .text("churn"))
            figures.add("stream", "Stream", .text(shape.name))
            figures.add("joins", "Joins", joined)
            figures.add("failed_joins", "Joins that failed", failed)
            figures.add("joins_per_second", "Joins a second", Double(joined) / options.seconds, "/s")
            figures.add("cpu_ms_per_join", "Server: processor time per join, its media included",
                        last.processorSeconds(since: first) * 1000 / Double(max(1, joined)), "ms")
            figures.add("memory_slope_kib_per_minute", "Resident memory, slope", Self.slope(memory) * 60 / 1024, "KiB/min")
            figures.add("memory_slope_bytes_per_join", "  per join", Self.slope(memory) / rate, "B")
            figures.add("resident_mib_before", "Resident memory before", Double(first.resident) / 1_048_576, "MiB")
            figures.add("resident_mib_after", "Resident memory after", Double(settled.resident) / 1_048_576, "MiB")
            figures.add("descriptors_before", "Descriptors before", first.descriptors)
            figures.add("descriptors_after", "Descriptors after", settled.descriptors)
            figures.add("threads_before", "Threads before", first.threadCount)
            figures.add("threads_after", "Threads after", settled.threadCount)
            return figures
        }
    }

    /// One player's visit; true when it saw a picture.
    private static func visit(_ load: LoadGenerator, _ address: WCSAddress, _ stay: Double) async -> Bool {
        do {
            let seat = try await load.play("s0", number: 0, on: address)
            try await Task.sleep(for: .seconds(stay))
            let counters = try await load.counters(of: [seat])[0]
            await load.leave(seat)
            return counters.firstFrameAt != 0 && counters.corrupt == 0
        } catch {
            return false
        }
    }

    private static func seconds(since start: ContinuousClock.Instant) -> Double { (ContinuousClock.now - start) / .seconds(1) }

    /// Slope of the least-squares line, in units of the second value per unit of the first; 0 for fewer than two points.
    static func slope(_ points: [(seconds: Double, bytes: Double)]) -> Double {
        guard points.count > 1 else { return 0 }
        let n = Double(points.count)
        let x = points.reduce(0) { $0 + $1.seconds } / n, y = points.reduce(0) { $0 + $1.bytes } / n
        let over = points.reduce(0) { $0 + ($1.seconds - x) * ($1.bytes - y) }
        let under = points.reduce(0) { $0 + ($1.seconds - x) * ($1.seconds - x) }
        return under > 0 ? over / under : 0
    }
}
