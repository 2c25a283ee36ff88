// SPDX-License-Identifier: Apache-2.0
// What a process has used so far, from /proc: processor time by thread, memory, descriptors. Read by the benchmarks before
// and after what they measure.
import Foundation

struct ProcessUsage: Sendable {
    /// ns that each thread has run, by thread id, as the scheduler counts it (/proc/…/schedstat).
    var threads: [Int32: (name: String, nanoseconds: Int64)] = [:]
    /// Clock ticks in user mode and in the kernel (/proc/…/stat): coarser, used for their proportion only.
    var userTicks: Int64 = 0
    var systemTicks: Int64 = 0
    /// Bytes of resident memory.
    var resident: Int64 = 0
    var descriptors = 0
    var threadCount: Int { threads.count }

    /// - Throws: when there is no such process.
    init(of process: Int32) throws {
        let folder = "/proc/\(process)"
        guard let stat = Self.text("\(folder)/stat") else { throw BenchmarkError("The server has ended") }
        // The name in brackets may have spaces in it; the fields behind it are counted from 3 (proc(5)).
        let fields = stat[(stat.lastIndex(of: ")") ?? stat.startIndex)...].split(separator: " ")
        if fields.count > 13 {
            userTicks = Int64(fields[12]) ?? 0
            systemTicks = Int64(fields[13]) ?? 0
        }
        for entry in (try? FileManager.default.contentsOfDirectory(atPath: "\(folder)/task")) ?? [] {
            guard let id = Int32(entry), let name = Self.text("\(folder)/task/\(entry)/comm"),
                let times = Self.text("\(folder)/task/\(entry)/schedstat"), let first = times.split(separator: " ").first
            else { continue }
            threads[id] = (name.trimmingCharacters(in: .whitespacesAndNewlines), Int64(first) ?? 0)
        }
        for line in (Self.text("\(folder)/status") ?? "").split(separator: "\n") where line.hasPrefix("VmRSS:") {
            resident = (line.split { !$0.isNumber }.first.flatMap { Int64($0) } ?? 0) * 1024
        }
        descriptors = (try? FileManager.default.contentsOfDirectory(atPath: "\(folder)/fd").count) ?? 0
    }

    /// ns of processor time since `earlier`.
    func nanoseconds(since earlier: ProcessUsage) -> Int64 {
        threads.reduce(0) { $0 + $1.value.nanoseconds - (earlier.threads[$1.key]?.nanoseconds ?? 0) }
    }

    /// Of that, what the threads used whose names begin with `prefix`.
    func nanoseconds(since earlier: ProcessUsage, threadsNamed prefix: String) -> Int64 {
        threads.reduce(0) {
            $1.value.name.hasPrefix(prefix) ? $0 + $1.value.nanoseconds - (earlier.threads[$1.key]?.nanoseconds ?? 0) : $0
        }
    }

    /// The part of the time since `earlier` that was spent in the kernel, 0…1.
    func systemShare(since earlier: ProcessUsage) -> Double {
        let user = userTicks - earlier.userTicks, system = systemTicks - earlier.systemTicks
        return user + system > 0 ? Double(system) / Double(user + system) : 0
    }

    private static func text(_ path: String) -> String? {
        // /proc files have no length; FileManager reads them to their end.
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
    }
}
