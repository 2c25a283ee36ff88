// SPDX-License-Identifier: Apache-2.0
// Reads AMF0 values from the payload of a message, with every length checked and depth and number bounded.

/// A cursor over the values of one message.
public struct AMF0Reader {
    private let bytes: [UInt8]
    private var offset: Int
    /// Values that may still come; shared by all nesting, so that small bytes can't become large trees.
    private var budget: Int

    /// Nesting of objects and arrays.
    public static let maximumDepth = 16
    /// Values in one message.
    public static let maximumValues = 4096

    /// - Parameter skip: bytes in front of the first value.
    public init(_ bytes: [UInt8], skip: Int = 0) {
        self.bytes = bytes
        offset = min(skip, bytes.count)
        budget = Self.maximumValues
    }

    public var isAtEnd: Bool { offset >= bytes.count }

    /// All values up to the end.
    public mutating func readAll() throws(RTMPError) -> [AMF0Value] {
        var values: [AMF0Value] = []
        while !isAtEnd { values.append(try read()) }
        return values
    }

    /// The values up to the end, or to the first that can't be read: padding and damage behind them cost nothing. The bounds hold all the same.
    public mutating func readReadable() throws(RTMPError) -> [AMF0Value] {
        var values: [AMF0Value] = []
        while !isAtEnd {
            do throws(RTMPError) {
                values.append(try read())
            } catch {
                if case .limit = error { throw error }
                return values
            }
        }
        return values
    }

    public mutating func read() throws(RTMPError) -> AMF0Value { try read(depth: 0) }

    private mutating func read(depth: Int) throws(RTMPError) -> AMF0Value {
        guard depth < Self.maximumDepth else { throw .limit("AMF values nested deeper than \(Self.maximumDepth)") }
        guard budget > 0 else { throw .limit("more than \(Self.maximumValues) AMF values in a message") }
        budget -= 1
        switch try byte() {
        case 0: return .number(try double())
        case 1: return .bool(try byte() != 0)
        case 2: return .string(try text(length: Int(try uint16())))
        case 3: return .object(try members(depth))
        case 5: return .null
        case 6, 13: return .undefined
        case 8:
            _ = try uint32()  // a hint that encoders get wrong; the end mark counts
            return .ecmaArray(try members(depth))
        case 10:
            let count = Int(try uint32())
            guard count <= budget else { throw .limit("more than \(Self.maximumValues) AMF values in a message") }
            var values: [AMF0Value] = []
            for _ in 0..<count { values.append(try read(depth: depth + 1)) }
            return .array(values)
        case 11:
            let milliseconds = try double()
            _ = try uint16()  // time zone: reserved
            return .date(milliseconds)
        case 12, 15: return .string(try text(length: Int(try uint32())))
        case 16:
            _ = try text(length: Int(try uint16()))  // class name
            return .object(try members(depth))
        case 7: throw .unsupported("AMF references")
        case 17: throw .unsupported("AMF3 values (objectEncoding 3); this server answers connect with objectEncoding 0")
        case let marker: throw .malformed("AMF marker \(marker)")
        }
    }

    /// Key and value pairs up to the end mark, which some leave out, or half of it, at the end of the message.
    private mutating func members(_ depth: Int) throws(RTMPError) -> [AMF0Value.Member] {
        var members: [AMF0Value.Member] = []
        while true {
            if bytes.count - offset <= 2, bytes[offset...].allSatisfy({ $0 == 0 }) {
                offset = bytes.count
                return members
            }
            let length = Int(try uint16())
            if length == 0, offset < bytes.count, bytes[offset] == 9 {
                offset += 1
                return members
            }
            let key = try text(length: length)
            members.append(AMF0Value.Member(key, try read(depth: depth + 1)))
        }
    }

    private mutating func byte() throws(RTMPError) -> UInt8 {
        guard offset < bytes.count else { throw .malformed("AMF ends in the middle of a value") }
        defer { offset += 1 }
        return bytes[offset]
    }

    private mutating func integer(_ count: Int) throws(RTMPError) -> UInt64 {
        guard bytes.count - offset >= count else { throw .malformed("AMF ends in the middle of a value") }
        defer { offset += count }
        return bytes[offset..<offset + count].reduce(0) { $0 << 8 | UInt64($1) }
    }

    private mutating func uint16() throws(RTMPError) -> UInt16 { UInt16(truncatingIfNeeded: try integer(2)) }
    private mutating func uint32() throws(RTMPError) -> UInt32 { UInt32(truncatingIfNeeded: try integer(4)) }
    private mutating func double() throws(RTMPError) -> Double { Double(bitPattern: try integer(8)) }

    private mutating func text(length: Int) throws(RTMPError) -> String {
        guard bytes.count - offset >= length else { throw .malformed("an AMF text ends behind its message") }
        defer { offset += length }
        return String(decoding: bytes[offset..<offset + length], as: UTF8.self)
    }
}
