// SPDX-License-Identifier: Apache-2.0
// JSON text into a JSONValue (RFC 8259). Own, because the text comes from strangers: nesting and size are bounded,
// the time is linear, and integers stay exact.

/// Why a text is no JSON document, with the byte at which that showed.
public struct JSONError: Error, Sendable, Equatable, CustomStringConvertible {
    public let reason: String
    /// Offset in bytes from the start of the text.
    public let offset: Int
    public var description: String { "\(reason) at byte \(offset)" }
}

extension JSONValue {
    /// Arrays and objects within each other, at most.
    public static let maximumDepth = 64

    /// Parses a complete document; surrounding white space is allowed, anything else after it is not.
    /// Invalid UTF-8 inside strings is repaired with U+FFFD. Of equal keys the last one wins.
    public init(parsing text: String) throws(JSONError) {
        var text = text
        text.makeContiguousUTF8()
        let result: Result<JSONValue, JSONError>? = text.utf8.withContiguousStorageIfAvailable { bytes in
            Self.parse(UnsafeRawBufferPointer(bytes))
        }
        self = try (result ?? .failure(JSONError(reason: "text without storage", offset: 0))).get()
    }

    /// As `init(parsing: String)`, from UTF-8 bytes; a byte order mark is skipped.
    public init(parsing bytes: UnsafeRawBufferPointer) throws(JSONError) {
        self = try Self.parse(bytes).get()
    }

    private static func parse(_ bytes: UnsafeRawBufferPointer) -> Result<JSONValue, JSONError> {
        var parser = Parser(bytes)
        do throws(JSONError) {
            return .success(try parser.document())
        } catch {
            return .failure(error)
        }
    }

    private struct Parser {
        private let bytes: UnsafeRawBufferPointer
        private var position = 0

        init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

        mutating func document() throws(JSONError) -> JSONValue {
            if bytes.count >= 3, bytes[0] == 0xef, bytes[1] == 0xbb, bytes[2] == 0xbf { position = 3 }
            skipWhitespace()
            let value = try value(depth: 0)
            skipWhitespace()
            guard position == bytes.count else { throw error("unexpected text after the document") }
            return value
        }

        private func error(_ reason: String) -> JSONError { JSONError(reason: reason, offset: position) }

        private mutating func skipWhitespace() {
            while position < bytes.count {
                switch bytes[position] {
                case 0x20, 0x09, 0x0a, 0x0d: position += 1
                default: return
                }
            }
        }

        private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
            guard position < bytes.count else { throw error("text ends too early") }
            switch bytes[position] {
            case UInt8(ascii: "{"): return try object(depth: depth)
            case UInt8(ascii: "["): return try array(depth: depth)
            case UInt8(ascii: "\""): return .string(try string())
            case UInt8(ascii: "t"): return try word("true", .bool(true))
            case UInt8(ascii: "f"): return try word("false", .bool(false))
            case UInt8(ascii: "n"): return try word("null", .null)
            case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
            default: throw error("unexpected character")
            }
        }

        private mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
            let length = word.utf8CodeUnitCount
            guard bytes.count - position >= length else { throw error("text ends too early") }
            for index in 0..<length where bytes[position + index] != word.utf8Start[index] {
                throw error("unexpected word")
            }
            position += length
            return value
        }

        private mutating func object(depth: Int) throws(JSONError) -> JSONValue {
            guard depth < JSONValue.maximumDepth else { throw error("nested too deeply") }
            position += 1
            var members: [String: JSONValue] = [:]
            skipWhitespace()
            if take(UInt8(ascii: "}")) { return .object(members) }
            while true {
                skipWhitespace()
                guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else {
                    throw error("a member name is missing")
                }
                let key = try string()
                skipWhitespace()
                guard take(UInt8(ascii: ":")) else { throw error("a colon is missing") }
                skipWhitespace()
                members[key] = try value(depth: depth + 1)
                skipWhitespace()
                if take(UInt8(ascii: "}")) { return .object(members) }
                guard take(UInt8(ascii: ",")) else { throw error("a comma or brace is missing") }
            }
        }

        private mutating func array(depth: Int) throws(JSONError) -> JSONValue {
            guard depth < JSONValue.maximumDepth else { throw error("nested too deeply") }
            position += 1
            var elements: [JSONValue] = []
            skipWhitespace()
            if take(UInt8(ascii: "]")) { return .array(elements) }
            while true {
                skipWhitespace()
                elements.append(try value(depth: depth + 1))
                skipWhitespace()
                if take(UInt8(ascii: "]")) { return .array(elements) }
                guard take(UInt8(ascii: ",")) else { throw error("a comma or bracket is missing") }
            }
        }

        private mutating func take(_ byte: UInt8) -> Bool {
            guard position < bytes.count, bytes[position] == byte else { return false }
            position += 1
            return true
        }

        private mutating func number() throws(JSONError) -> JSONValue {
            let start = position
            var isInteger = true
            _ = take(UInt8(ascii: "-"))
            // RFC 8259 §6: no leading zeros.
            if !take(UInt8(ascii: "0")) { try digits() }
            if take(UInt8(ascii: ".")) {
                isInteger = false
                try digits()
            }
            if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
                isInteger = false
                if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
                try digits()
            }
            guard position - start <= 64 else { throw error("a number is too long") }
            let text = String(decoding: bytes[start..<position], as: UTF8.self)
            if isInteger, let value = Int64(text) { return .integer(value) }
            guard let value = Double(text), value.isFinite else { throw error("a number is out of range") }
            return .number(value)
        }

        private mutating func digits() throws(JSONError) {
            let start = position
            while position < bytes.count, bytes[position] >= UInt8(ascii: "0"), bytes[position] <= UInt8(ascii: "9") {
                position += 1
            }
            guard position > start else { throw error("a digit is missing") }
        }

        private mutating func string() throws(JSONError) -> String {
            position += 1
            let start = position
            // Most strings have no escapes and are taken in one piece.
            while position < bytes.count {
                let byte = bytes[position]
                if byte == UInt8(ascii: "\"") {
                    let text = String(decoding: bytes[start..<position], as: UTF8.self)
                    position += 1
                    return text
                }
                if byte == UInt8(ascii: "\\") { return try escapedString(from: start) }
                guard byte >= 0x20 else { throw error("a control character inside a string") }
                position += 1
            }
            throw error("a string does not end")
        }

        private mutating func escapedString(from start: Int) throws(JSONError) -> String {
            var buffer = [UInt8](bytes[start..<position])
            while position < bytes.count {
                let byte = bytes[position]
                switch byte {
                case UInt8(ascii: "\""):
                    position += 1
                    return String(decoding: buffer, as: UTF8.self)
                case UInt8(ascii: "\\"):
                    position += 1
                    try escape(into: &buffer)
                case 0..<0x20:
                    throw error("a control character inside a string")
                default:
                    buffer.append(byte)
                    position += 1
                }
            }
            throw error("a string does not end")
        }

        private mutating func escape(into buffer: inout [UInt8]) throws(JSONError) {
            guard position < bytes.count else { throw error("a string does not end") }
            let byte = bytes[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): buffer.append(byte)
            case UInt8(ascii: "b"): buffer.append(0x08)
            case UInt8(ascii: "f"): buffer.append(0x0c)
            case UInt8(ascii: "n"): buffer.append(0x0a)
            case UInt8(ascii: "r"): buffer.append(0x0d)
            case UInt8(ascii: "t"): buffer.append(0x09)
            case UInt8(ascii: "u"):
                var scalar = UInt32(try hexQuad())
                if scalar >> 10 == 0x36, position + 1 < bytes.count,
                    bytes[position] == UInt8(ascii: "\\"), bytes[position + 1] == UInt8(ascii: "u")
                {
                    let before = position
                    position += 2
                    let low = UInt32(try hexQuad())
                    if low >> 10 == 0x37 {
                        scalar = 0x10000 + ((scalar & 0x3ff) << 10) + (low & 0x3ff)
                    } else {
                        position = before  // a lone surrogate; what follows stands for itself
                    }
                }
                let character = Unicode.Scalar(scalar) ?? "\u{fffd}"
                buffer.append(contentsOf: Array(String(Character(character)).utf8))
            default:
                position -= 1
                throw error("an unknown escape")
            }
        }

        private mutating func hexQuad() throws(JSONError) -> UInt16 {
            guard bytes.count - position >= 4 else { throw error("an escape ends too early") }
            var value: UInt16 = 0
            for _ in 0..<4 {
                let digit: UInt8
                switch bytes[position] {
                case let byte where byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
                case let byte where byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
                case let byte where byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
                default: throw error("an escape is no hexadecimal number")
                }
                value = value << 4 | UInt16(digit)
                position += 1
            }
            return value
        }
    }
}
