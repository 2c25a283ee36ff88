// SPDX-License-Identifier: Apache-2.0
// What threads of a process have written so far, from /proc/…/io and /proc/…/stat (proc(5)). Read by the benchmark of recording.
import Foundation

struct DiskUsage: Sendable {
    /// System calls that write, and their bytes: to files, pipes and sockets alike.
    var writes: Int64 = 0, writtenBytes: Int64 = 0
    /// Bytes that had to go to a file system.
    var storedBytes: Int64 = 0
    /// Time in which a thread could do nothing but wait for a disk.
    var waitMilliseconds = 0.0

    /// Of the threads whose names begin with `prefix`, or of all. What can't be read counts as nothing.
    init(of process: Int32, threadsNamed prefix: String = "") {
        let folder = "/proc/\(process)/task"
        for thread in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
            guard let name = Self.text("\(folder)/\(thread)/comm"), name.hasPrefix(prefix) else { continue }
            for line in (Self.text("\(folder)/\(thread)/io") ?? "").split(separator: "\n") {
                let parts = line.split(separator: ":")
                guard parts.count == 2, let value = Int64(parts[1].trimmingCharacters(in: .whitespaces)) else { continue }
                switch parts[0] {
                case "syscw": writes += value
                case "wchar": writtenBytes += value
                case "write_bytes": storedBytes += value
                default: break
                }
            }
            // delayacct_blkio_ticks is field 42; those behind the name in brackets are counted from 3.
            guard let stat = Self.text("\(folder)/\(thread)/stat"), let end = stat.lastIndex(of: ")") else { continue }
            let fields = stat[end...].split(separator: " ")
            if fields.count > 40, let ticks = Double(fields[40]) { waitMilliseconds += ticks * 1000 / Double(sysconf(Int32(_SC_CLK_TCK))) }
        }
    }

    private static func text(_ path: String) -> String? {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
    }
}

extension ProcessUsage {
    /// The processes that another has started and that still run.
    static func children(of process: Int32) -> [Int32] {
        let folder = "/proc/\(process)/task"
        return ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).flatMap { thread -> [Int32] in
            let list = FileManager.default.contents(atPath: "\(folder)/\(thread)/children").map { String(decoding: $0, as: UTF8.self) } ?? ""
            return list.split(separator: " ").compactMap { Int32($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
        }
    }
}
