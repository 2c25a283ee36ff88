// SPDX-License-Identifier: Apache-2.0
// A time limit on an asynchronous call that honours cancellation.

enum Deadline {
    /// Runs `operation`; when it takes longer than `duration`, cancels it and throws `error`.
    static func run<Value: Sendable, Failure: Error>(
        _ duration: Duration, clock: any Clock<Duration> = ContinuousClock(), otherwise error: Failure,
        _ operation: @escaping @Sendable () async throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let result = await withTaskGroup(of: Result<Value, Failure>?.self) { group -> Result<Value, Failure> in
            group.addTask {
                do throws(Failure) { return .success(try await operation()) } catch { return .failure(error) }
            }
            group.addTask {
                // `nil` when cancelled: the operation decides then.
                do { try await clock.sleep(for: duration) } catch { return nil }
                return .failure(error)
            }
            defer { group.cancelAll() }
            while let outcome = await group.next() {
                if let outcome { return outcome }
            }
            return .failure(error)
        }
        return try result.get()
    }
}
