// SPDX-License-Identifier: Apache-2.0
// Other paths under which pages are reachable, such as those of WCS: `aliases.txt` in the pages' folder.
import Foundation

/// Lines `vendor-path real-path`; the real file is served under the vendor path, without a redirect.
/// Where both paths end with `/` they stand for everything below them.
struct AliasTable: Sendable, Equatable {
    static let fileName = "aliases.txt"
    private var exact: [String: String] = [:]
    /// Longest first.
    private var folders: [(from: String, to: String)] = []

    static func == (a: AliasTable, b: AliasTable) -> Bool {
        a.exact == b.exact && a.folders.elementsEqual(b.folders) { $0 == $1 }
    }

    /// Reads the file; a missing one is an empty table.
    init(file: String) {
        let data = FileManager.default.contents(atPath: file) ?? Data()
        self.init(parsing: String(decoding: data.prefix(1_048_576), as: UTF8.self))
    }

    /// Lines that are empty, start with `#` or don't hold two paths are skipped.
    init(parsing text: String) {
        for line in text.split(whereSeparator: \.isNewline) {
            let fields = line.split(whereSeparator: \.isWhitespace).map(String.init)
            guard fields.count >= 2, !fields[0].hasPrefix("#") else { continue }
            let from = fields[0].hasPrefix("/") ? fields[0] : "/" + fields[0]
            let to = fields[1].hasPrefix("/") ? fields[1] : "/" + fields[1]
            if from.hasSuffix("/"), to.hasSuffix("/") { folders.append((from, to)) } else { exact[from] = to }
        }
        folders.sort { $0.from.utf8.count > $1.from.utf8.count }
    }

    var count: Int { exact.count + folders.count }

    /// The real path of an aliased one; `nil` for every other path.
    func target(of path: String) -> String? {
        if let target = exact[path] { return target }
        guard let folder = folders.first(where: { path.hasPrefix($0.from) }) else { return nil }
        return folder.to + path.dropFirst(folder.from.count)
    }
}
