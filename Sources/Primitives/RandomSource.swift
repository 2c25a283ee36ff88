// SPDX-License-Identifier: Apache-2.0
// The injected generator of the sans-IO modules: the system's in production, a seeded one in tests,
// so that any failure seen under a seed can be replayed.

/// Random numbers from the operating system or, for replayable tests, from a seed.
public struct RandomSource: RandomNumberGenerator, Sendable {
    private enum Origin: Sendable { case system; case seeded(UInt64) }
    private var origin: Origin

    private init(_ origin: Origin) { self.origin = origin }

    /// Cryptographically secure numbers of the operating system.
    public static let system = RandomSource(.system)
    /// SplitMix64 from `seed`: for tests only, predictable.
    public static func seeded(_ seed: UInt64) -> RandomSource { RandomSource(.seeded(seed)) }

    public mutating func next() -> UInt64 {
        switch origin {
        case .system:
            var generator = SystemRandomNumberGenerator()
            return generator.next()
        case .seeded(var state):
            state &+= 0x9e37_79b9_7f4a_7c15
            origin = .seeded(state)
            var z = state
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
    }

    /// `count` random bytes.
    public mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: 0...255, using: &self) }
    }

    /// `count` characters of the ice-char alphabet (RFC 8839 §5.4): letters, digits, '+', '/'.
    public mutating func iceCharacters(_ count: Int) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        return String((0..<count).map { _ in alphabet[Int.random(in: 0..<64, using: &self)] })
    }

    /// A random UUID (version 4) in lower case text.
    public mutating func uuid() -> String {
        var b = bytes(16)
        b[6] = b[6] & 0x0f | 0x40
        b[8] = b[8] & 0x3f | 0x80
        let hex = b.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
        return [hex[0..<4], hex[4..<6], hex[6..<8], hex[8..<10], hex[10..<16]].map { $0.joined() }.joined(separator: "-")
    }
}
