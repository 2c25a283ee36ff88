// SPDX-License-Identifier: Apache-2.0
// `martlet bench rtmp`: the same players, first of a WebRTC publisher, then of an RTMP encoder; what a packet costs each time, and what the
// conversion of the sound costs beside it. The encoder is ffmpeg, sending a file that was made before the measurement.
import Foundation

public enum RTMPBenchmark {
    /// - Parameter players: of each stream.
    public static func run(players: Int, _ options: BenchmarkOptions) async throws -> Figures {
        let file = try makeFile(in: options.folder)
        return try await Bench.run(options) { bench in
            var figures = Figures()
            figures.add("benchmark", "Benchmark", .text("rtmp"))
            figures.add("players", "Players", players)
            options.progress("\(players) players of a WebRTC publisher (\(options.shape.name))")
            let publishers = try await bench.publish(1, shape: options.shape)
            let webrtc = try await measure(bench, players, "webrtc", "WebRTC", &figures)
            await bench.leave(publishers)

            options.progress("\(players) players of an RTMP encoder (720p, 25 fps, 2.5 Mbit/s, AAC)")
            let encoder = Process()
            encoder.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            encoder.arguments = [
                "ffmpeg", "-v", "error", "-nostdin", "-re", "-stream_loop", "-1", "-i", file, "-c", "copy", "-f", "flv",
                "rtmp://127.0.0.1:\(bench.server.rtmpPort)/live/s0",
            ]
            encoder.standardInput = FileHandle.nullDevice
            do { try encoder.run() } catch { throw BenchmarkError("ffmpeg can't be started: \(error.localizedDescription)") }
            defer { encoder.terminate() }
            try await Task.sleep(for: .seconds(3))
            let rtmp = try await measure(bench, players, "rtmp", "RTMP", &figures)
            figures.add("ratio", "RTMP / WebRTC, per packet", rtmp / webrtc)
            return figures
        }
    }

    /// Puts players on stream s0 and measures. Returns µs of the server's processor time per packet.
    private static func measure(_ bench: Bench, _ players: Int, _ key: String, _ name: String, _ figures: inout Figures) async throws -> Double {
        let seats = try await bench.play(players)
        let deadline = ContinuousClock.now + .seconds(30)
        while try await bench.load.counters(of: seats).contains(where: { $0.packets < 100 }) {
            guard ContinuousClock.now < deadline else { throw BenchmarkError("Not all players got media within 30 s") }
            try await Task.sleep(for: .milliseconds(100))
        }
        try await Task.sleep(for: .seconds(2))
        let workers = try workerSeconds(of: bench.server.id)
        let measured = try await bench.measure(seats)
        let converting = (try workerSeconds(of: bench.server.id) - workers) / measured.seconds
        await bench.leave(seats)
        // The encoder's packets carry no stamp, so what counts is what came.
        let packets = measured.players.packets
        let perPacket = measured.ends[0].processorSeconds(since: measured.starts[0]) * 1e6 / Double(max(1, packets))
        figures.add("packets_per_second_\(key)", "\(name): delivered packets", Double(packets) / measured.seconds, "/s")
        figures.add("cpu_us_per_packet_\(key)", "\(name): processor time per packet", perPacket, "µs")
        let lost = measured.players.expected > packets ? measured.players.expected - packets : 0
        figures.add("lost_packets_\(key)", "\(name): lost packets", lost)
        figures.add("worker_percent_\(key)", "\(name): workers, load of one core", converting * 100, "%")
        return perPacket
    }

    /// Processor seconds of the server's child processes that live.
    private static func workerSeconds(of server: Int32) throws -> Double {
        let folder = "/proc/\(server)/task"
        var seconds = 0.0
        for thread in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
            let text = (try? String(contentsOfFile: "\(folder)/\(thread)/children", encoding: .utf8)) ?? ""
            for child in text.split(separator: " ").compactMap({ Int32($0.trimmingCharacters(in: .whitespacesAndNewlines)) }) {
                guard let stat = try? String(contentsOfFile: "/proc/\(child)/stat", encoding: .utf8), let end = stat.lastIndex(of: ")") else { continue }
                // Fields 14 and 15 of proc(5), in ticks of 10 ms; the third comes first behind the name.
                let fields = stat[end...].split(separator: " ").dropFirst()
                seconds += fields.dropFirst(11).prefix(2).compactMap { Double($0) }.reduce(0, +) / 100
            }
        }
        return seconds
    }

    /// Ten seconds to be sent in a loop.
    private static func makeFile(in folder: String) throws -> String {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let path = "\(folder)/rtmp-source.flv"
        if FileManager.default.fileExists(atPath: path) { return path }
        let maker = Process()
        maker.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        maker.arguments = [
            "ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=s=1280x720:r=25,noise=alls=30:allf=t", "-f", "lavfi", "-i",
            "sine=440:r=48000", "-t", "10", "-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-g", "50", "-b:v", "2500k", "-maxrate",
            "2500k", "-bufsize", "2500k", "-pix_fmt", "yuv420p", "-c:a", "aac", "-ac", "2", "-b:a", "64k", "-f", "flv", path,
        ]
        do { try maker.run() } catch { throw BenchmarkError("ffmpeg can't be started: \(error.localizedDescription)") }
        maker.waitUntilExit()
        guard maker.terminationStatus == 0 else { throw BenchmarkError("ffmpeg could not make \(path)") }
        return path
    }
}
