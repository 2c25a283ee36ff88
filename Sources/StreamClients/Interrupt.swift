// SPDX-License-Identifier: Apache-2.0
// Ctrl-C and SIGTERM as a stream, for commands that stay up until then.
import Dispatch
import Glibc

public enum Interrupt {
    /// One element per SIGINT or SIGTERM; from the first call on these no longer end the process by themselves.
    public static func signals() -> AsyncStream<Int32> {
        AsyncStream { continuation in
            // Dispatch's own objects are safe from any thread; Swift isn't told so on Linux.
            nonisolated(unsafe) let sources = [SIGINT, SIGTERM].map { number -> any DispatchSourceSignal in
                signal(number, SIG_IGN)
                let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
                source.setEventHandler { continuation.yield(number) }
                source.resume()
                return source
            }
            continuation.onTermination = { _ in for source in sources { source.cancel() } }
        }
    }
}
