// SPDX-License-Identifier: Apache-2.0
// `martlet bench snapshot`: how long a picture takes by REST while players watch the stream, and what it costs them.
import Foundation
import FoundationNetworking
import MartletServer

public enum SnapshotBenchmark {
    /// Seconds between key frames of the stream.
    static let keyInterval = 2

    /// - Parameters:
    ///   - pictures: taken one after the other.
    ///   - players: that watch meanwhile.
    ///   - atOnce: requests in one go, at the end.
    public static func run(pictures: Int, players: Int, atOnce: Int, _ options: BenchmarkOptions) async throws -> Figures {
        try await Bench.run(options, playersLookEachMillisecond: false) { bench in
            let say = options.progress
            let name = "s0"
            let publisher = try PatternProcess(name, to: bench.server)
            defer { publisher.end() }
            try await waitForPicture(name, bench.server)
            say("\(players) players join")
            let seats = try await bench.play(players, streams: 1)
            // Late enough for each of them to have had its key frame.
            try await Task.sleep(for: .seconds(1))
            let before = try await bench.load.counters(of: seats)

            say("\(pictures) pictures, one after the other")
            var times: [Double] = [], sizes: [Int] = []
            for _ in 0..<pictures {
                let start = ContinuousClock.now
                sizes.append(try await take(name, bench.server))
                times.append((ContinuousClock.now - start) / .milliseconds(1))
                // So that they fall on all places of the group of pictures.
                try await Task.sleep(for: .milliseconds(137))
            }
            say("\(atOnce) at once")
            let decodes = try await counter("snapshot_decodes", bench.server)
            let start = ContinuousClock.now
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<atOnce { group.addTask { try await take(name, bench.server) } }
                for try await _ in group {}
            }
            let together = (ContinuousClock.now - start) / .milliseconds(1)
            let after = try await bench.load.counters(of: seats)
            var delivered = PlayerCounters()
            for (a, b) in zip(after, before) { delivered += a.since(b) }

            var figures = Figures()
            figures.add("benchmark", "Benchmark", .text("snapshot"))
            figures.add("stream", "Stream", .text("1280x720 H.264, a key frame every \(keyInterval) s"))
            figures.add("players", "Players", players)
            figures.add("pictures", "Pictures", pictures)
            times.sort()
            figures.add("median_ms", "  median", times[times.count / 2], "ms")
            figures.add("p95_ms", "  95 %", times[min(times.count - 1, times.count * 95 / 100)], "ms")
            figures.add("maximum_ms", "  slowest", times[times.count - 1], "ms")
            figures.add("picture_bytes", "  size of the answer", sizes.reduce(0, +) / max(1, sizes.count), "bytes")
            figures.add("at_once", "Requests at once", atOnce)
            figures.add("at_once_ms", "  all answered after", together, "ms")
            figures.add("decodes", "  decodes for them", try await counter("snapshot_decodes", bench.server) - decodes)
            figures.add("last_decode_ms", "Last picture: decoding", Double(try await counter("snapshot_last_decode_us", bench.server)) / 1000, "ms")
            figures.add("last_encode_ms", "Last picture: writing", Double(try await counter("snapshot_last_encode_us", bench.server)) / 1000, "ms")
            figures.add("player_packets", "Packets at the players", delivered.packets)
            // A packet that is missing is a frame that is: the stricter count.
            figures.add("frames_lost", "Frames lost at the players", delivered.expected - min(delivered.expected, delivered.packets))
            await bench.leave(seats)
            return figures
        }
    }

    // MARK: requests

    /// As many connections as are asked for; the shared session has six.
    private static let session: URLSession = {
        let configuration = URLSessionConfiguration.default
        configuration.httpMaximumConnectionsPerHost = 256
        return URLSession(configuration: configuration)
    }()

    /// Bytes of the answer.
    private static func take(_ name: String, _ server: ServerProcess) async throws -> Int {
        var request = URLRequest(url: try url("/rest-api/stream/snapshot", server), timeoutInterval: 30)
        request.httpMethod = "POST"
        request.httpBody = Data("{\"streamName\":\"\(name)\"}".utf8)
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        let (data, response) = try await session.data(for: request)
        guard (response as? HTTPURLResponse)?.statusCode == 200 else {
            throw BenchmarkError("No snapshot: \(String(decoding: data.prefix(500), as: UTF8.self))")
        }
        return data.count
    }

    private static func waitForPicture(_ name: String, _ server: ServerProcess) async throws {
        let deadline = ContinuousClock.now + .seconds(20)
        while true {
            do {
                _ = try await take(name, server)
                return
            } catch {
                guard ContinuousClock.now < deadline else { throw error }
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    private static func counter(_ name: String, _ server: ServerProcess) async throws -> Int {
        guard let value = try await server.statistic(name) else { throw BenchmarkError("The server has no figure \(name)") }
        return value
    }

    private static func url(_ path: String, _ server: ServerProcess) throws -> URL {
        guard let url = URL(string: "http://127.0.0.1:\(server.httpPort)\(path)") else { throw BenchmarkError("\(path) is no path") }
        return url
    }
}

/// A `martlet publish` of the test pattern: video that can be decoded, which the load generator's own streams can't.
private final class PatternProcess {
    private let process = Process()

    init(_ name: String, to server: ServerProcess) throws {
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = [
            "publish", "ws://127.0.0.1:\(server.webSocketPort)", name, "--video", "h264", "--size", "1280x720", "--fps", "30",
            "--bitrate", "2500", "--key-interval", "\(SnapshotBenchmark.keyInterval)", "--no-audio",
        ]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        do { try process.run() } catch { throw BenchmarkError("The publisher can't be started: \(error.localizedDescription)") }
    }

    func end() {
        guard process.isRunning else { return }
        process.terminate()
        process.waitUntilExit()
    }
}
