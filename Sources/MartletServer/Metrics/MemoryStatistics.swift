// SPDX-License-Identifier: Apache-2.0
// Figures of the memory held for remotes, for the statistics page.
import Primitives
import Signalling

struct MemoryStatistics: StatSource {
    let budget: MemoryBudget

    func statSections() async -> [StatSection] {
        let figures = budget.statistics
        func count(_ value: UInt64) -> JSONValue { .integer(Int64(clamping: value)) }
        return [
            StatSection("memory", [
                ("memory_budget", JSONValue(figures.limit)), ("memory_budget_used", JSONValue(figures.used)),
                ("memory_budget_highest", JSONValue(figures.highest)), ("memory_budget_holders", JSONValue(figures.holders)),
                ("memory_budget_refused_new", count(figures.refusedNewWork)), ("memory_budget_refused_full", count(figures.refusedByLimit)),
                ("memory_budget_refused_address", count(figures.refusedByShare)), ("memory_budget_evicted", count(figures.evicted)),
            ]),
        ]
    }
}
