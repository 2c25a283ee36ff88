// SPDX-License-Identifier: Apache-2.0
// A value of the Action Message Format, version 0: what commands and metadata consist of.

/// Any AMF0 value (amf0-file-format-specification §2). Members of objects keep their order.
public indirect enum AMF0Value: Sendable, Equatable {
    case number(Double)
    case bool(Bool)
    /// Also of the long form, and the text of an XML document.
    case string(String)
    case object([Member])
    case null
    case undefined
    /// Written as an object with a count; read by everybody as an object.
    case ecmaArray([Member])
    case array([AMF0Value])
    /// Milliseconds since 1970.
    case date(Double)

    public struct Member: Sendable, Equatable {
        public let key: String
        public let value: AMF0Value

        public init(_ key: String, _ value: AMF0Value) {
            self.key = key
            self.value = value
        }
    }
}

extension AMF0Value {
    /// The first member of that name of an object or ECMA array.
    public subscript(key: String) -> AMF0Value? { members?.first { $0.key == key }?.value }

    /// About how many bytes of memory it takes: many times those on the wire where it has many small parts.
    public var footprint: Int {
        switch self {
        case .number, .bool, .null, .undefined, .date: 32
        case .string(let text): 64 + text.utf8.count
        case .object(let members), .ecmaArray(let members): members.reduce(96) { $0 + 48 + $1.key.utf8.count + $1.value.footprint }
        case .array(let values): values.reduce(96) { $0 + $1.footprint }
        }
    }

    public var members: [Member]? {
        switch self {
        case .object(let members), .ecmaArray(let members): members
        default: nil
        }
    }

    public var stringValue: String? { if case .string(let text) = self { text } else { nil } }
    public var numberValue: Double? { if case .number(let number) = self { number } else { nil } }
    public var boolValue: Bool? { if case .bool(let flag) = self { flag } else { nil } }
    /// `null` and `undefined`.
    public var isNull: Bool { self == .null || self == .undefined }
}

extension AMF0Value: ExpressibleByStringLiteral, ExpressibleByFloatLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByNilLiteral, ExpressibleByDictionaryLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(floatLiteral value: Double) { self = .number(value) }
    public init(integerLiteral value: Int) { self = .number(Double(value)) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(nilLiteral: ()) { self = .null }
    public init(dictionaryLiteral elements: (String, AMF0Value)...) { self = .object(elements.map { Member($0.0, $0.1) }) }
}
