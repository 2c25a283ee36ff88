// SPDX-License-Identifier: Apache-2.0
// What can go wrong when a record is mixed, as sentences a user can act on, with the exit code of `martlet mix` for each.

public enum MixError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The record is missing, or nothing in it can be mixed.
    case file(String)
    /// The settings are missing or malformed.
    case settings(String)
    /// The result can't be written.
    case output(String)
    /// An encoder or the font library is missing, or failed.
    case failed(String)

    /// 64 and 65 as of the vendor's tool; the others as of sysexits(3).
    public var exitCode: Int32 {
        switch self {
        case .file: 64
        case .settings: 65
        case .failed: 70
        case .output: 73
        }
    }

    public var description: String {
        switch self {
        case .file(let text), .settings(let text), .output(let text), .failed(let text): text
        }
    }
}
