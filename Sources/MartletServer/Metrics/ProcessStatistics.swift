// SPDX-License-Identifier: Apache-2.0
// Figures of the process and the machine, from /proc: the `system` and `core` sections of the statistics page.
import Foundation
import Synchronization
import Signalling

/// Memory, processor time and threads of this process and machine. Values that can't be read are left out.
final class ProcessStatistics: StatSource {
    private let version: String
    private let startTime = Timestamp.milliseconds
    private let lastSample = Mutex<(wall: Double, processor: Double, percent: Double)?>(nil)

    init(version: String) { self.version = version }

    func statSections() async -> [StatSection] {
        var system: [(key: String, value: JSONValue)] = []
        let memory = Self.fields(of: "/proc/meminfo")
        if let total = memory["MemTotal"] { system.append(("system_memory_total", JSONValue(total * 1024))) }
        if let free = memory["MemAvailable"] { system.append(("system_memory_free", JSONValue(free * 1024))) }
        // The name is WCS's; what it means to its reader is the share of the processor the server takes.
        if let usage = processorPercent() { system.append(("system_java_cpu_usage", .number(usage))) }

        let status = Self.fields(of: "/proc/self/status")
        var core: [(key: String, value: JSONValue)] = [("core_version", .string(version))]
        core.append(("core_uptime_ms", .integer(Timestamp.milliseconds - startTime)))
        if let threads = status["Threads"] { core.append(("core_threads", JSONValue(threads))) }
        if let resident = status["VmRSS"] { core.append(("core_memory_resident", JSONValue(resident * 1024))) }
        if let files = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count {
            core.append(("core_open_files", JSONValue(files)))
        }
        return [StatSection("system", system), StatSection("core", core)]
    }

    /// Processor time of the process since the last call, in percent of one core, one decimal; over its whole life at first.
    private func processorPercent() -> Double? {
        var usage = rusage()
        guard getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return nil }
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        let processor = seconds(usage.ru_utime) + seconds(usage.ru_stime)
        let wall = Double(Timestamp.milliseconds) / 1000
        return lastSample.withLock { last in
            let from = last.map { ($0.wall, $0.processor) } ?? (Double(startTime) / 1000, 0)
            // Two readers at once shall both see a sensible figure.
            if let last, wall - from.0 < 0.5 { return last.percent }
            let percent = wall > from.0 ? ((processor - from.1) / (wall - from.0) * 1000).rounded() / 10 : 0
            last = (wall, processor, percent)
            return percent
        }
    }

    /// `Name:   123 kB` lines.
    private static func fields(of path: String) -> [String: Int] {
        guard let data = FileManager.default.contents(atPath: path) else { return [:] }
        var result: [String: Int] = [:]
        for line in String(decoding: data, as: UTF8.self).split(separator: "\n") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let digits = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }.prefix { $0.isNumber }
            if let value = Int(digits) { result[String(line[..<colon])] = value }
        }
        return result
    }
}
