// SPDX-License-Identifier: Apache-2.0
// First look at a datagram on a port that STUN, DTLS, RTP and RTCP share. Called by the transport for every datagram.

/// What a datagram is, told by its first two bytes (RFC 7983 §7, RFC 5761 §4). Nothing else about it has been checked.
@frozen public enum PacketClass: Equatable, Sendable {
    case stun, dtls, rtp, rtcp, unknown

    @inlinable @inline(__always)
    public init(_ datagram: UnsafeRawBufferPointer) {
        guard datagram.count >= 2 else {
            self = .unknown
            return
        }
        switch datagram[0] {
        case 128...191:
            // RTCP packet types that can't be mistaken for an RTP payload type with its marker bit.
            self = datagram[1] >= 192 && datagram[1] <= 223 ? .rtcp : .rtp
        case 0...3: self = .stun
        case 20...63: self = .dtls
        default: self = .unknown
        }
    }
}
