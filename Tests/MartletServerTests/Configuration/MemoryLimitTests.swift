// SPDX-License-Identifier: Apache-2.0
// The memory that a process may use, out of the machine's and its control groups'.
import Testing

@testable import MartletServer

@Suite("Memory limit")
struct MemoryLimitTests {
    @Test("the least limit between a group and the root counts, in both versions of control groups", arguments: [
        ("0::/\n", ["/sys/fs/cgroup/memory.max": "max\n"], nil as Int?),
        ("0::/\n", ["/sys/fs/cgroup/memory.max": "536870912\n"], 536_870_912),
        ("0::/a.slice/b.service\n", ["/sys/fs/cgroup/a.slice/memory.max": "1000000", "/sys/fs/cgroup/a.slice/b.service/memory.max": "2000000"], 1_000_000),
        ("0::/host/path\n", ["/sys/fs/cgroup/memory.max": "3000000"], 3_000_000),
        ("9:cpu:/x\n4:memory:/docker/1\n", ["/sys/fs/cgroup/memory/memory.limit_in_bytes": "5000000"], 5_000_000),
        ("", [:], nil), ("rubbish", [:], nil),
    ])
    func controlGroups(membership: String, files: [String: String], expected: Int?) {
        #expect(MemoryLimit.controlGroups(membership: membership, read: { files[$0] }) == expected)
    }

    @Test("this machine has some, and the budget's default is half of it")
    func machine() {
        #expect(MemoryLimit.ofProcess > 64 << 20)
        #expect(Settings().makeMemoryBudget().limit == MemoryLimit.ofProcess / 2)
        var settings = Settings()
        settings.memoryBudget = 100
        #expect(settings.makeMemoryBudget().limit == 100 << 20)
        #expect(settings.makeMemoryBudget().share == 64 << 20)
    }
}
