// SPDX-License-Identifier: Apache-2.0
// Who may send in an m-section.

/// The direction attribute of an m-section as seen by the side that wrote it (RFC 8866 §6.7).
public enum Direction: String, Sendable, Hashable, CaseIterable {
    case sendrecv, sendonly, recvonly, inactive

    public init(sends: Bool, receives: Bool) {
        self = sends ? (receives ? .sendrecv : .sendonly) : (receives ? .recvonly : .inactive)
    }

    public var sends: Bool { self == .sendrecv || self == .sendonly }
    public var receives: Bool { self == .sendrecv || self == .recvonly }

    /// The same state seen by the other side.
    public var reversed: Direction { Direction(sends: receives, receives: sends) }
}
