// SPDX-License-Identifier: Apache-2.0
// Counts open connections, or what else a peer may have so many of, in all and per address, and says no above the bounds.
import Synchronization

/// Safe from any thread. Addresses are told apart as `AddressKey` says: all of an IPv6 /64 are one.
public final class ConnectionLimiter: Sendable {
    private struct Counts {
        var total = 0
        var perAddress: [AddressKey: Int] = [:]
    }
    private let counts = Mutex(Counts())
    public let maximum: Int
    public let maximumPerAddress: Int

    public init(maximum: Int, maximumPerAddress: Int) {
        self.maximum = maximum
        self.maximumPerAddress = maximumPerAddress
    }

    /// Takes a place for `address`; false when there is none. Each `true` is given back by `leave`.
    public func enter(_ address: AddressKey) -> Bool {
        counts.withLock { counts in
            guard counts.total < maximum, counts.perAddress[address, default: 0] < maximumPerAddress else { return false }
            counts.total += 1
            counts.perAddress[address, default: 0] += 1
            return true
        }
    }

    public func leave(_ address: AddressKey) {
        counts.withLock { counts in
            guard let count = counts.perAddress[address] else { return }
            counts.total -= 1
            counts.perAddress[address] = count > 1 ? count - 1 : nil
        }
    }

    public var total: Int { counts.withLock { $0.total } }
}
