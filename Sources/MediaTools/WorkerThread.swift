// SPDX-License-Identifier: Apache-2.0
// A thread that can be joined. Owned by a pipeline.
import Glibc

/// Runs a closure on a thread of its own: encoding and decoding must not block Swift's cooperative threads.
final class WorkerThread: Sendable {
    private final class Job {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    private let thread: pthread_t

    /// Starts at once. `nil` when the system has no thread left.
    init?(_ body: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        let job = Unmanaged.passRetained(Job(body))
        let result = pthread_create(&thread, nil, { argument in
            guard let argument else { return nil }
            let job = Unmanaged<Job>.fromOpaque(argument).takeRetainedValue()
            job.body()
            return nil
        }, job.toOpaque())
        guard result == 0 else {
            job.release()
            return nil
        }
        self.thread = thread
    }

    /// Waits for the end. Called once; from the thread itself it lets go instead.
    func join() {
        if pthread_equal(pthread_self(), thread) != 0 {
            pthread_detach(thread)
        } else {
            pthread_join(thread, nil)
        }
    }
}
