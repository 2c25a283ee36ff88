// SPDX-License-Identifier: Apache-2.0
// Which listeners are open on which ports: filled by the listeners as they bind (a port of 0 becomes a real one),
// read by `server/info` and by the line that announces the start.
import Synchronization

/// The doors for TCP clients.
public enum ListenerKind: String, Sendable, CaseIterable {
    case ws, wss, http, https, rtmp, rtmps, rtsp

    /// The setting that holds its port.
    public var settingKey: String { rawValue + ".port" }
    /// Whether it speaks TLS.
    public var isSecure: Bool { self == .wss || self == .https || self == .rtmps }
}

/// A listener that could not be opened, in a sentence that names the setting.
public struct ListenerError: Error, Sendable, CustomStringConvertible {
    public let description: String
}

public final class ListenerRegistry: Sendable {
    private let bound = Mutex<[ListenerKind: Int]>([:])
    private let changes: AsyncStream<Void>
    private let changed: AsyncStream<Void>.Continuation

    public init() {
        (changes, changed) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// The ports in use now.
    public var ports: [ListenerKind: Int] { bound.withLock { $0 } }

    /// To be called once a listener accepts connections.
    public func opened(_ kind: ListenerKind, port: Int) {
        bound.withLock { $0[kind] = port }
        changed.yield()
    }

    /// Returns once all of `kinds` are open, or early when the task is cancelled. For one waiter.
    func waitUntilOpen(_ kinds: Set<ListenerKind>) async {
        if kinds.isSubset(of: ports.keys) { return }
        for await _ in changes where kinds.isSubset(of: ports.keys) { return }
    }
}
