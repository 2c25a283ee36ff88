// SPDX-License-Identifier: Apache-2.0
// Fields of a message to or from a worker, one after the other, big-endian. The counterpart of WireReader.

/// Puts typed fields into bytes.
public struct WireWriter: Sendable {
    public private(set) var bytes: [UInt8] = []

    public init(reserving count: Int = 0) { bytes.reserveCapacity(count) }

    public mutating func write(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }
    public mutating func write(_ value: Bool) { bytes.append(value ? 1 : 0) }
    /// A length of 32 bits, then the bytes.
    public mutating func write(_ value: [UInt8]) {
        write(UInt32(value.count))
        bytes.append(contentsOf: value)
    }
    /// UTF-8, as bytes.
    public mutating func write(_ value: String) { write(Array(value.utf8)) }
    /// Bytes without a length, to be read to the end or by what was said before.
    public mutating func append(_ raw: [UInt8]) { bytes.append(contentsOf: raw) }
}
