// SPDX-License-Identifier: Apache-2.0
// The steps that benchmarks share: servers up, load on, a window measured, everything down.
import Glibc
import MartletServer

/// Servers and load of one benchmark, ended together whatever happens.
final class Bench: Sendable {
    let options: BenchmarkOptions
    let load: LoadGenerator
    let servers: [ServerProcess]

    private init(_ options: BenchmarkOptions, _ load: LoadGenerator, _ servers: [ServerProcess]) {
        self.options = options
        self.load = load
        self.servers = servers
    }

    static func run(
        _ options: BenchmarkOptions, servers names: [String] = ["server"], playersLookEachMillisecond: Bool = true, _ body: (Bench) async throws -> Figures
    ) async throws -> Figures {
        var servers: [ServerProcess] = []
        var load: LoadGenerator?
        do {
            for name in names {
                servers.append(try await ServerProcess(name: name, folder: options.folder, reactors: options.reactors))
            }
            let generator = try LoadGenerator(
                threads: options.threads, gro: options.gro, playersLookEachMillisecond: playersLookEachMillisecond)
            load = generator
            let figures = try await body(Bench(options, generator, servers))
            await generator.stop()
            for server in servers { await server.stop() }
            return figures
        } catch {
            // Its threads must not outlive the process's libraries.
            await load?.stop()
            for server in servers { server.kill() }
            throw error
        }
    }

    var server: ServerProcess { servers[0] }

    /// Publishes `count` streams called `prefix`0, `prefix`1, …
    func publish(_ count: Int, prefix: String = "s", shape: StreamShape) async throws -> [LoadGenerator.Seat] {
        let address = try server.address
        return try await Self.concurrently(count) { [load] i in
            try await load.publish("\(prefix)\(i)", number: UInt32(i), shape: shape, on: address)
        }
    }

    /// Adds `count` players, player i to stream i mod `streams`.
    func play(
        _ count: Int, streams: Int = 1, prefix: String = "s", on server: ServerProcess? = nil
    ) async throws -> [LoadGenerator.Seat] {
        let address = try (server ?? self.server).address
        return try await Self.concurrently(count) { [load] i in
            try await load.play("\(prefix)\(i % streams)", number: UInt32(i % streams), on: address)
        }
    }

    func leave(_ seats: [LoadGenerator.Seat]) async {
        _ = try? await Self.concurrently(seats.count) { [load] i in await load.leave(seats[i]) }
    }

    /// Waits until every player has got its first picture.
    func waitForPictures(_ seats: [LoadGenerator.Seat]) async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        while true {
            let waiting = try await load.counters(of: seats).count { $0.firstFrameAt == 0 }
            if waiting == 0 { return }
            guard ContinuousClock.now < deadline else { throw BenchmarkError("\(waiting) of \(seats.count) players got no picture within 30 s") }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// What happened between two moments, at the players and on the servers.
    struct Measured: Sendable {
        let seconds: Double
        let delivered: LoadWindow.Result
        let players: PlayerCounters
        let starts: [ServerMeasurement]
        let ends: [ServerMeasurement]
        /// Load of the load generator, in cores.
        let generatorLoad: Double
    }

    /// Lets the load run for `options.seconds` and reads before and after.
    func measure(_ seats: [LoadGenerator.Seat]) async throws -> Measured {
        let before = try await load.counters(of: seats)
        let from = LoadClock.now() + 200_000_000
        let to = from + Int64(options.seconds * 1e9)
        try await load.measure(LoadWindow(from: from, to: to))
        try await Self.sleep(until: from)
        let starts = try servers.map { try ServerMeasurement($0) }
        let own = try ProcessUsage(of: getpid())
        try await Self.sleep(until: to)
        let ends = try servers.map { try ServerMeasurement($0) }
        let ownEnd = try ProcessUsage(of: getpid())
        // What is on its way, or waits for a busy generator, belongs to it.
        var delivered = try await load.measured()
        while true {
            try await Task.sleep(for: .milliseconds(500))
            let now = try await load.measured()
            if now.packets == delivered.packets { break }
            delivered = now
        }
        let after = try await load.counters(of: seats)
        var players = PlayerCounters()
        for (a, b) in zip(after, before) { players += a.since(b) }
        let seconds = ends[0].seconds(since: starts[0])
        return Measured(
            seconds: seconds, delivered: delivered, players: players, starts: starts, ends: ends,
            generatorLoad: Double(ownEnd.nanoseconds(since: own)) / 1e9 / seconds)
    }

    private static func sleep(until time: Int64) async throws {
        let left = time - LoadClock.now()
        if left > 0 { try await Task.sleep(for: .nanoseconds(left)) }
    }

    /// Does something `count` times, 16 at once, and keeps the order of the results.
    static func concurrently<T: Sendable>(_ count: Int, _ body: @escaping @Sendable (Int) async throws -> T) async throws -> [T] {
        try await withThrowingTaskGroup(of: (Int, T).self) { group in
            var results = [T?](repeating: nil, count: count)
            var next = 0
            while next < min(16, count) {
                let i = next
                group.addTask { (i, try await body(i)) }
                next += 1
            }
            while let (i, value) = try await group.next() {
                results[i] = value
                if next < count {
                    let i = next
                    group.addTask { (i, try await body(i)) }
                    next += 1
                }
            }
            return results.compactMap { $0 }
        }
    }
}
