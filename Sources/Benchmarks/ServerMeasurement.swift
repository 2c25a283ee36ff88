// SPDX-License-Identifier: Apache-2.0
// What the server did between two moments: processor time and allocations, told per packet.

struct ServerMeasurement: Sendable {
    private let usage: ProcessUsage
    private let allocations: [Int32: UInt64]
    private let time: Int64

    /// Reads where the server stands now.
    init(_ server: ServerProcess) throws {
        usage = try ProcessUsage(of: server.id)
        allocations = server.allocations?.read() ?? [:]
        time = LoadClock.now()
    }

    var resident: Int64 { usage.resident }
    var descriptors: Int { usage.descriptors }
    var threadCount: Int { usage.threadCount }
    func seconds(since earlier: ServerMeasurement) -> Double { Double(time - earlier.time) / 1e9 }
    /// Processor seconds of the whole process.
    func processorSeconds(since earlier: ServerMeasurement) -> Double { Double(usage.nanoseconds(since: earlier.usage)) / 1e9 }

    /// Allocations of the media threads and of all.
    private func allocations(since earlier: ServerMeasurement) -> (media: UInt64, all: UInt64) {
        var media: UInt64 = 0, all: UInt64 = 0
        for (thread, count) in allocations {
            // A thread that is gone keeps its count; one that came in between began at zero.
            let delta = count &- (earlier.allocations[thread] ?? 0)
            all &+= delta
            if usage.threads[thread]?.name.hasPrefix("reactor") ?? false { media &+= delta }
        }
        return (media, all)
    }

    /// Allocations of the media threads a second: what connections cost whether media flows or not, when none did since `earlier`.
    func mediaAllocationsPerSecond(since earlier: ServerMeasurement) -> Double {
        Double(allocations(since: earlier).media) / seconds(since: earlier)
    }

    /// Adds processor time and allocations since `earlier`, told per packet.
    ///
    /// - Parameter idleAllocations: of the media threads a second while no media flows; what goes beyond is the packets'.
    /// - Returns: µs of processor time per packet.
    func describe(
        since earlier: ServerMeasurement, packets: UInt64, hasCounter: Bool, idleAllocations: Double = 0, prefix: String = "",
        into figures: inout Figures
    ) -> Double {
        let n = Double(max(1, packets))
        let nanoseconds = Double(usage.nanoseconds(since: earlier.usage))
        let media = Double(usage.nanoseconds(since: earlier.usage, threadsNamed: "reactor"))
        let share = usage.systemShare(since: earlier.usage)
        let name = prefix.isEmpty ? "Server" : "Server \(prefix.uppercased())"
        let key = prefix.isEmpty ? "" : "_\(prefix)"
        let perPacket = nanoseconds / 1000 / n
        figures.add("cpu_us_per_packet\(key)", "\(name): processor time per packet", perPacket, "µs")
        figures.add("cpu_user_us_per_packet\(key)", "  of that in user mode", perPacket * (1 - share), "µs")
        figures.add("cpu_system_us_per_packet\(key)", "  of that in the kernel", perPacket * share, "µs")
        figures.add("cpu_media_us_per_packet\(key)", "  of that on media threads", media / 1000 / n, "µs")
        figures.add("cpu_percent\(key)", "\(name): load of one core", nanoseconds / 1e7 / seconds(since: earlier), "%")
        if hasCounter {
            let (media, all) = allocations(since: earlier)
            let ofPackets = max(0, Double(media) - idleAllocations * seconds(since: earlier))
            figures.add("allocations_per_packet\(key)", "\(name): allocations per packet on media threads", ofPackets / n)
            figures.add("allocations_per_second_process\(key)", "  a second, all threads, whatever they are for", Double(all) / seconds(since: earlier))
        } else {
            figures.add("allocations_per_packet\(key)", "\(name): allocations per packet", .missing("no C compiler to make the counter with"))
        }
        return perPacket
    }
}
