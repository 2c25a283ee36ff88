// SPDX-License-Identifier: Apache-2.0
// What the tests of this module that cross threads wait with.
import Testing

/// Waits for something that another thread brings about; the deadline is only there to end a broken run.
func eventually(_ what: String, _ condition: () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(20)
    while ContinuousClock.now < deadline {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(5))
    }
    Issue.record("never happened: \(what)")
}
