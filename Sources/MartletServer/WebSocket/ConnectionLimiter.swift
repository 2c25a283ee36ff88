// Counts open connections, in all and per peer address, and says no above the bounds. Asked for every accepted socket.
import Synchronization

final class ConnectionLimiter: Sendable {
    private struct Counts {
        var total = 0
        var perAddress: [String: Int] = [:]
    }
    private let counts = Mutex(Counts())
    private let maximum: Int
    private let maximumPerAddress: Int

    init(maximum: Int, maximumPerAddress: Int) {
        self.maximum = maximum
        self.maximumPerAddress = maximumPerAddress
    }

    /// Takes a place for `address`; false when there is none. Each `true` is given back by `leave`.
    func enter(_ address: String) -> Bool {
        counts.withLock { counts in
            guard counts.total < maximum, counts.perAddress[address, default: 0] < maximumPerAddress else { return false }
            counts.total += 1
            counts.perAddress[address, default: 0] += 1
            return true
        }
    }

    func leave(_ address: String) {
        counts.withLock { counts in
            guard let count = counts.perAddress[address] else { return }
            counts.total -= 1
            counts.perAddress[address] = count > 1 ? count - 1 : nil
        }
    }

    var total: Int { counts.withLock { $0.total } }
}
