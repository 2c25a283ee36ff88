// SPDX-License-Identifier: Apache-2.0
// What a DTLSSession asks its owner to do, and why it failed.

/// One thing to do after a call into a `DTLSSession`, in the order given.
public enum DTLSAction: Sendable, Equatable {
    /// Send these bytes as one datagram, at most `mtu` long (see `DTLSSession.init`).
    case send([UInt8])
    /// The handshake is complete and the peer's certificate fits: SRTP may start. Given once.
    case connected(SRTPKeyingMaterial)
    /// The session is over and never was usable. Given once, nothing follows.
    case failed(DTLSFailure)
    /// The peer has ended an established session (close_notify or a fatal alert). Given once, nothing follows.
    case closed
}

/// Why a handshake failed.
public enum DTLSFailure: Error, Sendable, Equatable, CustomStringConvertible {
    /// The peer's certificate has none of the fingerprints in its session description.
    case fingerprintMismatch
    /// The peer and we could not agree, or it sent what no handshake allows; with OpenSSL's reason.
    case handshake(String)
    /// No answer within 12 retransmissions or the time limit.
    case timeout
    /// The peer offers none of our SRTP profiles.
    case noSRTPProfile

    public var description: String {
        switch self {
        case .fingerprintMismatch: "the peer's DTLS certificate doesn't fit the fingerprint in its session description"
        case .handshake(let reason): "the DTLS handshake failed: \(reason)"
        case .timeout: "the peer doesn't answer the DTLS handshake"
        case .noSRTPProfile: "the peer supports none of our SRTP profiles"
        }
    }
}
