// SPDX-License-Identifier: Apache-2.0
// `martlet bench churn`: players come and go all the time, politely or killed, and a publisher begins anew every few seconds;
// what a join costs, and whether the server's memory, descriptors, threads and connections end where they were.
import MartletServer

public enum ChurnBenchmark {
    /// - Parameters:
    ///   - rate: joins (and as many leaves) a second.
    ///   - stay: seconds that a player stays.
    public static func run(rate: Double, stay: Double, _ options: BenchmarkOptions) async throws -> Figures {
        try await Bench.run(options, playersLookEachMillisecond: false) { bench in
            let say = options.progress
            let shape = options.shape
            let address = try bench.server.address
            let publishers = try await bench.publish(1, prefix: "steady", shape: shape)
            // Once through everything, so that what is made once doesn't count as a leak.
            for visit in 0..<2 * Visit.kinds { _ = await Visit(number: visit).pay(bench.load, address, stay: 0.1) }
            let warm = try await bench.play(Int(max(2, rate * stay)), prefix: "steady")
            try await bench.waitForPictures(warm)
            await bench.leave(warm)
            try await waitUntilAlone(bench.server, with: 1)

            say("\(rate) joins a second for \(options.seconds) s, each for \(stay) s; every third player is killed, one publisher begins anew every 3 s")
            let first = try ServerMeasurement(bench.server)
            let start = ContinuousClock.now
            async let restarts = Self.restart(bench.load, address, shape, for: options.seconds)
            let (tally, memory) = try await visits(bench, rate: rate, stay: stay, since: start)
            let last = try ServerMeasurement(bench.server)
            let restarted = await restarts
            let settling = LoadClock.now()
            try await waitUntilAlone(bench.server, with: 1)
            let settled = try ServerMeasurement(bench.server)
            let settledAfter = Double(LoadClock.now() - settling) / 1e9
            await bench.leave(publishers)

            var figures = Figures()
            figures.add("benchmark", "Benchmark", .text("churn"))
            figures.add("stream", "Stream", .text(shape.name))
            figures.add("joins", "Joins", tally.joins)
            figures.add("failed_joins", "Joins that failed, or saw no picture", tally.failed)
            figures.add("killed", "Players killed", tally.killed)
            figures.add("interrupted_joins", "Players interrupted by their publisher's end", tally.interrupted)
            figures.add("publisher_restarts", "Publisher begun anew", restarted.count)
            figures.add("publisher_restarts_refused", "  refused at first, its name being taken still", restarted.refused)
            figures.add("joins_per_second", "Joins a second", Double(tally.joins) / options.seconds, "/s")
            figures.add("cpu_ms_per_join", "Server: processor time per join, its media included",
                        last.processorSeconds(since: first) * 1000 / Double(max(1, tally.joins)), "ms")
            figures.add("memory_slope_kib_per_minute", "Resident memory, slope", Self.slope(memory) * 60 / 1024, "KiB/min")
            figures.add("memory_slope_bytes_per_join", "  per join", Self.slope(memory) / rate, "B")
            figures.add("resident_mib_before", "Resident memory before", Double(first.resident) / 1_048_576, "MiB")
            figures.add("resident_mib_after", "Resident memory after", Double(settled.resident) / 1_048_576, "MiB")
            figures.add("descriptors_before", "Descriptors before", first.descriptors)
            figures.add("descriptors_after", "Descriptors after", settled.descriptors)
            figures.add("threads_before", "Threads before", first.threadCount)
            figures.add("threads_after", "Threads after", settled.threadCount)
            figures.add("settled_after_seconds", "Nothing left of all of them after", settledAfter, "s")
            return figures
        }
    }

    // MARK: players

    private struct Tally {
        var joins = 0, failed = 0, killed = 0, interrupted = 0
    }

    /// What a player does, by its number: which stream it plays and how it goes.
    private struct Visit: Sendable {
        static let kinds = 12
        let number: Int
        var isKilled: Bool { number % 3 == 2 }
        var isAtRestarting: Bool { number % 4 == 3 }

        enum Outcome { case picture, nothing }

        func pay(_ load: LoadGenerator, _ address: WCSAddress, stay: Double) async -> Outcome {
            do {
                let seat = try await load.play(isAtRestarting ? "restarting" : "steady0", number: isAtRestarting ? 1 : 0, on: address)
                try await Task.sleep(for: .seconds(stay))
                // A connection that failed, its publisher being gone, has no counters.
                let counters = try? await load.counters(of: [seat])[0]
                if isKilled { await load.die(seat) } else { await load.leave(seat) }
                return counters.map { $0.firstFrameAt != 0 && $0.corrupt == 0 } == true ? .picture : .nothing
            } catch {
                return .nothing
            }
        }
    }

    /// Players come for `options.seconds`; also the resident memory at each second after the first fifth, in which pools and caches fill.
    private static func visits(
        _ bench: Bench, rate: Double, stay: Double, since start: ContinuousClock.Instant
    ) async throws -> (Tally, [(seconds: Double, bytes: Double)]) {
        let length = bench.options.seconds
        let address = try bench.server.address
        return try await withThrowingTaskGroup(of: (Visit, Visit.Outcome).self) { group in
            var samples: [(seconds: Double, bytes: Double)] = []
            var tally = Tally()
            var nextSample = 0.0
            func count(_ visit: Visit, _ outcome: Visit.Outcome) {
                if visit.isKilled { tally.killed += 1 }
                guard outcome == .nothing else { return }
                if visit.isAtRestarting { tally.interrupted += 1 } else { tally.failed += 1 }
            }
            while true {
                let elapsed = seconds(since: start)
                if elapsed >= length { break }
                if elapsed >= nextSample {
                    nextSample += 1
                    if elapsed > length / 5 { samples.append((elapsed, Double(try ServerMeasurement(bench.server).resident))) }
                }
                if Double(tally.joins) <= elapsed * rate {
                    let visit = Visit(number: tally.joins)
                    tally.joins += 1
                    group.addTask { (visit, await visit.pay(bench.load, address, stay: stay)) }
                    // Results of half an hour must not pile up.
                    if tally.joins > Int(rate * stay) + 16, let (ended, outcome) = try await group.next() { count(ended, outcome) }
                } else {
                    try await Task.sleep(for: .milliseconds(5))
                }
            }
            for try await (visit, outcome) in group { count(visit, outcome) }
            return (tally, samples)
        }
    }

    // MARK: the publisher that begins anew

    private static func restart(
        _ load: LoadGenerator, _ address: WCSAddress, _ shape: StreamShape, for length: Double
    ) async -> (count: Int, refused: Int) {
        let start = ContinuousClock.now
        var count = 0, refused = 0
        while seconds(since: start) < length {
            guard let seat = try? await load.publish("restarting", number: 1, shape: shape, on: address) else {
                refused += 1
                try? await Task.sleep(for: .milliseconds(20))
                continue
            }
            count += 1
            try? await Task.sleep(for: .seconds(3))
            if count.isMultiple(of: 2) { await load.die(seat) } else { await load.leave(seat) }
        }
        return (count, refused)
    }

    // MARK: the end

    /// Returns when the server holds no more than `count` connections, of signalling and of media.
    private static func waitUntilAlone(_ server: ServerProcess, with count: Int) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while true {
            let sessions = try await server.statistic("connections") ?? 0
            let endpoints = try await server.statistic("media_endpoints") ?? 0
            if sessions <= count, endpoints <= count { return }
            guard ContinuousClock.now < deadline else {
                throw BenchmarkError("60 s after the last player went the server still has \(sessions) sessions and \(endpoints) media connections")
            }
            try await Task.sleep(for: .milliseconds(50))
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
