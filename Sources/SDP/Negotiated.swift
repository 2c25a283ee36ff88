// SPDX-License-Identifier: Apache-2.0
// The outcome of offer/answer for a whole description.

/// What `Negotiation` hands back.
public struct Negotiated: Sendable, Equatable {
    /// What to send to the other side; after `Negotiation.accept`, the offer that was sent.
    public var description: SessionDescription
    /// One entry per m-line, in order, rejected ones included.
    public var media: [NegotiatedMedia]
    /// All active m-lines share a transport because of a BUNDLE group.
    public var isBundled: Bool
    /// How many transports (ICE + DTLS) have to be run.
    public var transportCount: Int

    public init(description: SessionDescription, media: [NegotiatedMedia], isBundled: Bool, transportCount: Int) {
        self.description = description; self.media = media
        self.isBundled = isBundled; self.transportCount = transportCount
    }
}
