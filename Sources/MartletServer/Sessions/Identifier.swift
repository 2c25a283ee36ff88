// SPDX-License-Identifier: Apache-2.0
// Random identifiers of the control plane.

enum Identifier {
    /// A UUID (version 4) in lower case text.
    static func uuid(using random: inout some RandomNumberGenerator) -> String {
        var bytes = (0..<16).map { _ in UInt8.random(in: 0...255, using: &random) }
        bytes[6] = bytes[6] & 0x0f | 0x40
        bytes[8] = bytes[8] & 0x3f | 0x80
        let hex = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
        return [hex[0..<4], hex[4..<6], hex[6..<8], hex[8..<10], hex[10..<16]].map { $0.joined() }.joined(separator: "-")
    }

    static func uuid() -> String {
        var random = SystemRandomNumberGenerator()
        return uuid(using: &random)
    }
}
