// SPDX-License-Identifier: Apache-2.0
// A JSON document as a Swift value: what envelopes carry, what REST bodies are, what is echoed unchanged.
// Used by the signalling messages, the REST methods and the client.

/// Any JSON value. Integers that fit 64 bits are kept exact; every other number is a `Double`.
public enum JSONValue: Sendable, Hashable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])
}

// MARK: Access

extension JSONValue {
    /// The member `key` of an object; `nil` when this is no object or has no such member. An explicit `null` is returned as `.null`.
    public subscript(key: String) -> JSONValue? {
        get {
            guard case .object(let members) = self else { return nil }
            return members[key]
        }
        set {
            guard case .object(var members) = self else {
                if let newValue { self = .object([key: newValue]) }
                return
            }
            self = .null  // hold one reference only, so that the dictionary is changed in place
            members[key] = newValue
            self = .object(members)
        }
    }

    /// The element `index` of an array; `nil` when this is no array or the index lies outside.
    public subscript(index: Int) -> JSONValue? {
        guard case .array(let elements) = self, elements.indices.contains(index) else { return nil }
        return elements[index]
    }

    /// About how many bytes of memory it takes: many times those of its text where it has many small parts.
    public var footprint: Int {
        // No text is long enough for these sums to overflow.
        func bytes(_ text: String) -> Int { text.utf8.count > 15 ? text.utf8.count + 32 : 0 }
        return switch self {
        case .null, .bool, .integer, .number: 24
        case .string(let text): 24 + bytes(text)
        case .array(let elements): elements.reduce(72) { $0 + $1.footprint }
        case .object(let members): members.reduce(120) { $0 + 40 + bytes($1.key) + $1.value.footprint }
        }
    }

    public var isNull: Bool { self == .null }

    public var stringValue: String? {
        if case .string(let text) = self { text } else { nil }
    }
    public var boolValue: Bool? {
        if case .bool(let flag) = self { flag } else { nil }
    }
    /// The exact integer; also of a `Double` without a fraction.
    public var intValue: Int? {
        switch self {
        case .integer(let value): Int(exactly: value)
        case .number(let value): Int(exactly: value)
        default: nil
        }
    }
    public var doubleValue: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }
    public var arrayValue: [JSONValue]? {
        if case .array(let elements) = self { elements } else { nil }
    }
    public var objectValue: [String: JSONValue]? {
        if case .object(let members) = self { members } else { nil }
    }
}

// MARK: Tolerant access, for fields that pages fill from text boxes

extension JSONValue {
    /// A number, or a string that spells one ("640"); fractions are cut off. `nil` for everything else.
    public var lenientInt: Int? {
        switch self {
        case .integer(let value): return Int(exactly: value)
        case .number(let value): return Int(exactly: value.rounded(.towardZero))
        case .string(let text):
            let digits = text.drop { $0 == " " }
            if let value = Int(digits) { return value }
            guard let value = Double(digits), value.isFinite else { return nil }
            return Int(exactly: value.rounded(.towardZero))
        default: return nil
        }
    }

    /// A boolean, "true"/"false", or a number (0 is false). `nil` for everything else.
    public var lenientBool: Bool? {
        switch self {
        case .bool(let flag): flag
        case .integer(let value): value != 0
        case .number(let value): value != 0
        case .string("true"): true
        case .string("false"): false
        default: nil
        }
    }

    /// A string, or the text of a number or boolean. `nil` for null, arrays and objects.
    public var lenientString: String? {
        switch self {
        case .string(let text): text
        case .integer(let value): String(value)
        case .number(let value): String(value)
        case .bool(let flag): flag ? "true" : "false"
        default: nil
        }
    }
}

// MARK: Literals

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
    public typealias Key = String
    public typealias Value = JSONValue
    public init(stringLiteral value: String) { self = .string(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(floatLiteral value: Double) { self = .number(value) }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(Dictionary(elements, uniquingKeysWith: { _, last in last }))
    }
    public init(nilLiteral: ()) { self = .null }
}

extension JSONValue {
    public init(_ value: Int) { self = .integer(Int64(value)) }
    /// A string, or `null` for `nil`.
    public init(_ value: String?) { self = value.map(JSONValue.string) ?? .null }
}

// MARK: Codable, for whoever bridges to Encodable/Decodable types

extension JSONValue: Codable {
    private struct MemberKey: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    public init(from decoder: any Decoder) throws {
        if let keyed = try? decoder.container(keyedBy: MemberKey.self) {
            var members: [String: JSONValue] = [:]
            for key in keyed.allKeys { members[key.stringValue] = try keyed.decode(JSONValue.self, forKey: key) }
            self = .object(members)
            return
        }
        if var list = try? decoder.unkeyedContainer() {
            var elements: [JSONValue] = []
            while !list.isAtEnd { elements.append(try list.decode(JSONValue.self)) }
            self = .array(elements)
            return
        }
        let single = try decoder.singleValueContainer()
        if single.decodeNil() {
            self = .null
        } else if let flag = try? single.decode(Bool.self) {
            self = .bool(flag)
        } else if let value = try? single.decode(Int64.self) {
            self = .integer(value)
        } else if let value = try? single.decode(Double.self) {
            self = .number(value)
        } else {
            self = .string(try single.decode(String.self))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        switch self {
        case .object(let members):
            var keyed = encoder.container(keyedBy: MemberKey.self)
            for (name, value) in members { try keyed.encode(value, forKey: MemberKey(stringValue: name)) }
        case .array(let elements):
            var list = encoder.unkeyedContainer()
            for element in elements { try list.encode(element) }
        case .null:
            var single = encoder.singleValueContainer()
            try single.encodeNil()
        case .bool(let flag):
            var single = encoder.singleValueContainer()
            try single.encode(flag)
        case .integer(let value):
            var single = encoder.singleValueContainer()
            try single.encode(value)
        case .number(let value):
            var single = encoder.singleValueContainer()
            try single.encode(value)
        case .string(let text):
            var single = encoder.singleValueContainer()
            try single.encode(text)
        }
    }
}
