// SPDX-License-Identifier: Apache-2.0
// `GET /?action=stat`: the figures of all sources as text for WCS's console and monitoring scripts, or as JSON.
import Signalling

struct StatPage: Sendable {
    let sources: [any StatSource]

    /// The sections of all sources; those of equal name are joined.
    func sections() async -> [StatSection] {
        var result: [StatSection] = []
        for source in sources {
            for section in await source.statSections() {
                if let index = result.firstIndex(where: { $0.name == section.name }) {
                    result[index].values += section.values
                } else {
                    result.append(section)
                }
            }
        }
        return result
    }

    /// The text form. Its reader in the WCS console is fragile: the first line must be a header, a header starts with
    /// `-` and names the section by its first word, no line is all dashes, lines end with LF.
    static func text(_ sections: [StatSection]) -> String {
        var output = ""
        for section in sections {
            let scalars = section.values.compactMap { entry in entry.value.lenientString.map { (entry.key, $0) } }
            if scalars.isEmpty { continue }
            output += "-----\(title(section.name)) Stats-----\n"
            for (key, value) in scalars {
                output += "\(key)=\(value.split(whereSeparator: \.isNewline).joined(separator: " "))\n"
            }
        }
        return output
    }

    /// The JSON form: `{"connection_stats": {…}, …}`.
    /// - Parameter groups: section names with or without `_stats`; empty = all. The plural names of newer WCS builds are understood.
    static func json(_ sections: [StatSection], groups: [String] = []) -> JSONValue {
        let wanted = Set(groups.map(canonical))
        var result: [String: JSONValue] = [:]
        for section in sections where wanted.isEmpty || wanted.contains(section.name) {
            let members = Dictionary(section.values.map { ($0.key, $0.value) }, uniquingKeysWith: { _, last in last })
            result[section.name + "_stats"] = .object(members)
        }
        return .object(result)
    }

    private static func canonical(_ group: String) -> String {
        let name = group.hasSuffix("_stats") ? String(group.dropLast(6)) : group
        return ["connections": "connection", "streams": "stream", "ports": "port"][name] ?? name
    }

    private static func title(_ name: String) -> String { name.prefix(1).uppercased() + name.dropFirst() }
}
