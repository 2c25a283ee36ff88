// SPDX-License-Identifier: Apache-2.0
// The media engine as a service: it runs by itself from the start; its part in the lifecycle is to be stopped last.
import MediaIO
import ServiceLifecycle
import Synchronization

struct MediaService: Service {
    let engine: any MediaEngineProtocol
    let end: EndOfService

    func run() async throws {
        let end = end
        await withGracefulShutdownHandler {
            // Never yields; ends with the service.
            let (never, _) = AsyncStream<Never>.makeStream()
            for await _ in never.cancelOnGracefulShutdown() {}
        } onGracefulShutdown: {
            end.begin()
        }
        await engine.shutdown()
    }
}

/// Whether the end of the server was asked for, so that errors of the way down aren't taken for failures.
final class EndOfService: Sendable {
    private let begun = Mutex(false)
    var hasBegun: Bool { begun.withLock { $0 } }
    func begin() { begun.withLock { $0 = true } }
}
