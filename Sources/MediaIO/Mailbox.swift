// SPDX-License-Identifier: Apache-2.0
// How other threads talk to a reactor: a list of jobs, bounded where the one who posts wants that, and an eventfd that wakes it.
import CMartlet
import Glibc
import Synchronization

/// Jobs for one reactor. `post` from any thread; `drain` on the reactor's own.
final class Mailbox: Sendable {
    typealias Job = @Sendable (ReactorCore) -> Void

    private struct State {
        var jobs: [Job] = []
        var isClosed = false
    }

    let descriptor: Int32
    private let state = Mutex(State())

    init() throws(SystemError) {
        descriptor = eventfd(0, Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC))
        if descriptor < 0 { throw SystemError(call: "eventfd", code: errno) }
    }

    deinit { close(descriptor) }

    /// False when the reactor is gone, or when `limit` jobs are waiting already.
    @discardableResult
    func post(limit: Int = .max, _ job: @escaping Job) -> Bool {
        let (taken, wasEmpty) = state.withLock { state in
            guard !state.isClosed, state.jobs.count < limit else { return (false, false) }
            state.jobs.append(job)
            return (true, state.jobs.count == 1)
        }
        if wasEmpty { wake() }
        return taken
    }

    func wake() {
        var one: UInt64 = 1
        _ = write(descriptor, &one, 8)
    }

    func drain() -> [Job] {
        var counter: UInt64 = 0
        _ = read(descriptor, &counter, 8)
        return state.withLock { state in
            let jobs = state.jobs
            state.jobs = []
            return jobs
        }
    }

    /// After this nothing is taken any more; what was waiting is returned so that nobody waits for ever.
    func close() -> [Job] {
        state.withLock { state in
            state.isClosed = true
            let jobs = state.jobs
            state.jobs = []
            return jobs
        }
    }

    private func close(_ descriptor: Int32) { _ = Glibc.close(descriptor) }
}
