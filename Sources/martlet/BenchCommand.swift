// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Benchmarks
import StreamClients

/// `martlet bench …`: each benchmark is a subcommand; all start servers of their own.
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure the server on this machine (see docs/performance.md).",
        subcommands: [Fanout.self, Rooms.self, RoomsControl.self, Join.self, Push.self, RTMP.self, Churn.self, Snapshot.self, Record.self, Mix.self])

    struct Options: ParsableArguments {
        @Flag(help: "Print one JSON line instead of a table.") var json = false
        @Flag(help: "Streams of 200 kbit/s instead of 2.5 Mbit/s.") var thin = false
        @Flag(help: "Publishers send a picture at once, instead of spreading it over time as browsers do.") var unpaced = false
        @Option(help: "Seconds to measure for.") var seconds = 10.0
        @Option(help: "Threads of the load generator for players.") var threads = 1
        @Flag(help: "Players take merged datagrams (UDP_GRO); browsers don't.") var gro = false
        @Option(help: "Media threads of the server; 0: one per core.") var reactors = 0
        @Option(help: "Folder for the servers' state and logs.") var folder = "./var/bench"

        func run(_ benchmark: @escaping @Sendable (BenchmarkOptions) async throws -> Figures) async throws {
            guard seconds > 0, seconds <= 86_400, (1...64).contains(threads), (0...256).contains(reactors) else {
                throw ValidationError("--seconds must be above 0 and at most 86400, --threads 1 to 64, --reactors 0 to 256.")
            }
            var options = BenchmarkOptions()
            options.isThin = thin
            options.isPaced = !unpaced
            options.seconds = seconds
            options.threads = threads
            options.gro = gro
            options.reactors = reactors
            options.folder = folder
            options.progress = { StandardError.print($0) }
            let ready = options
            let work = Task { try await benchmark(ready) }
            // Ctrl-C ends the servers as well.
            let watch = Task { for await _ in Interrupt.signals() { work.cancel() } }
            defer { watch.cancel() }
            let figures = try await work.value
            print(json ? figures.json : figures.table)
        }
    }

    struct Fanout: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Publishers and many players: what a delivered packet costs.")
        @Option(help: "Players of each stream.") var players = 100
        @Option(help: "Published streams.") var streams = 1
        @OptionGroup var options: Options

        func validate() throws { try checkCount(players, streams) }
        func run() async throws {
            let (players, streams) = (players, streams)
            try await options.run { try await FanoutBenchmark.run(streams: streams, players: players, $0) }
        }
    }

    struct Rooms: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Groups in which each publishes and plays all the others.")
        @Option(help: "Groups.") var rooms = 5
        @Option(help: "Participants of each.") var participants = 5
        @OptionGroup var options: Options

        func validate() throws {
            guard participants > 1 else { throw ValidationError("A room needs two participants at least.") }
            try checkCount(rooms, participants, participants - 1)
        }
        func run() async throws {
            let (streams, players) = (rooms * participants, participants - 1)
            try await options.run { try await FanoutBenchmark.run(streams: streams, players: players, name: "rooms", $0) }
        }
    }

    struct RoomsControl: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "rooms-control", abstract: "Rooms without media: people who come, go and write, and how long their messages take.")
        @Option(help: "Rooms.") var rooms = 50
        @Option(help: "Participants of each.") var participants = 50
        @Option(help: "Lines of chat that each room writes a second; each goes to everybody else.") var lines = 1.0
        @Option(help: "People of each room who leave and come back, a second.") var moves = 0.5
        @OptionGroup var options: Options

        func validate() throws {
            guard participants > 1, (0...100).contains(lines), (0...100).contains(moves) else {
                throw ValidationError("A room needs two participants at least; --lines and --moves are 0 to 100.")
            }
            try checkCount(rooms, participants)
        }
        func run() async throws {
            let (rooms, participants, lines, moves) = (rooms, participants, lines, moves)
            try await options.run {
                try await RoomsControlBenchmark.run(rooms: rooms, participants: participants, lines: lines, moves: moves, $0)
            }
        }
    }

    struct Join: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Time from the play request to the first picture.")
        @Option(help: "Joins with a key frame at hand, and as many without.") var joins = 20
        @OptionGroup var options: Options

        func validate() throws { try checkCount(joins) }
        func run() async throws {
            let joins = joins
            try await options.run { try await JoinBenchmark.run(joins: joins, $0) }
        }
    }

    struct Push: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Streams handed on to a second server.")
        @Option(help: "Streams.") var streams = 20
        @OptionGroup var options: Options

        func validate() throws { try checkCount(streams) }
        func run() async throws {
            let streams = streams
            try await options.run { try await PushBenchmark.run(streams: streams, $0) }
        }
    }

    struct RTMP: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "rtmp", abstract: "Players of an RTMP encoder beside those of a WebRTC publisher (needs ffmpeg).")
        @Option(help: "Players.") var players = 100
        @OptionGroup var options: Options

        func validate() throws { try checkCount(players) }
        func run() async throws {
            let players = players
            try await options.run { try await RTMPBenchmark.run(players: players, $0) }
        }
    }

    struct Churn: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Players that come and go: cost of a join, and leaks.")
        @Option(help: "Joins a second.") var rate = 10.0
        @Option(help: "Seconds a player stays.") var stay = 2.0
        @OptionGroup var options: Options

        func validate() throws {
            guard rate > 0, rate <= 1000, stay > 0, stay <= 3600 else {
                throw ValidationError("--rate must be above 0 and at most 1000, --stay above 0 and at most 3600.")
            }
        }
        func run() async throws {
            let (rate, stay) = (rate, stay)
            try await options.run { try await ChurnBenchmark.run(rate: rate, stay: stay, $0) }
        }
    }
}

extension BenchCommand {
    struct Snapshot: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Pictures of a stream by REST while players watch it.")
        @Option(help: "Pictures, one after the other.") var pictures = 50
        @Option(help: "Players that watch meanwhile.") var players = 20
        @Option(help: "Requests in one go, at the end.") var atOnce = 20
        @OptionGroup var options: Options

        func validate() throws {
            try checkCount(pictures)
            try checkCount(players)
            try checkCount(atOnce)
        }
        func run() async throws {
            let (pictures, players, atOnce) = (pictures, players, atOnce)
            try await options.run { try await SnapshotBenchmark.run(pictures: pictures, players: players, atOnce: atOnce, $0) }
        }
    }
}

extension BenchCommand {
    struct Record: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Streams that are recorded: what it costs, and whether anything gets lost.")
        @Option(help: "Recorded streams.") var streams = 20
        @OptionGroup var options: Options

        func validate() throws { try checkCount(streams) }
        func run() async throws {
            let streams = streams
            try await options.run { try await RecordBenchmark.run(streams: streams, $0) }
        }
    }

    struct Mix: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "A room's record mixed into one picture: how fast. --seconds is the record's length.")
        @Option(help: "People in the record, 640x480 each.") var people = 2
        @Option(help: "Width of the result.") var width = 1280
        @Option(help: "Height of the result.") var height = 720
        @OptionGroup var options: Options

        func validate() throws {
            guard (1...25).contains(people), (64...4096).contains(width), (64...4096).contains(height) else {
                throw ValidationError("--people is 1 to 25, --width and --height 64 to 4096.")
            }
        }
        func run() async throws {
            let (people, size) = (people, (width: width & ~1, height: height & ~1))
            try await options.run { try await MixBenchmark.run(people: people, output: size, $0) }
        }
    }
}

/// Each factor, and their product, the connections that are to be made.
private func checkCount(_ factors: Int...) throws {
    guard factors.allSatisfy((1...5000).contains), factors.reduce(1, *) <= 5000 else {
        let asked = factors.map(String.init).joined(separator: " × ")
        throw ValidationError("The numbers asked for make \(asked) connections; 1 to 5000 are possible.")
    }
}
