// SPDX-License-Identifier: Apache-2.0
// The 96-bit number that pairs a STUN response with its request. Trivial, so that looking one up costs no allocation.
public import Primitives

/// A STUN transaction identifier (RFC 8489 §5): random, and therefore hard to guess for someone off the path.
public struct STUNTransactionID: Hashable, Sendable {
    public let high: UInt32
    public let low: UInt64

    public init(high: UInt32, low: UInt64) {
        self.high = high
        self.low = low
    }

    public static func random(using random: inout RandomSource) -> STUNTransactionID {
        STUNTransactionID(high: UInt32(truncatingIfNeeded: random.next()), low: random.next())
    }
}
