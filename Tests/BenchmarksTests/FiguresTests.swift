// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import Benchmarks

@Suite("Figures")
struct FiguresTests {
    @Test("JSON is one line with every figure, in the order they were added")
    func json() throws {
        var figures = Figures()
        figures.add("benchmark", "Benchmark", .text("a \"quoted\"\nname"))
        figures.add("players", "Players", 100)
        figures.add("cpu_us_per_packet", "CPU", 1.23456, "µs")
        figures.add("latency_ms_p50", "Latency", nil, "ms", otherwise: "no packet arrived")
        let text = figures.json
        #expect(!text.contains("\n"))
        let object = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        #expect(object["benchmark"] as? String == "a \"quoted\"\nname")
        #expect(object["players"] as? Int == 100)
        #expect(object["cpu_us_per_packet"] as? Double == 1.235)
        #expect(object["latency_ms_p50"] is NSNull)
        let keys = ["benchmark", "players", "cpu_us_per_packet", "latency_ms_p50"].compactMap { text.range(of: $0)?.lowerBound }
        #expect(keys == keys.sorted())
    }

    @Test("the table says why a figure is missing")
    func missing() {
        var figures = Figures()
        figures.add("a", "Allocations", .missing("no C compiler"))
        #expect(figures.table.contains("no C compiler"))
    }

    @Test("the slope of a memory curve is that of its line")
    func slope() {
        let points = (0..<10).map { (seconds: Double($0), bytes: 1000 + 250 * Double($0)) }
        #expect(abs(ChurnBenchmark.slope(points) - 250) < 1e-9)
        #expect(ChurnBenchmark.slope([]) == 0)
    }
}
