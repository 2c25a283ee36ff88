// SPDX-License-Identifier: Apache-2.0
// An SSRC of the other side, as `NegotiatedMedia` lists it.

/// An SSRC the other side announced, with the SSRC of its retransmissions.
public struct RemoteSource: Sendable, Equatable {
    public var ssrc: UInt32
    public var rtx: UInt32?
    public init(ssrc: UInt32, rtx: UInt32? = nil) { self.ssrc = ssrc; self.rtx = rtx }
}
