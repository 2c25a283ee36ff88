// SPDX-License-Identifier: Apache-2.0
import HTTPTypes
import Signalling
import Testing

@testable import MartletServer

struct WebStatPageTests {
    private struct Source: StatSource {
        let sections: [StatSection]
        func statSections() async -> [StatSection] { sections }
    }

    private let harness = WebHarness(sources: [
        Source(sections: [
            StatSection("connection", [("connections", 3), ("connections_websocket", 2)]),
            StatSection("stream", [("streams_webrtc_in", 1)]),
            StatSection("transcoding", [("transcoding_video_full_info", ["cam": ["distributors": [:]]])]),
        ]),
        Source(sections: [StatSection("stream", [("streams_webrtc_out", 4)])]),
    ])

    /// The WCS console's reader, as far as it matters here.
    private func readAsConsole(_ text: String) throws -> [String: [String: String]] {
        var state: [String: [String: String]] = [:]
        var section: String?
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("-") {
                let name = String(line.drop { $0 == "-" }.prefix { $0.isLetter || $0 == "_" }).lowercased()
                try #require(!name.isEmpty, "a line of dashes only stops the console")
                section = name
                state[name] = [:]
            } else if !line.isEmpty {
                let name = try #require(section, "the first line must be a header")
                let parts = line.split(separator: "=", maxSplits: 1)
                state[name]?[String(parts[0])] = parts.count > 1 ? String(parts[1]) : ""
            }
        }
        return state
    }

    @Test("the text form is what the WCS console can read")
    func text() async throws {
        let answer = try await harness.send(.get, "/?action=stat&preventCache=Sat%20Nov%2021")
        #expect(answer.status == 200)
        #expect(answer.headers[.accessControlAllowOrigin] == "*")
        #expect(!answer.text.contains("\r"))
        #expect(try readAsConsole(answer.text) == [
            "connection": ["connections": "3", "connections_websocket": "2"],
            "stream": ["streams_webrtc_in": "1", "streams_webrtc_out": "4"],
        ])
    }

    @Test("the JSON form holds all groups or those asked for, under either of their names")
    func json() async throws {
        let all = try await harness.send(.get, "/?action=stat&format=json").json
        #expect(all?.objectValue?.keys.sorted() == ["connection_stats", "stream_stats", "transcoding_stats"])
        #expect(all?["stream_stats"] == ["streams_webrtc_in": 1, "streams_webrtc_out": 4])
        let one = try await harness.send(.get, "/?action=stat&format=json&groups=transcoding_stats").json
        #expect(one?["transcoding_stats"]?["transcoding_video_full_info"]?["cam"]?["distributors"] == [:])
        #expect(one?.objectValue?.count == 1)
        let plural = try await harness.send(.get, "/?action=stat&format=json&groups=connections_stats,streams").json
        #expect(plural?.objectValue?.keys.sorted() == ["connection_stats", "stream_stats"])
    }

    @Test("the figures of the process are there and sensible")
    func process() async throws {
        let sections = await ProcessStatistics(version: "1").statSections()
        let state = try readAsConsole(StatPage.text(sections))
        let total = try #require(state["system"]?["system_memory_total"].flatMap { Int($0) })
        let free = try #require(state["system"]?["system_memory_free"].flatMap { Int($0) })
        #expect(total > free && free > 0)
        #expect(state["core"]?["core_threads"].flatMap { Int($0) } ?? 0 > 0)
        #expect(state["system"]?["system_java_cpu_usage"] != nil)
    }

    @Test("health says that the server is up")
    func health() async throws {
        #expect(try await harness.send(.get, "/health").json == ["status": "UP"])
    }
}
