// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Mixing

struct CaptionTests {
    private func writer() throws -> CaptionWriter { try CaptionWriter(font: "sans-serif") }

    @Test("names of many scripts are drawn, each by letters of its own", arguments: [
        "Alice", "Алиса", "Αλίκη", "张伟", "田中さん", "김철수", "محمد", "דָּוִד", "अमित", "สมชาย", "Ñandú ß æ",
    ])
    func scripts(name: String) throws {
        let caption = try #require(try writer().caption(name, size: 40, width: 2000))
        #expect(caption.height == 56 && caption.width > 20 && caption.coverage.count == caption.width * caption.height)
        #expect(caption.coverage.count { $0 > 128 } > 100)
    }

    @Test("letters of one name differ, so they are no replacement boxes", arguments: ["АЖ", "张伟", "さん", "김철", "אש", "कम"])
    func differ(name: String) throws {
        let writer = try writer()
        let letters = name.map { writer.caption(String($0), size: 40, width: 400) }
        #expect(letters.allSatisfy { $0 != nil } && letters[0] != letters[1])
    }

    @Test("nothing in a name is a command", arguments: [
        #"{\b1}bold"#, #"a\Nb"#, #"\{x\}"#, "100% 'quoted' \"double\" %{n}", #"{\p1}m 0 0 l 9999 9999"#, #"\"#, "{", "}{", #"{\fs500}big"#,
        "a\nb\r\nDialogue: 0,0:00:00.00,9:59:59.00,Default,,0,0,0,,X", "[Events]", ",,,,,",
    ])
    func hostile(name: String) throws {
        let writer = try writer()
        let caption = try #require(writer.caption(name, size: 20, width: 4000))
        #expect(caption.height == 28)
        // All of it is to be seen: with the sign left out it is shorter.
        let shorter = writer.caption(String(name.filter { $0 != "\\" && $0 != "{" }), size: 20, width: 4000)
        if name.contains("\\") || name.contains("{") { #expect(caption.width > (shorter?.width ?? 0)) }
    }

    @Test("a long name is cut to the room there is, and ends in an ellipsis")
    func long() throws {
        let writer = try writer()
        let caption = try #require(writer.caption(String(repeating: "Müller-", count: 600), size: 20, width: 150))
        #expect(caption.width <= 150 && caption.width > 100)
        #expect(writer.caption("Maximilian", size: 20, width: 15) == nil)
    }

    @Test("what is not to be seen makes no caption", arguments: ["", "   ", "\u{0}\u{7}\u{1b}", "\u{2028}"])
    func empty(name: String) throws { #expect(try writer().caption(name, size: 20, width: 500) == nil) }

    @Test("letters with hundreds of marks take no more room than others")
    func stacked() throws {
        let name = "Z" + String(repeating: "\u{0301}\u{0316}", count: 3000)
        #expect(try writer().caption(name, size: 20, width: 500)?.height == 28)
    }
}
