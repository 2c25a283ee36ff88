// SPDX-License-Identifier: Apache-2.0
// What a benchmark found, in the order it is told: one list for the table and for the JSON line.
import Foundation

public struct Figures: Sendable {
    public enum Value: Sendable, Equatable {
        case integer(Int64)
        case number(Double)
        case text(String)
        /// Not measured here; the reason stands in the table.
        case missing(String)
    }

    struct Entry: Sendable {
        let key: String
        let label: String
        let unit: String
        let value: Value
    }

    private(set) var entries: [Entry] = []

    public init() {}

    /// - Parameters:
    ///   - key: in the JSON line, snake case.
    ///   - label: in the table.
    mutating func add(_ key: String, _ label: String, _ value: Value, _ unit: String = "") {
        entries.append(Entry(key: key, label: label, unit: unit, value: value))
    }
    mutating func add(_ key: String, _ label: String, _ value: some BinaryInteger, _ unit: String = "") {
        add(key, label, .integer(Int64(clamping: value)), unit)
    }
    mutating func add(_ key: String, _ label: String, _ value: Double, _ unit: String = "") { add(key, label, .number(value), unit) }
    mutating func add(_ key: String, _ label: String, _ value: Double?, _ unit: String = "", otherwise reason: String) {
        add(key, label, value.map { .number($0) } ?? .missing(reason), unit)
    }

    public subscript(key: String) -> Value? { entries.first { $0.key == key }?.value }

    /// One figure a line, values under each other.
    public var table: String {
        let width = entries.map(\.label.count).max() ?? 0
        return entries.map { entry in
            let value = switch entry.value {
            case .integer(let n): "\(n)"
            case .number(let n): Self.text(n)
            case .text(let text): text
            case .missing(let reason): "– (\(reason))"
            }
            return "  " + entry.label.padding(toLength: width + 2, withPad: " ", startingAt: 0) + value
                + (entry.unit.isEmpty ? "" : " " + entry.unit)
        }.joined(separator: "\n")
    }

    /// One line, in the order of the table.
    public var json: String {
        let members = entries.map { entry in
            let value = switch entry.value {
            case .integer(let n): "\(n)"
            case .number(let n): n.isFinite ? Self.text(n) : "null"
            case .text(let text): Self.quoted(text)
            case .missing: "null"
            }
            return "\(Self.quoted(entry.key)):\(value)"
        }
        return "{" + members.joined(separator: ",") + "}"
    }

    /// Three decimals at most, without zeros at the end.
    private static func text(_ n: Double) -> String {
        var text = String(format: "%.3f", n)
        while text.hasSuffix("0") { text.removeLast() }
        if text.hasSuffix(".") { text.removeLast() }
        return text
    }

    private static func quoted(_ text: String) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        guard let data = try? encoder.encode(text) else { return "\"\"" }
        return String(decoding: data, as: UTF8.self)
    }
}
