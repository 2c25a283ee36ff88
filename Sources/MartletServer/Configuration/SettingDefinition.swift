// SPDX-License-Identifier: Apache-2.0
// One line of the settings table: a key, what it may hold, what it does, and where the value goes in `Settings`.

/// A setting as it is declared, documented, parsed and printed.
public struct SettingDefinition: Sendable {
    /// Chapter of the documentation.
    public enum Section: String, Sendable, CaseIterable {
        case addresses = "Addresses and ports"
        case files = "Files and certificates"
        case media = "Media"
        case signalling = "Signalling"
        case rtmp = "RTMP"
        case rooms = "Rooms"
        case snapshots = "Snapshots"
        case recording = "Recording"
        case agents = "Links to other servers"
        case rest = "REST"
        case limits = "Limits"
        case logs = "Logs"
    }

    /// As written in a properties file.
    public let key: String
    /// Other spellings that are taken for the same setting.
    public let aliases: [String]
    public let section: Section
    /// One or two sentences; Markdown.
    public let documentation: String
    /// What may stand there, in words: "a whole number from 1 to 65535".
    public let allowed: String
    /// Short type name for tables: "port", "ms", "yes/no".
    public let typeName: String
    /// Parses a text into the settings; `false` when it is not allowed.
    let assign: @Sendable (inout Settings, String) -> Bool
    /// The value in force, as it would be written in a file.
    public let text: @Sendable (Settings) -> String

    /// The environment variable: `MARTLET_WS_PORT` for `ws.port`.
    public var environmentName: String { Self.environmentName(for: key) }

    static func environmentName(for key: String) -> String {
        "MARTLET_" + key.uppercased().map { $0 == "." ? "_" : String($0) }.joined()
    }

    /// The text of the default.
    public var defaultText: String { text(Settings()) }
}

extension SettingDefinition {
    /// A key path to a stored property of `Settings`. Literal key paths without captured values are safe to share.
    typealias Field<Value> = WritableKeyPath<Settings, Value> & Sendable

    /// A whole number within a range.
    static func integer(
        _ key: String, aliases: [String] = [], _ section: Section, _ field: Field<Int>, _ range: ClosedRange<Int>,
        unit: String = "number", _ documentation: String
    ) -> SettingDefinition {
        let suffix = ["number", "port"].contains(unit) ? "" : " (\(unit))"
        return SettingDefinition(
            key: key, aliases: aliases, section: section, documentation: documentation,
            allowed: "a whole number from \(range.lowerBound) to \(range.upperBound)\(suffix)", typeName: unit,
            assign: { settings, text in
                guard let value = Int(text), range.contains(value) else { return false }
                settings[keyPath: field] = value
                return true
            },
            text: { String($0[keyPath: field]) })
    }

    /// A listener's port: 0 = any free one, -1 = off.
    static func port(
        _ key: String, aliases: [String] = [], _ field: Field<Int>, _ documentation: String
    ) -> SettingDefinition {
        let base = integer(key, aliases: aliases, .addresses, field, -1...65_535, unit: "port", documentation)
        return SettingDefinition(
            key: key, aliases: aliases, section: .addresses, documentation: documentation,
            allowed: "a port from 1 to 65535, 0 for any free one or -1 for off", typeName: "port",
            assign: base.assign, text: base.text)
    }

    /// A duration in milliseconds.
    static func milliseconds(
        _ key: String, aliases: [String] = [], _ section: Section, _ field: Field<Int>, _ range: ClosedRange<Int>,
        _ documentation: String
    ) -> SettingDefinition {
        integer(key, aliases: aliases, section, field, range, unit: "ms", documentation)
    }

    /// Yes or no. `negated` is for keys that say the opposite of the property.
    static func flag(
        _ key: String, aliases: [String] = [], _ section: Section, _ field: Field<Bool>, _ documentation: String
    ) -> SettingDefinition {
        SettingDefinition(
            key: key, aliases: aliases, section: section, documentation: documentation,
            allowed: "true or false", typeName: "true/false",
            assign: { settings, text in
                switch text.lowercased() {
                case "true", "yes", "on", "1": settings[keyPath: field] = true
                case "false", "no", "off", "0": settings[keyPath: field] = false
                default: return false
                }
                return true
            },
            text: { $0[keyPath: field] ? "true" : "false" })
    }

    /// Any text without line breaks.
    static func string(
        _ key: String, aliases: [String] = [], _ section: Section, _ field: Field<String>,
        type: String = "text", allowed: String = "a text of one line",
        accepts: @escaping @Sendable (String) -> Bool = { _ in true }, _ documentation: String
    ) -> SettingDefinition {
        SettingDefinition(
            key: key, aliases: aliases, section: section, documentation: documentation, allowed: allowed, typeName: type,
            assign: { settings, text in
                guard text.allSatisfy({ !$0.isNewline && $0 != "\0" }), accepts(text) else { return false }
                settings[keyPath: field] = text
                return true
            },
            text: { $0[keyPath: field] })
    }

    /// A comma-separated list. `normalise` gives the canonical spelling of an element, `nil` for one that is not allowed.
    static func list(
        _ key: String, aliases: [String] = [], _ section: Section, _ field: Field<[String]>, allowed: String,
        mayBeEmpty: Bool, normalise: @escaping @Sendable (String) -> String?, _ documentation: String
    ) -> SettingDefinition {
        SettingDefinition(
            key: key, aliases: aliases, section: section, documentation: documentation, allowed: allowed, typeName: "list",
            assign: { settings, text in
                var values: [String] = []
                for part in text.split(separator: ",") {
                    let element = part.trimmingWhitespace()
                    if element.isEmpty { continue }
                    guard values.count < 64, let value = normalise(element) else { return false }
                    if !values.contains(value) { values.append(value) }
                }
                guard mayBeEmpty || !values.isEmpty else { return false }
                settings[keyPath: field] = values
                return true
            },
            text: { $0[keyPath: field].joined(separator: ",") })
    }

    /// One of a few words.
    static func choice<Value: RawRepresentable & CaseIterable & Sendable>(
        _ key: String, aliases: [String] = [], _ section: Section, _ field: Field<Value>, _ documentation: String
    ) -> SettingDefinition where Value.RawValue == String {
        let words = Value.allCases.map(\.rawValue)
        return SettingDefinition(
            key: key, aliases: aliases, section: section, documentation: documentation,
            allowed: "one of " + words.joined(separator: ", "), typeName: "word",
            assign: { settings, text in
                guard let value = Value(rawValue: text.lowercased()) else { return false }
                settings[keyPath: field] = value
                return true
            },
            text: { $0[keyPath: field].rawValue })
    }
}

extension StringProtocol {
    /// Without leading and trailing white space.
    func trimmingWhitespace() -> String {
        var rest = self[...]
        while let first = rest.first, first.isWhitespace { rest = rest.dropFirst() }
        while let last = rest.last, last.isWhitespace { rest = rest.dropLast() }
        return String(rest)
    }
}
