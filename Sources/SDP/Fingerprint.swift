// SPDX-License-Identifier: Apache-2.0
// The hash that ties a DTLS certificate to the signalling.

/// An `a=fingerprint` value (RFC 8122 §5).
public struct Fingerprint: Sendable, Hashable {
    /// The hash function's name in lower case, e.g. "sha-256".
    public var algorithm: String
    public var bytes: [UInt8]

    public init(algorithm: String, bytes: [UInt8]) {
        self.algorithm = algorithm.lowercased(); self.bytes = bytes
    }

    /// Parses `sha-256 AB:CD:…`; `nil` when malformed or longer than 64 bytes.
    public init?(attribute: some StringProtocol) {
        let fields = Substring(attribute).fields(UInt8(ascii: " "))
        guard fields.count == 2 else { return nil }
        var bytes: [UInt8] = []
        for pair in fields[1].fields(UInt8(ascii: ":")) {
            guard pair.utf8.count == 2, pair.first != "+", bytes.count < 64, let byte = UInt8(pair, radix: 16) else { return nil }
            bytes.append(byte)
        }
        guard !bytes.isEmpty else { return nil }
        self.init(algorithm: String(fields[0]), bytes: bytes)
    }

    /// The value as written in SDP: algorithm, space, upper-case hexadecimal pairs.
    public var text: String {
        algorithm + " " + bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) }.joined(separator: ":")
    }
}
