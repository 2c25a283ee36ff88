// SPDX-License-Identifier: Apache-2.0
// What the system says about a process that gives no sign: it waits for the disk, or it hangs. Asked by WorkerProcess about its own child.
import Foundation

enum ProcessVitals {
    /// true when one of the process's threads is in an uninterruptible wait, as for a disk. Linux only; false where nothing can be learned.
    static func waitsForDisk(_ pid: pid_t) -> Bool {
        let folder = "/proc/\(pid)/task"
        guard let threads = try? FileManager.default.contentsOfDirectory(atPath: folder) else { return false }
        return threads.contains { thread in
            guard let data = FileManager.default.contents(atPath: "\(folder)/\(thread)/stat") else { return false }
            return state(of: String(decoding: data, as: UTF8.self)) == "D"
        }
    }

    /// The state letter in a line of `/proc/…/stat`: it follows the name, which is in brackets and may itself hold brackets.
    static func state(of line: String) -> Character? {
        line.lastIndex(of: ")").flatMap { line[line.index(after: $0)...].first { $0 != " " } }
    }
}
