// SPDX-License-Identifier: Apache-2.0
// Reads what WireWriter wrote. The other side may be broken or taken over, so every length is checked.

/// Takes typed fields out of bytes.
public struct WireReader {
    private let bytes: ArraySlice<UInt8>
    private var position: Int

    public init(_ bytes: [UInt8]) { self.init(bytes[...]) }
    public init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        position = bytes.startIndex
    }

    public var remaining: Int { bytes.endIndex - position }

    /// - Throws: `WorkerError.malformed` when fewer bytes are left than are asked for.
    public mutating func integer<Value: FixedWidthInteger>(_: Value.Type = Value.self) throws(WorkerError) -> Value {
        var value: Value = 0
        for byte in try slice(MemoryLayout<Value>.size) { value = value << 8 | Value(truncatingIfNeeded: byte) }
        return value
    }
    public mutating func flag() throws(WorkerError) -> Bool { try integer(UInt8.self) != 0 }
    public mutating func array() throws(WorkerError) -> [UInt8] { Array(try slice(Int(try integer(UInt32.self)))) }
    public mutating func string() throws(WorkerError) -> String { String(decoding: try array(), as: UTF8.self) }

    /// The next `count` bytes, where they lie.
    public mutating func slice(_ count: Int) throws(WorkerError) -> ArraySlice<UInt8> {
        guard count >= 0, count <= remaining else { throw .malformed("\(count) bytes are missing at \(position - bytes.startIndex)") }
        defer { position += count }
        return bytes[position..<position + count]
    }
    /// Everything that is left.
    public mutating func rest() -> ArraySlice<UInt8> {
        defer { position = bytes.endIndex }
        return bytes[position...]
    }
}
