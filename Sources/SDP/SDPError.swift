// SPDX-License-Identifier: Apache-2.0
// Why a text could not be read as SDP.

/// What is wrong with a session description, in words for a log line or a status `info`.
public enum SDPError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Not even a `v=` line.
    case notSDP
    /// A bound was passed; the text names it.
    case tooLarge(String)
    /// A line that everything else depends on can't be read. Lines count from 1.
    case malformed(line: Int, String)

    public var description: String {
        switch self {
        case .notSDP: "The text is not a session description: no v= line"
        case .tooLarge(let what): "The session description is too large: \(what)"
        case .malformed(let line, let what): "Malformed session description, line \(line): \(what)"
        }
    }
}
