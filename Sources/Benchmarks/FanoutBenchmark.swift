// SPDX-License-Identifier: Apache-2.0
// `martlet bench fanout`: publishers and many players; what a delivered packet costs, against what sending must cost.

public enum FanoutBenchmark {
    /// - Parameters:
    ///   - streams: publishers.
    ///   - players: of each stream.
    ///   - name: what the figures are called.
    public static func run(
        streams: Int, players: Int, name: String = "fanout", _ options: BenchmarkOptions
    ) async throws -> Figures {
        try await Bench.run(options) { bench in
            let say = options.progress
            let shape = options.shape
            say("\(streams) × \(shape.name), \(players) players each")
            let publishers = try await bench.publish(streams, shape: shape)
            // What the server keeps of each stream (two groups of pictures) is not the players' memory.
            try await Task.sleep(for: .seconds(5))
            let empty = try ServerMeasurement(bench.server)
            let total = streams * players
            let seats = try await bench.play(total, streams: streams)
            try await bench.waitForPictures(seats)
            say("\(total) players have a picture; measuring for \(options.seconds) s")
            try await Task.sleep(for: .seconds(2))

            let measured = try await bench.measure(seats)
            for publisher in publishers { try await bench.load.pause(publisher) }

            say("Measuring the limit, and what the connections cost without media")
            let idle = try ServerMeasurement(bench.server)
            let limit = try SendLimit.measure(shape: shape, receivers: total, gro: options.gro)
            let paced = try SendLimit.measure(shape: shape, receivers: total, gro: options.gro, paced: true)
            // ICE asks every five seconds.
            let left = 10 - (try ServerMeasurement(bench.server)).seconds(since: idle)
            if left > 0 { try await Task.sleep(for: .seconds(left)) }
            let idleAllocations = (try ServerMeasurement(bench.server)).mediaAllocationsPerSecond(since: idle)
            await bench.leave(seats)
            await bench.leave(publishers)

            var figures = Figures()
            figures.add("benchmark", "Benchmark", .text(name))
            figures.add("stream", "Stream", .text(shape.name))
            figures.add("streams", "Streams", streams)
            figures.add("players", "Players", total)
            figures.add("paced", "Publishers pace their pictures", .text(options.isPaced ? "yes" : "no"))
            figures.add("gro", "Players take merged datagrams", .text(options.gro ? "yes" : "no"))
            let (seconds, delivered, start, end) = (measured.seconds, measured.delivered, measured.starts[0], measured.ends[0])
            figures.add("seconds", "Measured", seconds, "s")
            figures.add("packets_per_second", "Delivered packets", Double(delivered.packets) / seconds, "/s")
            figures.add("bitrate_mbps", "Delivered payload", Double(delivered.bytes) * 8 / seconds / 1e6, "Mbit/s")
            let perPacket = end.describe(
                since: start, packets: delivered.packets, hasCounter: bench.server.allocations != nil, idleAllocations: idleAllocations,
                into: &figures)
            if bench.server.allocations != nil {
                figures.add("allocations_per_player_second", "  per player and second for reports and ICE", idleAllocations / Double(total))
            }
            figures.add("limit_us_per_packet", "Limit: AES-128-GCM and batched sends", limit.microseconds, "µs")
            figures.add("limit_packets_per_run", "  packets a system call there", limit.packetsPerRun)
            figures.add("ratio_to_limit", "Server / limit", perPacket / limit.microseconds)
            figures.add("limit_paced_us_per_packet", "Limit with the stream's pauses", paced.microseconds, "µs")
            figures.add("ratio_to_paced_limit", "Server / limit with pauses", perPacket / paced.microseconds)
            Self.describe(measured.players, into: &figures)
            Self.describe(delivered.latency, into: &figures)
            figures.add(
                "kib_per_player", "Resident memory per player", Double(start.resident - empty.resident) / 1024 / Double(total), "KiB")
            figures.add("server_resident_mib", "Server: resident memory", Double(end.resident) / 1_048_576, "MiB")
            figures.add("generator_cpu_percent", "Load generator: load of one core", measured.generatorLoad * 100, "%")
            return figures
        }
    }

    /// What players counted, as figures.
    static func describe(_ sum: PlayerCounters, into figures: inout Figures) {
        let lost = sum.expected > sum.packets ? sum.expected - sum.packets : 0
        figures.add("lost_packets", "Lost packets", lost)
        figures.add("loss", "  as a fraction", Double(lost) / Double(max(1, sum.expected)))
        figures.add("retransmissions", "Retransmissions", sum.retransmissions)
        figures.add("duplicates", "Duplicates", sum.duplicates)
        figures.add("corrupt_packets", "Packets with wrong content", sum.corrupt)
        figures.add("skipped_packets", "Packets left out in order", sum.skipped)
    }

    /// Times from publisher to player, as figures.
    static func describe(_ latency: LatencyHistogram, into figures: inout Figures) {
        for (key, name, fraction) in [("p50", "median", 0.5), ("p99", "99 %", 0.99), ("p999", "99.9 %", 0.999)] {
            figures.add(
                "latency_ms_\(key)", "Forwarding latency, \(name)", latency.percentile(fraction).map { $0 / 1e6 }, "ms",
                otherwise: "no packet arrived")
        }
        figures.add("latency_ms_max", "Forwarding latency, longest", Double(latency.maximum) / 1e6, "ms")
    }
}
