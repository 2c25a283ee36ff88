// SPDX-License-Identifier: Apache-2.0
// Bounds the DTLS handshakes that have begun and are not through: each holds some 60 kB of OpenSSL's. One for all reactors; asked when a
// peer's first record comes, and told when its handshake has ended one way or the other.
import Primitives
import Synchronization

/// Safe from any thread; a short lock per handshake.
public final class HandshakeLimiter: Sendable {
    /// How long a handshake may take, ms: as a rule, and while more than half of all places are taken.
    public static let patience: Int64 = 10_000
    public static let patienceWhenCrowded: Int64 = 3_000

    private let limiter: ConnectionLimiter
    private let refusals = Atomic<UInt64>(0)

    public init(maximum: Int, maximumPerAddress: Int) {
        limiter = ConnectionLimiter(maximum: maximum, maximumPerAddress: maximumPerAddress)
    }

    /// Takes a place. A peer that is told no repeats its first record after a moment, and may find a place then.
    public func enter(_ address: AddressKey) -> Bool {
        if limiter.enter(address) { return true }
        refusals.add(1, ordering: .relaxed)
        return false
    }

    public func leave(_ address: AddressKey) { limiter.leave(address) }

    /// ms that a handshake which begins now may take.
    public var allowance: Int64 { limiter.total > limiter.maximum / 2 ? Self.patienceWhenCrowded : Self.patience }
    /// Handshakes that are not through.
    public var count: Int { limiter.total }
    /// First records that found no place.
    public var refused: UInt64 { refusals.load(ordering: .relaxed) }
}
