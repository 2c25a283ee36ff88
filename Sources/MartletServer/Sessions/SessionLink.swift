// SPDX-License-Identifier: Apache-2.0
// A client as applications see it: who it is, and the ways to reach it. Sessions make one of themselves; another door (RTMP)
// makes its own.
import Signalling

struct SessionLink: Sendable {
    let info: SessionInfo
    /// Queues a serialized envelope for the client, behind whatever its session has still to handle. Never blocks.
    let send: @Sendable (String) -> Void
    /// Whether the client is still there; see `SessionPresence`.
    let presence: @Sendable () async -> SessionPresence
    /// Closes the connection, with a reason for the log.
    let drop: @Sendable (String) -> Void

    var id: String { info.id }
}

/// What came of asking a client whether it is there.
enum SessionPresence: Sendable, Equatable {
    /// It has answered, or has at least not been silent for long. After an answer, everything that it had sent before it was
    /// asked has been handled.
    case present
    /// It is connected, but has left several pings in a row unanswered, and this one.
    case silent
    /// Its connection is closed.
    case gone
}
