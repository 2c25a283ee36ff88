// SPDX-License-Identifier: Apache-2.0
// What an m-line carries, as named by its first token.

/// The media type of an m-line (RFC 8866 §5.14).
public enum SDPMediaKind: Hashable, Sendable {
    case audio, video, application
    /// Anything else ("text", "image", …), always answered with port 0.
    case other(String)

    public init(_ token: some StringProtocol) {
        switch token.lowercased() {
        case "audio": self = .audio
        case "video": self = .video
        case "application": self = .application
        default: self = .other(String(token))
        }
    }

    /// The token as written in the m-line.
    public var token: String {
        switch self {
        case .audio: "audio"
        case .video: "video"
        case .application: "application"
        case .other(let token): token
        }
    }
}
