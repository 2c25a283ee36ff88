// SPDX-License-Identifier: Apache-2.0
// How much memory this process may use: the machine's, or less where a container or a service manager says so. The default of the
// setting memory_budget is made of it.
import Glibc
import Primitives

enum MemoryLimit {
    /// Bytes: the least of the machine's memory and the limits of the control groups that the process is in.
    static var ofProcess: Int {
        let machine = Int(clamping: Int64(sysconf(Int32(_SC_PHYS_PAGES)))).multipliedSaturating(by: sysconf(Int32(_SC_PAGESIZE)))
        return controlGroups(membership: text("/proc/self/cgroup") ?? "", read: text).map { min($0, machine) } ?? machine
    }

    /// The least limit on the way from the process's group to the root, of version 1 or 2; `nil` when there is none.
    static func controlGroups(membership: String, read: (String) -> String?) -> Int? {
        var limits: [Int] = []
        for line in membership.split(separator: "\n") {
            // number:controllers:path; version 2 has no controllers.
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let (root, name): (String, String)
            if parts[1].isEmpty {
                (root, name) = ("/sys/fs/cgroup", "memory.max")
            } else if parts[1].split(separator: ",").contains("memory") {
                (root, name) = ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            } else {
                continue
            }
            var path = String(parts[2])
            // In a container the path may be that of the host, which isn't there: its own group is then the root.
            while true {
                if let limit = read(root + (path == "/" ? "" : path) + "/" + name).flatMap({ Int($0.filter(\.isNumber)) }), limit > 0 { limits.append(limit) }
                guard let slash = path.lastIndex(of: "/"), path != "/" else { break }
                path = slash == path.startIndex ? "/" : String(path[..<slash])
            }
        }
        return limits.min()
    }

    private static func text(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 4_096)
        let count = read(descriptor, &bytes, bytes.count)
        return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
    }
}

extension Settings {
    /// The budget from which whoever buffers for a remote takes.
    func makeMemoryBudget() -> MemoryBudget {
        let megabyte = 1 << 20
        let limit = memoryBudget > 0 ? memoryBudget.multipliedSaturating(by: megabyte) : MemoryLimit.ofProcess / 2
        return MemoryBudget(limit: max(limit, 32 * megabyte), share: memoryPerAddress.multipliedSaturating(by: megabyte))
    }
}
