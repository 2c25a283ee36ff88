// SPDX-License-Identifier: Apache-2.0
// JSON with line breaks and two spaces per level, for files that people read and version control compares.
import Signalling

enum PrettyJSON {
    static func text(_ value: JSONValue, indent: Int = 0) -> String {
        let inner = String(repeating: "  ", count: indent + 1)
        let outer = String(repeating: "  ", count: indent)
        switch value {
        case .object(let members) where !members.isEmpty:
            let lines = members.sorted { $0.key < $1.key }.map { member in
                "\(inner)\(JSONValue.string(member.key).serialized()): \(text(member.value, indent: indent + 1))"
            }
            return "{\n\(lines.joined(separator: ",\n"))\n\(outer)}"
        case .array(let elements) where !elements.isEmpty:
            let lines = elements.map { inner + text($0, indent: indent + 1) }
            return "[\n\(lines.joined(separator: ",\n"))\n\(outer)]"
        default:
            return value.serialized()
        }
    }
}
