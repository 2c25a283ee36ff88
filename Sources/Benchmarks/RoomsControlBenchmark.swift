// SPDX-License-Identifier: Apache-2.0
// `martlet bench rooms-control`: many rooms full of people who come, go and write to each other, without media: how long the
// messages of the control plane take, and whether memory stays where it was.
import Glibc
import MartletServer

public enum RoomsControlBenchmark {
    /// - Parameters:
    ///   - rooms: rooms at the same time.
    ///   - participants: people in each.
    ///   - lines: lines of chat that each room writes a second; a line is one message to everybody else.
    ///   - moves: people of each room who leave and come back, a second.
    public static func run(rooms: Int, participants: Int, lines: Double, moves: Double, _ options: BenchmarkOptions) async throws -> Figures {
        try await Bench.run(options) { bench in
            let say = options.progress
            let address = try bench.server.address
            let times = RoomTimes()
            let people: [[RoomClient]] = (0..<rooms).map { room in
                let shared = RoomClient.Moves()
                return (0..<participants).map { RoomClient(login: "p\(room)-\($0)", room: "room\(room)", moves: shared, times: times) }
            }
            let all = people.flatMap(\.self)
            say("\(all.count) people connect")
            let empty = try ServerMeasurement(bench.server)
            _ = try await Bench.concurrently(all.count) { try await all[$0].connect(to: address) }
            say("and join \(rooms) rooms")
            let joining = ContinuousClock.now
            // Rooms fill up person by person, all rooms side by side.
            _ = try await Bench.concurrently(all.count) { i in
                guard await people[i % rooms][i / rooms].join() else { throw BenchmarkError("A join was refused: \(times.refusals)") }
            }
            let joined = ContinuousClock.now - joining

            // Once without being measured, so that what is made once doesn't count.
            try await live(people, lines: lines, moves: moves, seconds: 2) { _ in }
            say("\(lines) lines of chat a second in each room, \(moves) people go and come back, for \(options.seconds) s")
            times.begin()
            let heard = all.reduce(0) { $0 + $1.heard }
            let first = try ServerMeasurement(bench.server)
            let own = try ProcessUsage(of: getpid())
            var memory: [(seconds: Double, bytes: Double)] = []
            try await live(people, lines: lines, moves: moves, seconds: options.seconds) { elapsed in
                // People write in turn: the first half is for everybody's buffers to have been used once.
                if elapsed > options.seconds / 2 { memory.append((elapsed, Double(try ServerMeasurement(bench.server).resident))) }
            }
            let last = try ServerMeasurement(bench.server)
            let ownEnd = try ProcessUsage(of: getpid())
            times.end()
            let events = all.reduce(0) { $0 + $1.heard } - heard
            let refusals = times.refusals
            _ = try await Bench.concurrently(all.count) { await all[$0].close() }
            try await Task.sleep(for: .seconds(3))
            let settled = try ServerMeasurement(bench.server)

            var figures = Figures()
            figures.add("benchmark", "Benchmark", .text("rooms-control"))
            figures.add("rooms", "Rooms", rooms)
            figures.add("participants", "Participants of each", participants)
            figures.add("joins_per_second", "Joins a second while the rooms filled up", Double(all.count) / (joined / .seconds(1)), "/s")
            let seconds = last.seconds(since: first)
            var together = LatencyHistogram()
            for (kind, key, label) in [
                (RoomTimes.Kind.command, "command", "Command to its answer"), (.message, "message", "Text to its addressee"),
                (.presence, "presence", "Coming or going to the others"),
            ] {
                let histogram = times.histogram(kind)
                together.merge(histogram)
                figures.add("\(key)s_per_second", "\(label): a second", Double(histogram.count) / seconds, "/s")
                describe(histogram, key + "_", into: &figures)
            }
            figures.add("messages", "All of these together", together.count)
            describe(together, "", into: &figures)
            figures.add("events_per_second", "Events delivered", Double(events) / seconds, "/s")
            figures.add("refused", "Commands refused", refusals.values.reduce(0, +))
            figures.add("cpu_percent", "Server: load of one core", last.processorSeconds(since: first) / seconds * 100, "%")
            figures.add("generator_percent", "Load generator: load of one core", Double(ownEnd.nanoseconds(since: own)) / 1e7 / seconds, "%")
            figures.add("memory_slope_kib_per_minute", "Resident memory, slope of the second half", ChurnBenchmark.slope(memory) * 60 / 1024, "KiB/min")
            figures.add("resident_mib_empty", "Resident memory before anybody came", Double(empty.resident) / 1_048_576, "MiB")
            figures.add("resident_mib_before", "  with everybody, at the start", Double(first.resident) / 1_048_576, "MiB")
            figures.add("resident_mib_after", "  with everybody, at the end", Double(last.resident) / 1_048_576, "MiB")
            figures.add("resident_mib_left", "  when all were gone", Double(settled.resident) / 1_048_576, "MiB")
            figures.add("memory_kib_per_participant", "Memory per participant", Double(first.resident - empty.resident) / 1024 / Double(all.count), "KiB")
            figures.add("descriptors_before", "Descriptors before", empty.descriptors)
            figures.add("descriptors_after", "Descriptors after", settled.descriptors)
            return figures
        }
    }

    private static func describe(_ histogram: LatencyHistogram, _ key: String, into figures: inout Figures) {
        for (fraction, name, label) in [(0.5, "p50", "median"), (0.99, "p99", "99 %"), (0.999, "p999", "99.9 %")] {
            figures.add("\(key)\(name)_ms", "  \(label)", histogram.percentile(fraction).map { $0 / 1e6 }, "ms", otherwise: "nothing measured")
        }
    }

    /// Lets people write, go and come back for `seconds`; calls `eachSecond` with the seconds passed.
    private static func live(
        _ people: [[RoomClient]], lines: Double, moves: Double, seconds: Double, eachSecond: (Double) throws -> Void
    ) async throws {
        let start = ContinuousClock.now
        var next = 1.0, wrote = 0, moved = 0
        try await withThrowingTaskGroup(of: Void.self) { group in
            while true {
                let elapsed = (ContinuousClock.now - start) / .seconds(1)
                if elapsed >= seconds { break }
                if elapsed >= next {
                    try eachSecond(elapsed)
                    next += 1
                }
                // Rooms take turns, so that the load is even.
                while Double(wrote) < elapsed * lines * Double(people.count) {
                    let room = people[wrote % people.count]
                    let writer = room[wrote / people.count % room.count]
                    wrote += 1
                    // As pages do: one message to each of the others, at once.
                    for other in room where other.login != writer.login { group.addTask { _ = await writer.write(to: other.login) } }
                }
                while Double(moved) < elapsed * moves * Double(people.count) {
                    let room = people[moved % people.count]
                    // Somebody who is not writing just now.
                    let mover = room[(moved / people.count + room.count / 2) % room.count]
                    moved += 1
                    group.addTask { if await mover.leave() { _ = await mover.join() } }
                }
                try await Task.sleep(for: .milliseconds(2))
            }
            try await group.waitForAll()
        }
    }
}
