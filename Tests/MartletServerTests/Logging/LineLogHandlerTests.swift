// SPDX-License-Identifier: Apache-2.0
import Logging
import Signalling
import Synchronization
import Testing

@testable import MartletServer

struct LineLogHandlerTests {
    private final class Lines: Sendable {
        private let text = Mutex("")
        func append(_ bytes: [UInt8]) { text.withLock { $0 += String(decoding: bytes, as: UTF8.self) } }
        var all: String { text.withLock { $0 } }
    }

    /// What is written for the log statements of `body`.
    private func written(_ format: LogFormat, level: Logger.Level = .info, _ body: (inout Logger) -> Void) -> String {
        let lines = Lines()
        var logger = Logger(label: "martlet.test") { LineLogHandler(label: $0, level: level, format: format, write: lines.append) }
        body(&logger)
        return lines.all
    }

    @Test("a text line has time, level, label, message and the metadata in order of its keys")
    func text() throws {
        let line = written(.text) { logger in
            logger[metadataKey: "session"] = "s1"
            logger.warning("Something happened", metadata: ["stream": "cam 1", "peer": "192.0.2.1:5000"])
        }
        #expect(line.hasSuffix("Z WARNING martlet.test: Something happened peer=192.0.2.1:5000 session=s1 stream=\"cam 1\"\n"))
        #expect(line.prefixMatch(of: #/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\ /#) != nil)
    }

    @Test("a JSON line is one object that holds the same")
    func json() throws {
        let line = written(.json) { $0.info("Hello \"you\"", metadata: ["stream": "a\nb"]) }
        #expect(line.filter { $0 == "\n" }.count == 1)
        let object = try JSONValue(parsing: line)
        #expect(object["level"] == "info")
        #expect(object["label"] == "martlet.test")
        #expect(object["message"] == "Hello \"you\"")
        #expect(object["stream"] == "a\nb")
        #expect(object["time"]?.stringValue?.hasSuffix("Z") == true)
    }

    @Test("what a peer sent can neither start a new line nor steer a terminal, and is cut when it is long")
    func hostile() {
        let line = written(.text) { logger in
            logger.info("got \u{1b}[31mred\nfake line", metadata: [
                "name": "x\r\n2026 ERROR forged", "quote": "a\"b=c", "long": "\(String(repeating: "y", count: 100_000))",
            ])
        }
        #expect(line.filter { $0.isNewline }.count == 1)
        #expect(!line.contains("\u{1b}"))
        #expect(line.contains("quote=\"a\\\"b=c\""))
        #expect(line.utf8.count < 5_000)
    }

    @Test("escapes count: a value of control characters is no longer than any other", arguments: [LogFormat.text, .json])
    func escapes(format: LogFormat) {
        for text in ["\u{1b}", "\u{9f}", "\"", "\\", "y", "é"].map({ String(repeating: $0, count: 10_000) }) {
            let line = written(format) { $0.info("\(text)", metadata: ["a": "\(text)", "b": "\(text)"]) }
            #expect(line.utf8.count < 7_000, "\(text.prefix(1).debugDescription): \(line.utf8.count)")
            if format == .json { #expect((try? JSONValue(parsing: line)) != nil) }
        }
    }

    @Test("levels below the set one are not written")
    func level() {
        #expect(written(.text, level: .error) { $0.warning("x") }.isEmpty)
    }
}
