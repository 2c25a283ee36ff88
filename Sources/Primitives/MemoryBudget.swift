// SPDX-License-Identifier: Apache-2.0
// One budget for all memory that is held for remotes: messages and bodies that are not complete, reassembly, send queues, rings.
// Made once by the composition; whoever buffers opens an account and takes from it before it keeps a byte.
import Synchronization

/// How it works: an account may take while the sum stays below `limit`. Above `highMark` no new work is let in, and the largest
/// holders are asked to go, down to `lowMark`: first those of the network (`AddressKey`) that holds the most. It is the same with the share
/// of each network: above four fifths of it, its own largest holders go, nobody else's. Safe from any thread; closures run on the thread that took.
public final class MemoryBudget: Sendable {
    /// Why something isn't let in; a sentence for the peer and the log.
    public enum Refusal: Error, Sendable, Equatable, CustomStringConvertible {
        /// The whole budget.
        case server
        /// The share of one address.
        case address
        /// This holder was among the largest and has been asked to go.
        case evicted

        public var description: String {
            switch self {
            case .server: "the server holds as much memory for its clients as it may (memory_budget); try again later"
            case .address: "your address makes the server hold more memory than one may (memory_per_address)"
            case .evicted: "this connection was among those that made the server hold the most memory (memory_budget, memory_per_address)"
            }
        }
    }

    public struct Statistics: Sendable, Equatable {
        public var limit = 0
        public var used = 0
        /// The most since the start.
        public var highest = 0
        /// Accounts that hold something worth counting.
        public var holders = 0
        public var refusedNewWork: UInt64 = 0
        /// Takes refused for the whole budget, and for an address' share.
        public var refusedByLimit: UInt64 = 0
        public var refusedByShare: UInt64 = 0
        /// Holders that were asked to go.
        public var evicted: UInt64 = 0
    }

    /// Bytes in all.
    public let limit: Int
    /// Bytes for one network.
    public let share: Int
    /// Above it new work is refused and the largest holders go.
    public var highMark: Int { limit / 10 * 8 }
    var lowMark: Int { limit / 10 * 7 }
    /// What belongs to no network grows no further, so that it puts nobody out.
    var fixedMark: Int { limit / 2 }

    fileprivate struct Network {
        var used = 0
        /// Of `used`, what holders have that were asked to go.
        var leaving = 0
        var holders: [ObjectIdentifier: Holder] = [:]
    }
    fileprivate struct State {
        var used = 0
        var leaving = 0
        /// Of `used`, what belongs to no network.
        var fixed = 0
        var networks: [AddressKey: Network] = [:]
        var statistics = Statistics()
    }
    fileprivate let state = Mutex(State())

    /// - Parameters:
    ///   - limit: bytes in all, above zero.
    ///   - share: bytes for one network, at most `limit`.
    public init(limit: Int, share: Int) {
        self.limit = max(1, limit)
        self.share = max(1, min(share, limit))
    }

    /// A budget that says yes to everything, for tests and tools.
    public static var unlimited: MemoryBudget { MemoryBudget(limit: .max / 16, share: .max / 16) }

    /// Whether new work (a connection, a stream, a request with a body) may begin; otherwise why not. Asked once, before it does.
    public func admit(_ network: AddressKey) -> Refusal? {
        state.withLock { state in
            let refusal: Refusal? =
                state.used > highMark ? .server : (state.networks[network]?.used ?? 0) > share / 10 * 8 ? .address : nil
            if refusal != nil { state.statistics.refusedNewWork &+= 1 }
            return refusal
        }
    }

    /// - Parameters:
    ///   - network: whose share it counts in; `nil` for what can't be laid at one remote's door, such as the rings of streams: it
    ///     counts in the sum only and is never asked to go. It gets no more once all of its kind have half of the budget, or the sum is above
    ///     `highMark`, and makes nobody go, so that the rest is left for what remotes have to say.
    ///   - onEviction: called once, if this account is to go: end what it is for, soon; then `close`. Must not block.
    public func account(
        for network: AddressKey?, onEviction: @escaping @Sendable (Refusal) -> Void = { _ in }
    ) -> MemoryAccount {
        MemoryAccount(budget: self, holder: Holder(network: network, onEviction: onEviction))
    }

    public var statistics: Statistics {
        state.withLock { state in
            var statistics = state.statistics
            statistics.limit = limit
            statistics.used = state.used
            statistics.holders = state.networks.values.reduce(0) { $0 + $1.holders.count }
            return statistics
        }
    }

    // MARK: For accounts

    /// What is counted for `held` bytes: little is not worth a lock, much goes in steps.
    static func reservation(for held: Int) -> Int {
        held <= 4_096 ? 0 : min(held, .max / 32 - step) / step * step + step
    }
    private static let step = 16_384

    /// Moves a holder's reservation to what `held` bytes need. Returns why not, with nothing changed.
    /// - Parameter isFact: they are held already.
    fileprivate func reserve(_ held: Int, for holder: Holder, isFact: Bool = false) -> Refusal? {
        var leavers: [Holder] = []
        // Of the network's own, for its share.
        var own: [Holder] = []
        let refusal: Refusal? = state.withLock { state in
            let old = holder.reserved.withLock { $0 }
            let new = Self.reservation(for: held)
            // Reservations are at most .max / 32, and their sum at most `limit`: no difference overflows.
            let growth = new - old.bytes
            guard growth > 0 else {
                move(holder, from: old, to: new, &state)
                return nil
            }
            if isFact {
                move(holder, from: old, to: new, &state)
                if holder.network != nil, state.used - state.leaving > highMark { leavers = markLargest(&state) }
                return nil
            }
            if old.isLeaving { return .evicted }
            if holder.network == nil {
                guard state.used.addingSaturating(growth) <= highMark, state.fixed.addingSaturating(growth) <= fixedMark else {
                    state.statistics.refusedByLimit &+= 1
                    return .server
                }
                move(holder, from: old, to: new, &state)
                return nil
            }
            guard state.used.addingSaturating(growth) <= limit else {
                state.statistics.refusedByLimit &+= 1
                leavers = markLargest(&state)
                return .server
            }
            if let network = holder.network {
                let entry = state.networks[network] ?? Network()
                let used = entry.used.addingSaturating(growth)
                if used > share / 10 * 8 {
                    if used - entry.leaving > share / 10 * 8 {
                        own = mark(network, &state) { entry, _ in entry.used - entry.leaving + growth <= self.share / 10 * 7 }
                    }
                    // Those that leave take a moment. Who asks may be the largest itself.
                    if own.contains(where: { $0 === holder }) || used > share {
                        state.statistics.refusedByShare &+= 1
                        return .address
                    }
                }
            }
            move(holder, from: old, to: new, &state)
            if state.used - state.leaving > highMark { leavers = markLargest(&state) }
            return nil
        }
        for holder in own { holder.onEviction(.address) }
        for holder in leavers { holder.onEviction(.evicted) }
        return refusal
    }

    private func move(_ holder: Holder, from old: Holder.Reserved, to new: Int, _ state: inout State) {
        guard new != old.bytes else { return }
        let growth = new - old.bytes
        holder.reserved.withLock { $0.bytes = new }
        state.used = state.used.addingSaturating(growth)
        state.statistics.highest = max(state.statistics.highest, state.used)
        guard let network = holder.network else {
            state.fixed += growth
            return
        }
        if old.isLeaving { state.leaving += growth }
        state.networks[network, default: Network()].used += growth
        if old.isLeaving { state.networks[network, default: Network()].leaving += growth }
        if new == 0 {
            state.networks[network]?.holders[ObjectIdentifier(holder)] = nil
            if state.networks[network]?.holders.isEmpty == true { state.networks[network] = nil }
        } else {
            state.networks[network, default: Network()].holders[ObjectIdentifier(holder)] = holder
        }
    }

    /// Marks the largest holders as leaving, until what stays is below `lowMark`, or they hold no more than their part whatever the rings hold.
    /// Those of the network with the most come first.
    private func markLargest(_ state: inout State) -> [Holder] {
        var leavers: [Holder] = []
        let fixed = state.fixed
        func isEnough(_ stays: Int) -> Bool { stays <= lowMark || stays - fixed <= lowMark - fixedMark }
        let order = state.networks.sorted { $0.value.used - $0.value.leaving > $1.value.used - $1.value.leaving }.map(\.key)
        for (index, network) in order.enumerated() where !isEnough(state.used - state.leaving) {
            // A network isn't emptied while the next one holds as much.
            let next = index + 1 < order.count ? state.networks[order[index + 1]].map { $0.used - $0.leaving } ?? 0 : 0
            leavers += mark(network, &state) { entry, stays in isEnough(stays) || entry.used - entry.leaving < next / 2 }
        }
        return leavers
    }

    /// Marks holders of a network as leaving, the largest first. `isEnough` is given the network and what stays in all.
    private func mark(_ network: AddressKey, _ state: inout State, until isEnough: (Network, Int) -> Bool) -> [Holder] {
        guard var entry = state.networks[network] else { return [] }
        var leavers: [Holder] = []
        let candidates = entry.holders.values.map { ($0, $0.reserved.withLock { $0 }) }.filter { !$0.1.isLeaving }.sorted { $0.1.bytes > $1.1.bytes }
        for (holder, reserved) in candidates where !isEnough(entry, state.used - state.leaving) {
            holder.reserved.withLock { $0.isLeaving = true }
            entry.leaving += reserved.bytes
            state.leaving += reserved.bytes
            state.statistics.evicted &+= 1
            leavers.append(holder)
        }
        state.networks[network] = entry
        return leavers
    }

    /// An account as the budget knows it; outlives it never, since the account gives everything back.
    fileprivate final class Holder: Sendable {
        struct Reserved {
            var bytes = 0
            var isLeaving = false
        }
        let network: AddressKey?
        let onEviction: @Sendable (Refusal) -> Void
        /// Changed under the budget's lock only; the lock of its own makes reading it free of that one.
        let reserved = Mutex(Reserved())

        init(network: AddressKey?, onEviction: @escaping @Sendable (Refusal) -> Void) {
            self.network = network
            self.onEviction = onEviction
        }
    }
}

/// What one holder has taken from the budget: a connection, a message that is not complete. Give it back by `close`, or by dropping
/// the last reference. Safe from any thread. A change costs a short lock of its own; the budget's only when 16 kB more or less are held.
public final class MemoryAccount: Sendable {
    private let budget: MemoryBudget
    private let holder: MemoryBudget.Holder
    private let bytes = Mutex(0)

    fileprivate init(budget: MemoryBudget, holder: MemoryBudget.Holder) {
        self.budget = budget
        self.holder = holder
    }

    deinit { close() }

    /// Bytes held now.
    public var held: Int { bytes.withLock { $0 } }

    /// Takes `count` more bytes. Returns why not, with nothing taken: end the message, or the connection, with that sentence.
    public func take(_ count: Int) -> MemoryBudget.Refusal? { change { $0.addingSaturating(max(0, count)) } }

    /// Gives `count` bytes back.
    public func give(_ count: Int) { _ = change { max(0, $0.subtractingSaturating(max(0, count))) } }

    /// Holds `count` bytes from now on. Returns why not, with what was held before kept.
    public func set(_ count: Int) -> MemoryBudget.Refusal? { change { _ in max(0, count) } }

    /// Holds `count` bytes, whatever the budget says: they are there already. What is too much is made up for by others, who are
    /// refused or asked to go.
    public func note(_ count: Int) {
        bytes.withLock { $0 = max(0, count) }
        if MemoryBudget.reservation(for: count) != holder.reserved.withLock({ $0.bytes }) { _ = budget.reserve(count, for: holder, isFact: true) }
    }

    /// Gives everything back; the account can be used again.
    public func close() { _ = set(0) }

    private func change(_ next: (Int) -> Int) -> MemoryBudget.Refusal? {
        let (before, after) = bytes.withLock { bytes in
            let before = bytes
            bytes = next(before)
            return (before, bytes)
        }
        guard MemoryBudget.reservation(for: after) != holder.reserved.withLock({ $0.bytes }) else { return nil }
        guard let refusal = budget.reserve(after, for: holder) else { return nil }
        // Only growth is refused, and the difference of two numbers that are not negative doesn't overflow.
        bytes.withLock { $0 = max(0, $0.subtractingSaturating(after - before)) }
        return refusal
    }
}
