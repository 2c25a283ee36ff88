// SPDX-License-Identifier: Apache-2.0
// What can go wrong between us and another WCS server, each with a sentence for whoever asked.

public enum WCSClientError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The URI can't be used; the sentence names it.
    case badAddress(String)
    /// No TCP connection, TLS or WebSocket handshake.
    case unreachable(String)
    /// The server closed the connection before the session was established.
    case rejected(String)
    /// The server refused or ended the stream; `info` in its words.
    case stream(status: String, info: String)
    /// The connection broke.
    case disconnected(String)
    /// No answer within the set time.
    case timeout(String)
    case cancelled

    public var description: String {
        switch self {
        case .badAddress(let reason), .unreachable(let reason), .rejected(let reason), .disconnected(let reason), .timeout(let reason):
            reason
        case .stream(let status, let info): info.isEmpty ? "the server says \(status)" : "the server says \(status): \(info)"
        case .cancelled: "cancelled"
        }
    }
}
