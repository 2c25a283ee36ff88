// SPDX-License-Identifier: Apache-2.0
// CRC-32 (ISO-HDLC) for the FINGERPRINT attribute; used by STUNMessage only.

/// The checksum of RFC 8489 §14.7: ITU V.42, reflected polynomial 0xEDB88320.
enum CRC32 {
    private static let table: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0xedb8_8320 : value >> 1 }
    }

    static func checksum(_ bytes: some Sequence<UInt8>) -> UInt32 {
        table.withUnsafeBufferPointer { table in
            ~bytes.reduce(~UInt32(0)) { $0 >> 8 ^ table[Int(($0 ^ UInt32($1)) & 0xff)] }
        }
    }
}
