// SPDX-License-Identifier: Apache-2.0
// Who may take from the memory budget, who is refused, and who is asked to go.
import Primitives
import Synchronization
import Testing

@Suite("Memory budget")
struct MemoryBudgetTests {
    private let megabyte = 1 << 20
    private func network(_ number: UInt32) -> AddressKey { AddressKey(SocketAddress(ipv4: number, port: 1)) }

    /// Notes who was asked to go.
    private final class Leavers: Sendable {
        private let names = Mutex<[String]>([])
        var all: [String] { names.withLock { $0 } }
        func account(_ budget: MemoryBudget, _ name: String, _ network: AddressKey) -> MemoryAccount {
            budget.account(for: network) { [weak self] _ in self?.names.withLock { $0.append(name) } }
        }
    }

    @Test("what is taken counts, what is given back or dropped doesn't")
    func balance() {
        let budget = MemoryBudget(limit: 100 * megabyte, share: 100 * megabyte)
        let account = budget.account(for: network(1))
        #expect(account.take(megabyte) == nil)
        #expect(budget.statistics.used >= megabyte && budget.statistics.used < 2 * megabyte)
        account.give(megabyte)
        #expect(budget.statistics.used == 0)
        do {
            let dropped = budget.account(for: network(1))
            #expect(dropped.set(5 * megabyte) == nil)
            #expect(dropped.held == 5 * megabyte)
        }
        #expect(budget.statistics.used == 0)
        #expect(budget.statistics.highest >= 5 * megabyte)
        #expect(budget.statistics.holders == 0)
    }

    @Test("nothing is taken beyond the limit, and a refused take changes nothing")
    func limit() {
        let budget = MemoryBudget(limit: 10 * megabyte, share: 10 * megabyte)
        let fixed = budget.account(for: nil)
        fixed.note(9 * megabyte)
        let account = budget.account(for: network(1))
        #expect(account.take(2 * megabyte) == .server)
        #expect(account.held == 0)
        #expect(account.take(.max) == .server)
        #expect(account.held == 0)
        #expect(budget.statistics.used < 10 * megabyte)
        #expect(budget.statistics.refusedByLimit == 2)
    }

    @Test("above four fifths no new work is let in, and the largest holders of the largest network go first")
    func pressure() {
        let budget = MemoryBudget(limit: 100 * megabyte, share: 100 * megabyte)
        let leavers = Leavers()
        let small = leavers.account(budget, "small", network(1))
        _ = small.set(4 * megabyte)
        let many = (0..<30).map { leavers.account(budget, "many-\($0)", network(2)) }
        for (index, account) in many.enumerated() { _ = account.set((index == 7 ? 4 : 2) * megabyte) }
        #expect(budget.admit(network(3)) == nil && leavers.all.isEmpty)
        let last = leavers.account(budget, "last", network(3))
        #expect(last.set(14 * megabyte) == nil)
        #expect(budget.admit(network(4)) == .server)
        #expect(leavers.all.first == "many-7")
        #expect(leavers.all.allSatisfy { $0.hasPrefix("many") }, "somebody went who held less: \(leavers.all)")
        // Those that were asked to go take nothing more.
        #expect(many[7].take(megabyte) == .evicted)
        for name in leavers.all { many[Int(name.dropFirst(5))!].close() }
        #expect(budget.statistics.used <= 71 * megabyte)
        #expect(budget.admit(network(4)) == nil)
    }

    @Test("an address that holds more than four fifths of its share loses its own largest holders, nobody else's")
    func share() {
        let budget = MemoryBudget(limit: 1000 * megabyte, share: 10 * megabyte)
        let leavers = Leavers()
        let other = leavers.account(budget, "other", network(1))
        #expect(other.set(7 * megabyte) == nil)
        let accounts = (0..<12).map { leavers.account(budget, "own-\($0)", network(2)) }
        var refused = 0
        for account in accounts where account.set(megabyte) != nil { refused += 1 }
        #expect(!leavers.all.isEmpty && leavers.all.allSatisfy { $0.hasPrefix("own") })
        #expect(budget.admit(network(2)) == .address)
        #expect(budget.admit(network(1)) == nil)
        #expect(budget.admit(network(3)) == nil)
        // While those that were asked don't go, the rest gets no more than the share.
        let extra = (0..<20).map { _ in leavers.account(budget, "extra", network(2)) }
        for account in extra where account.set(megabyte) != nil { refused += 1 }
        #expect(refused > 15)
        #expect(budget.statistics.used <= 17 * megabyte + megabyte / 2)
    }

    @Test("what belongs to no address counts in the sum, is never asked to go, asks nobody to go, and leaves half for the others")
    func shared() {
        let budget = MemoryBudget(limit: 10 * megabyte, share: megabyte)
        let ring = budget.account(for: nil) { _ in Issue.record("a ring was asked to go") }
        let holder = budget.account(for: network(2)) { _ in Issue.record("a holder was asked to go for a ring") }
        #expect(holder.take(megabyte / 2) == nil)
        #expect(ring.take(4 * megabyte) == nil)
        #expect(ring.take(2 * megabyte) == .server)
        #expect(ring.held == 4 * megabyte)
        #expect(budget.account(for: nil).take(megabyte) == .server)
        #expect(budget.admit(network(1)) == nil)
        #expect(budget.account(for: network(1)).take(megabyte / 2) == nil)
    }

    @Test("what is there already counts, whatever the limit says, and the largest holders make up for it once somebody asks for more")
    func facts() {
        let budget = MemoryBudget(limit: 10 * megabyte, share: 10 * megabyte)
        let leavers = Leavers()
        let large = leavers.account(budget, "large", network(1)), small = leavers.account(budget, "small", network(1))
        #expect(large.set(3 * megabyte) == nil && small.set(megabyte) == nil)
        let rings = budget.account(for: nil)
        rings.note(5 * megabyte + megabyte / 2)
        #expect(leavers.all.isEmpty)
        #expect(budget.admit(network(2)) == .server)
        #expect(small.take(megabyte / 8) == nil)
        #expect(leavers.all == ["large"])
        large.close()
        #expect(budget.admit(network(2)) == nil)
        rings.note(12 * megabyte)
        #expect(rings.held == 12 * megabyte && budget.statistics.used >= 13 * megabyte)
        rings.note(megabyte)
        small.close()
        rings.close()
        #expect(budget.statistics.used == 0)
    }

    @Test("little is not counted, so that thousands of idle connections cost no lock and no entry")
    func little() {
        let budget = MemoryBudget(limit: 10 * megabyte, share: megabyte)
        let account = budget.account(for: network(1))
        #expect(account.set(4_096) == nil)
        #expect(budget.statistics.used == 0 && budget.statistics.holders == 0)
        #expect(account.set(5_000) == nil)
        #expect(budget.statistics.used > 0 && budget.statistics.holders == 1)
    }

    @Test("many threads that take and give leave nothing behind")
    func concurrency() async {
        let budget = MemoryBudget(limit: 20 * megabyte, share: 8 * megabyte)
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<8 as Range<UInt32> {
                group.addTask {
                    for round in 0..<300 {
                        let account = budget.account(for: AddressKey(SocketAddress(ipv4: number % 3, port: 1)))
                        _ = account.take(round * 5_000)
                        _ = account.take(30_000)
                        account.give(10_000)
                    }
                }
            }
        }
        #expect(budget.statistics.used == 0 && budget.statistics.holders == 0)
        #expect(budget.statistics.highest <= 20 * megabyte)
    }
}
