// SPDX-License-Identifier: Apache-2.0
// A session description as a value: parsed from an offer or answer, or built by `Negotiation` and serialised.

/// An SDP session description (RFC 8866) with the WebRTC attributes of RFC 8829.
public struct SessionDescription: Sendable, Equatable {
    /// The o= line (RFC 8866 §5.2).
    public struct Origin: Sendable, Equatable {
        public var username = "-"
        /// Numeric text; kept as text because 64 bits are not enough for everybody.
        public var sessionID = "0"
        public var sessionVersion = "1"
        public var address = "0.0.0.0"
        public init() {}
    }

    public var origin = Origin()
    public var name = "-"
    public var isICELite = false
    /// The mids of each `a=group:BUNDLE` line.
    public var bundleGroups: [[String]] = []
    public var extmapAllowMixed = false
    public var media: [MediaDescription] = []
    /// Session-level attributes without a field of their own, at most 256.
    public var unknownAttributes: [Attribute] = []

    public init() {}

    /// The largest text that is read, bytes.
    public static let maximumSize = 256 * 1024
    /// The most m-lines that are read.
    public static let maximumMediaSections = 64
    /// The most lines per section that are read.
    public static let maximumLinesPerSection = 4096
}
