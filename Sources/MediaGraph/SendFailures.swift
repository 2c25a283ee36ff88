// SPDX-License-Identifier: Apache-2.0
// Packets that could not leave as they were meant to, by reason. Counted by the driver, per socket and per endpoint; read for statistics.

/// Why a packet was not sent.
public enum SendFailure: Sendable {
    /// Larger than the path to the peer takes, and it may not be cut into fragments.
    case tooLarge
    /// The socket's send buffer is full: the machine's own network is slower than what is to be sent.
    case bufferFull
    /// The machine has no route to the peer, or a rule of its firewall forbids it.
    case unreachable
    case other

    /// - Parameter code: errno of the call.
    @inline(never)
    public init(code: Int32) {
        switch code {
        case 90: self = .tooLarge  // EMSGSIZE
        case 11, 12, 105: self = .bufferFull  // EAGAIN, ENOMEM, ENOBUFS
        case 1, 13, 100, 101, 113: self = .unreachable  // EPERM, EACCES, ENETDOWN, ENETUNREACH, EHOSTUNREACH
        default: self = .other
        }
    }
}

/// Counters of packets.
public struct SendFailures: Sendable, Equatable {
    /// Sent, but larger than the path's MTU: they left one by one, and the network carries them in fragments.
    public var fragmented: UInt64 = 0
    /// Dropped, by reason as in `SendFailure`.
    public var tooLarge: UInt64 = 0
    public var bufferFull: UInt64 = 0
    public var unreachable: UInt64 = 0
    public var other: UInt64 = 0

    public init() {}

    public var dropped: UInt64 { tooLarge &+ bufferFull &+ unreachable &+ other }
    /// Whether some were larger than the path's MTU.
    public var isPathNarrow: Bool { fragmented > 0 || tooLarge > 0 }

    public mutating func count(_ failure: SendFailure, packets: Int = 1) {
        switch failure {
        case .tooLarge: tooLarge &+= UInt64(packets)
        case .bufferFull: bufferFull &+= UInt64(packets)
        case .unreachable: unreachable &+= UInt64(packets)
        case .other: other &+= UInt64(packets)
        }
    }

    public static func += (a: inout SendFailures, b: SendFailures) {
        a.fragmented &+= b.fragmented
        a.tooLarge &+= b.tooLarge
        a.bufferFull &+= b.bufferFull
        a.unreachable &+= b.unreachable
        a.other &+= b.other
    }
}
