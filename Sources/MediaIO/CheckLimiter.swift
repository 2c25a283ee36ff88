// SPDX-License-Identifier: Apache-2.0
// Bounds the connectivity checks that one network may make a reactor look at before they have proven to be a peer's. Owned by ReactorCore.
import Primitives

/// Token buckets by `AddressKey` in a table of fixed size: no allocation, whatever addresses come. Two networks that fall on one place share
/// its bucket while both are busy; which do is secret to the process.
struct CheckLimiter {
    /// Checks a second from one network, which may be that of a whole company whose people all come at once.
    static let rate = 1_000.0, burst = 2_000.0
    private static let places = 1_024

    private struct Place {
        var key: UInt64 = 0
        var bucket = TokenBucket(rate: CheckLimiter.rate, burst: CheckLimiter.burst)
    }
    private var table = ContiguousArray(repeating: Place(), count: places)
    private let seed: UInt64

    init(seed: UInt64 = RandomSource.system.first) { self.seed = seed }

    /// False when the network of `source` has used up what it has.
    mutating func take(_ source: SocketAddress, at now: Instant) -> Bool {
        let key = source.isIPv6 ? source.networkHigh : source.low | 1 << 63
        var mixed = (key ^ seed) &* 0x9e37_79b9_7f4a_7c15
        mixed = (mixed ^ mixed >> 29) &* 0xbf58_476d_1ce4_e5b9
        let index = Int(truncatingIfNeeded: mixed >> 40) & (Self.places - 1)
        if table[index].key != key, table[index].bucket.isFull(at: now) { table[index] = Place(key: key) }
        return table[index].bucket.take(at: now)
    }
}

extension RandomSource {
    fileprivate var first: UInt64 {
        var copy = self
        return copy.next()
    }
}
