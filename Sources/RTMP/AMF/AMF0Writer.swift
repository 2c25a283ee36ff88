// SPDX-License-Identifier: Apache-2.0
// Writes AMF0 values.

public enum AMF0Writer {
    /// The values one after the other, as a message carries them.
    public static func bytes(_ values: [AMF0Value]) -> [UInt8] {
        var bytes: [UInt8] = []
        for value in values { append(value, to: &bytes) }
        return bytes
    }

    static func append(_ value: AMF0Value, to bytes: inout [UInt8]) {
        switch value {
        case .number(let number):
            bytes.append(0)
            append(number.bitPattern, to: &bytes)
        case .bool(let flag): bytes += [1, flag ? 1 : 0]
        case .string(let text):
            let length = text.utf8.count
            if let short = UInt16(exactly: length) {
                bytes.append(2)
                append(short, to: &bytes)
            } else {
                bytes.append(12)
                append(UInt32(truncatingIfNeeded: length), to: &bytes)
            }
            bytes += text.utf8
        case .object(let members):
            bytes.append(3)
            append(members, to: &bytes)
        case .null: bytes.append(5)
        case .undefined: bytes.append(6)
        case .ecmaArray(let members):
            bytes.append(8)
            append(UInt32(truncatingIfNeeded: members.count), to: &bytes)
            append(members, to: &bytes)
        case .array(let values):
            bytes.append(10)
            append(UInt32(truncatingIfNeeded: values.count), to: &bytes)
            for value in values { append(value, to: &bytes) }
        case .date(let milliseconds):
            bytes.append(11)
            append(milliseconds.bitPattern, to: &bytes)
            bytes += [0, 0]
        }
    }

    private static func append(_ members: [AMF0Value.Member], to bytes: inout [UInt8]) {
        for member in members {
            // A key has a length of 16 bits, and an empty one would be taken for the end.
            let key = member.key.utf8.prefix(Int(UInt16.max))
            guard !key.isEmpty else { continue }
            append(UInt16(key.count), to: &bytes)
            bytes += key
            append(member.value, to: &bytes)
        }
        bytes += [0, 0, 9]
    }

    private static func append(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.bigEndian) { bytes += $0 }
    }
}
