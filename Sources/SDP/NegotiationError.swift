// SPDX-License-Identifier: Apache-2.0
// Why an offer could not be answered, or an answer not be used.

/// Tells the caller which status to give the peer; the texts are sentences for logs.
public enum NegotiationError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The description lacks something that no transport can do without (ICE credentials, fingerprint, a protocol with SRTP).
    case malformed(String)
    /// An m-line that both sides want has no codec that both understand.
    case noCommonCodecs
    /// No m-line that both sides want.
    case noMedia
    /// The answer does not belong to the offer.
    case mismatch(String)

    public var description: String {
        switch self {
        case .malformed(let what): what
        case .noCommonCodecs: "The two sides have no codec in common"
        case .noMedia: "There is no audio or video that both sides want"
        case .mismatch(let what): what
        }
    }
}
