// SPDX-License-Identifier: Apache-2.0
// Lets one task sleep until a reactor, or anybody else, has something for it.
import Synchronization

/// A flag that one task may wait for. `set` from any thread: it never waits for long.
public final class WakeSignal: Sendable {
    private struct State {
        var isSet = false
        var waiter: CheckedContinuation<Void, Never>?
    }
    private let state = Mutex(State())

    public init() {}

    public func set() {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard let waiter = state.waiter else {
                state.isSet = true
                return nil
            }
            state.waiter = nil
            return waiter
        }
        waiter?.resume()
    }

    /// Returns once `set` has been called since the last return. One task at a time.
    public func wait() async {
        await withCheckedContinuation { continuation in
            let isSet = state.withLock { state -> Bool in
                if state.isSet {
                    state.isSet = false
                    return true
                }
                state.waiter = continuation
                return false
            }
            if isSet { continuation.resume() }
        }
    }
}
