// SPDX-License-Identifier: Apache-2.0
// What can go wrong: SRTPError when a context is made, SRTPFailure for a single packet.

/// Why an SRTP context could not be made.
public enum SRTPError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The master key has `actual` bytes where the profile asks for `expected`.
    case keyLength(expected: Int, actual: Int)
    /// The master salt has `actual` bytes where the profile asks for `expected`.
    case saltLength(expected: Int, actual: Int)
    /// OpenSSL refused an operation (an algorithm that is switched off, or no memory).
    case cryptography(String)

    public var description: String {
        switch self {
        case .keyLength(let expected, let actual): "the SRTP master key has \(actual) bytes; the profile needs \(expected)"
        case .saltLength(let expected, let actual): "the SRTP master salt has \(actual) bytes; the profile needs \(expected)"
        case .cryptography(let operation): "OpenSSL refused \(operation)"
        }
    }
}

/// Why a packet was not protected or not accepted. The raw values are what the per-packet functions return.
public enum SRTPFailure: Int, Error, Sendable, CaseIterable {
    /// Not an (S)RTP or (S)RTCP packet, or too short, or SRTCP without encryption.
    case malformed = -1
    /// The tag does not fit: altered on the way, another key, or a wrong rollover counter.
    case authentication = -2
    /// Seen before, or older than the replay window.
    case replayed = -3
    /// The packet comes from a new SSRC and the bound on sources has been reached.
    case tooManySources = -4
    /// The index space of the key is used up (2^48 RTP or 2^31 RTCP packets): a new handshake is needed.
    case keyExhausted = -5
    /// OpenSSL failed; not caused by the packet.
    case cryptography = -6
}
