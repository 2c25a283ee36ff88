// SPDX-License-Identifier: Apache-2.0
// `martlet bench record`: what recording costs a busy server, whether anything gets lost, and who does the writing.
import Codecs
import Foundation

public enum RecordBenchmark {
    /// - Parameter streams: of 2.5 Mbit/s, all recorded at once.
    public static func run(streams: Int, _ options: BenchmarkOptions) async throws -> Figures {
        try await Bench.run(options) { bench in
            let say = options.progress
            let shape = options.shape
            say("\(streams) × \(shape.name)")
            let publishers = try await bench.publish(streams, shape: shape)
            try await Task.sleep(for: .seconds(1))
            say("\(Int(options.seconds)) s without recording")
            let plain = try await Window.measure(bench, publishers, seconds: options.seconds)
            say("recording")
            for publisher in publishers {
                try await bench.server.post("recorder/startup", "{\"mediaSessionId\":\"\(publisher.mediaSessionID)\"}")
            }
            // A recording begins with sender reports and a key frame.
            try await Task.sleep(for: .seconds(5))
            say("\(Int(options.seconds)) s with recording")
            let recorded = try await Window.measure(bench, publishers, seconds: options.seconds)
            guard let lost = try await bench.server.statistic("record_packets_lost") else { throw BenchmarkError("The server has no figure of recordings") }
            say("finishing the files")
            let ending = ContinuousClock.now
            for publisher in publishers {
                try await bench.server.post("recorder/terminate", "{\"mediaSessionId\":\"\(publisher.mediaSessionID)\"}")
            }
            let endSeconds = (ContinuousClock.now - ending) / .seconds(1)
            await bench.leave(publishers)
            let files = try Self.look(into: bench.server.folder + "/records", framesPerSecond: shape.framesPerSecond)

            var figures = Figures()
            figures.add("benchmark", "Benchmark", .text("record"))
            figures.add("stream", "Stream", .text(shape.name))
            figures.add("streams", "Streams", streams)
            figures.add("seconds", "Measured", recorded.seconds, "s")
            figures.add("packets_per_second", "Packets", Double(recorded.packets) / recorded.seconds, "/s")
            figures.add("packets_lost", "Packets that the recorder has dropped", lost)
            figures.add("pictures_lost", "Pictures missing in the files", files.missing)
            figures.add("files", "Files", files.count)
            figures.add("recorded_seconds", "  their length together", files.seconds, "s")
            let packets = Double(max(1, recorded.packets))
            let worker = recorded.worker / packets
            let server = recorded.server / packets - plain.server / Double(max(1, plain.packets))
            figures.add("cpu_us_per_packet", "Recording: processor time per packet, server and workers", (worker + max(0, server)) / 1000, "µs")
            figures.add("cpu_workers_us_per_packet", "  of that in the workers", worker / 1000, "µs")
            figures.add(
                "cpu_media_us_per_packet", "  of that on media threads",
                (recorded.media / packets - plain.media / Double(max(1, plain.packets))) / 1000, "µs")
            figures.add("cpu_server_us_per_packet_before", "Server without recording: per packet", plain.server / Double(max(1, plain.packets)) / 1000, "µs")
            figures.add("media_disk_bytes", "Bytes that media threads have written to files", recorded.mediaDiskBytes)
            figures.add("media_disk_ms", "Time media threads have waited for the disk", recorded.mediaDiskMilliseconds, "ms")
            figures.add("writes_per_stream_second", "Writes of the workers per stream and second", Double(recorded.writes) / recorded.seconds / Double(streams))
            figures.add("bytes_per_write", "  bytes in each", Double(recorded.writtenBytes) / Double(max(1, recorded.writes)))
            figures.add("workers", "Worker processes", recorded.workers)
            figures.add("finishing_seconds", "All files finished after", endSeconds, "s")
            return figures
        }
    }

    /// Pictures that are missing: gaps between neighbours that a picture would fit into.
    private static func look(into folder: String, framesPerSecond: Int) throws -> (count: Int, missing: Int, seconds: Double) {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".mp4") }
        var missing = 0, seconds = 0.0
        for name in names {
            let file = try Demuxer(path: folder + "/" + name)
            var last: Int64?, end: Int64 = 0
            let period = 1_000_000 / Int64(framesPerSecond)
            while let next = try file.next() {
                guard case .video = file.tracks[next.track] else { continue }
                let time = next.packet.timestamp
                if let last { missing += Int(max(0, (time - last + period / 2) / period - 1)) }
                last = time
                end = max(end, time)
            }
            seconds += Double(end) / 1e6
        }
        return (names.count, missing, seconds)
    }

    /// What happened in a stretch of time.
    private struct Window {
        var seconds = 0.0
        /// Sent by the publishers.
        var packets: UInt64 = 0
        /// ns of processor time: of the server's process, of its media threads, of its workers.
        var server = 0.0, media = 0.0, worker = 0.0
        var mediaDiskBytes: Int64 = 0, mediaDiskMilliseconds = 0.0
        /// Of the workers.
        var writes: Int64 = 0, writtenBytes: Int64 = 0
        var workers = 0

        static func measure(_ bench: Bench, _ publishers: [LoadGenerator.Seat], seconds: Double) async throws -> Window {
            let children = ProcessUsage.children(of: bench.server.id)
            func sent() async throws -> UInt64 {
                var sum: UInt64 = 0
                for publisher in publishers { sum += try await bench.load.publisherCounters(of: publisher).packets }
                return sum
            }
            let start = LoadClock.now(), packets = try await sent()
            let server = try ProcessUsage(of: bench.server.id), workers = children.compactMap { try? ProcessUsage(of: $0) }
            let media = DiskUsage(of: bench.server.id, threadsNamed: "reactor"), disk = children.map { DiskUsage(of: $0) }
            try await Task.sleep(for: .seconds(seconds))
            var window = Window()
            window.seconds = Double(LoadClock.now() - start) / 1e9
            window.packets = try await sent() - packets
            let now = try ProcessUsage(of: bench.server.id)
            window.server = Double(now.nanoseconds(since: server))
            window.media = Double(now.nanoseconds(since: server, threadsNamed: "reactor"))
            window.workers = children.count
            for (child, before) in zip(children, workers) {
                if let usage = try? ProcessUsage(of: child) { window.worker += Double(usage.nanoseconds(since: before)) }
            }
            let mediaNow = DiskUsage(of: bench.server.id, threadsNamed: "reactor")
            window.mediaDiskBytes = mediaNow.storedBytes - media.storedBytes
            window.mediaDiskMilliseconds = mediaNow.waitMilliseconds - media.waitMilliseconds
            for (child, before) in zip(children, disk) {
                let usage = DiskUsage(of: child)
                window.writes += usage.writes - before.writes
                window.writtenBytes += usage.writtenBytes - before.writtenBytes
            }
            return window
        }
    }
}
