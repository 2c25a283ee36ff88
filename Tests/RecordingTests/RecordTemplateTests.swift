// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import Recording

struct RecordTemplateTests {
    private let facts: RecordFacts = {
        var facts = RecordFacts(streamName: "cam", mediaSessionID: "1234", sessionID: "/1.2.3.4:5/x", login: "Alice")
        facts.startTime = 1_700_000_000_123
        return facts
    }()
    private func name(_ text: String, _ facts: RecordFacts? = nil, end: Int64? = 1_700_000_060_000, number: Int = 1) throws -> String {
        try #require(RecordTemplate(text)).name(
            facts ?? self.facts, end: end, milliseconds: 59_877, audioCodec: "aac", videoCodec: "h264", fileExtension: "mp4", number: number)
    }

    @Test("every element has its value")
    func elements() throws {
        #expect(try name("stream-{mediaSessionId}-{login}") == "stream-1234-Alice.mp4")
        #expect(try name("{streamName}-{startTime}-{endTime}") == "cam-2023-11-14-22-13-20-2023-11-14-22-14-20.mp4")
        #expect(try name("{startTimeMillis}_{endTimeMillis}_{duration}") == "1700000000123_1700000060000_59877.mp4")
        #expect(try name("{audioCodec}{videoCodec}") == "aach264.mp4")
        #expect(try name("{sessionId}") == Data("/1.2.3.4:5/x".utf8).base64EncodedString() + ".mp4")
    }

    @Test("what is not known while recording stays as it is written")
    func unknown() throws {
        #expect(try name("{streamName}-{endTime}", end: nil) == "cam-{endTime}.mp4")
    }

    @Test("elements that don't exist are refused", arguments: ["{nothing}", "", "a{", "}", "{streamName"])
    func refused(text: String) { #expect(RecordTemplate(text) == nil) }

    @Test("no template and no name is a path or hidden", arguments: ["../../{streamName}", "/etc/passwd", "..", ".", "a\\b", "{streamName}"])
    func safe(text: String) throws {
        var facts = facts
        facts.streamName = "../..//.x\0\n%2e"
        let name = try name(text, facts)
        #expect(!name.contains("/") && !name.contains("\\") && !name.hasPrefix(".") && !name.contains("\0") && !name.contains("%") && !name.contains("\n"))
    }

    @Test("names are cut to 255 bytes, ending and number included, never in the middle of a character")
    func cut() throws {
        var facts = facts
        facts.streamName = String(repeating: "ж", count: 4096)
        let name = try name("{streamName}", facts, number: 12)
        #expect(name.utf8.count <= 255 && name.utf8.count > 250 && name.hasSuffix("_12.mp4"))
        #expect(!name.contains("\u{fffd}"))
    }

    @Test("sizes and times of rotation", arguments: [
        ("20M", 20 << 20, 0), ("1G", 1 << 30, 0), ("30m", 0, 1_800_000), ("90s", 0, 90_000), ("2h", 0, 7_200_000), ("600", 0, 600_000), ("", 0, 0),
    ] as [(String, Int64, Int64)])
    func rotation(text: String, bytes: Int64, milliseconds: Int64) throws {
        let rotation = try #require(RecordRotation(text))
        #expect(rotation.bytes == bytes && rotation.milliseconds == milliseconds)
    }

    @Test("what is no size and no time is refused", arguments: ["often", "-5M", "1K", "20X", "99999999999M", "M"])
    func noRotation(text: String) { #expect(RecordRotation(text) == nil) }

    @Test("formats are pairs of what can be written")
    func formats() throws {
        #expect(try #require(RecordFormats("h264-mkv, vp8-mkv")).container(for: .h264) == .matroska)
        #expect(try #require(RecordFormats("h264-webm")).container(for: .vp8) == .webm)
        #expect(RecordFormats("vp8-mp4") == nil && RecordFormats("h264") == nil && RecordFormats("x-y") == nil)
        #expect(RecordFormats().container(for: nil) == .mp4)
    }
}
