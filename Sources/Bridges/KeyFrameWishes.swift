// SPDX-License-Identifier: Apache-2.0
// Sinks' wishes for a key frame on their way from a reactor to the task that feeds a bridge's worker.
import MediaIO
import Synchronization

final class KeyFrameWishes: Sendable {
    private let isWanted = Atomic<Bool>(false)
    private let signal: WakeSignal

    init(_ signal: WakeSignal) { self.signal = signal }

    func add() {
        isWanted.store(true, ordering: .relaxed)
        signal.set()
    }

    /// Whether there were any since the last call.
    func take() -> Bool { isWanted.exchange(false, ordering: .relaxed) }
}
