// SPDX-License-Identifier: Apache-2.0
// Base64 of RFC 4648 §4 for the parameter sets in descriptions; strict enough for those, without Foundation.

public enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// `sprop-parameter-sets`: each unit by itself, with commas between.
    public static func encode(_ units: [[UInt8]]) -> String { units.map(encode).joined(separator: ",") }

    public static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let word = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - group.count))
            for index in 0..<4 {
                text.append(index <= group.count ? alphabet[Int(word >> UInt32(18 - 6 * index) & 63)] : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// `nil` for what is not Base64.
    public static func decode(_ text: some StringProtocol) -> [UInt8]? {
        var bytes: [UInt8] = [], word: UInt32 = 0, bits = 0
        for character in text.utf8 where character != UInt8(ascii: "=") {
            guard let value = alphabet.firstIndex(of: character) else { return nil }
            word = word << 6 | UInt32(value)
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: word >> UInt32(bits)))
            }
        }
        return bytes
    }

    /// The units of a `sprop-parameter-sets`, `sprop-vps`, … value. Some cameras write it in quotes or with spaces, or units with start codes.
    public static func parameterSets(_ text: String) -> [[UInt8]] {
        let units = text.split(separator: ",").prefix(32).compactMap { part -> [UInt8]? in
            let characters = part.utf8.filter { $0 > UInt8(ascii: " ") && $0 != UInt8(ascii: "\"") }
            return decode(String(decoding: characters, as: UTF8.self))
        }
        return units.map(withoutStartCode).filter { !$0.isEmpty }
    }

    private static func withoutStartCode(_ unit: [UInt8]) -> [UInt8] {
        for code: [UInt8] in [[0, 0, 1], [0, 0, 0, 1]] where unit.starts(with: code) { return Array(unit.dropFirst(code.count)) }
        return unit
    }
}
