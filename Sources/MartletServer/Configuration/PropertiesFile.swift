// SPDX-License-Identifier: Apache-2.0
// The key=value form of flashphoner.properties (Java properties without its escapes) as a list of entries with lines.

/// One parsed properties file.
struct PropertiesFile: Sendable, Equatable {
    struct Entry: Sendable, Equatable {
        let key: String
        let value: String
        /// The line the entry starts at, from 1.
        let line: Int
    }

    /// Why a file is no properties file.
    struct SyntaxError: Error, Equatable {
        let line: Int
        let reason: String
    }

    var entries: [Entry] = []

    /// Parses `key=value` or `key: value` lines; `#` and `!` start a comment line; a backslash at the end continues a line.
    init(parsing text: String) throws(SyntaxError) {
        var pending = ""
        var start = 0
        for (index, raw) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            var line = raw.trimmingWhitespace()
            if index == 0, line.unicodeScalars.first == "\u{feff}" { line.unicodeScalars.removeFirst() }
            if pending.isEmpty {
                if line.isEmpty || line.hasPrefix("#") || line.hasPrefix("!") { continue }
                start = index + 1
            }
            if line.hasSuffix("\\") {
                pending += line.dropLast()
                continue
            }
            entries.append(try Self.entry(pending + line, line: start))
            pending = ""
        }
        if !pending.isEmpty { entries.append(try Self.entry(pending, line: start)) }
    }

    private static func entry(_ text: String, line: Int) throws(SyntaxError) -> Entry {
        guard let separator = text.firstIndex(where: { $0 == "=" || $0 == ":" }) else {
            throw SyntaxError(line: line, reason: "\"\(text.prefix(60))\" is not of the form key=value")
        }
        let key = text[..<separator].trimmingWhitespace()
        guard !key.isEmpty else { throw SyntaxError(line: line, reason: "the key before \"=\" is missing") }
        return Entry(key: key, value: text[text.index(after: separator)...].trimmingWhitespace(), line: line)
    }
}
