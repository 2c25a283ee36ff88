// SPDX-License-Identifier: Apache-2.0
// What ends an RTMP connection, in a sentence for the log of whoever runs the server.

/// A breach of the protocol or of a bound by the far side, or its refusal. The connection is over then.
public enum RTMPError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The bytes are not what the specification allows at this place.
    case malformed(String)
    /// More than is taken from one connection.
    case limit(String)
    /// A version, encryption or form that this implementation has not got.
    case unsupported(String)
    /// The far side said no: code and description of its status.
    case refused(code: String, description: String)

    public var description: String {
        switch self {
        case .malformed(let what): "malformed RTMP: \(what)"
        case .limit(let what): "RTMP bound exceeded: \(what)"
        case .unsupported(let what): "not supported: \(what)"
        case .refused(let code, let text): text.isEmpty ? "refused: \(code)" : "refused: \(code) (\(text))"
        }
    }
}
