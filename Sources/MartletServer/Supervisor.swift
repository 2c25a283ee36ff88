// SPDX-License-Identifier: Apache-2.0
// Runs what a service has many of at once (agents, relays, pulls), each in a task of its own, for as long as the service lives.
import ServiceLifecycle

/// Takes members from any thread; `run` is called once, by the service that owns it.
struct Supervisor<Member: AnyObject & Sendable>: Sendable {
    private let begun: AsyncStream<Member>
    private let sink: AsyncStream<Member>.Continuation

    init() { (begun, sink) = AsyncStream.makeStream() }

    /// Has the member run soon. False when the service is ending: it will not run.
    func begin(_ member: Member) -> Bool {
        if case .terminated = sink.yield(member) { return false }
        return true
    }

    /// Runs members until graceful shutdown or cancellation, and returns when the last of them has ended.
    ///
    /// - Parameter endAll: tells every member to end; called on graceful shutdown, when no further one begins.
    func run(_ work: @escaping @Sendable (Member) async -> Void, endAll: @escaping @Sendable () async -> Void) async {
        await withGracefulShutdownHandler {
            await withTaskCancellationHandler {
                await withDiscardingTaskGroup { group in
                    for await member in begun {
                        group.addTask { await work(member) }
                    }
                }
            } onCancel: {
                sink.finish()
            }
        } onGracefulShutdown: {
            Task {
                sink.finish()
                await endAll()
            }
        }
    }
}
