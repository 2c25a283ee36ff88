// SPDX-License-Identifier: Apache-2.0
// One RTP header extension as declared in an m-section.

/// An `a=extmap` line (RFC 8285 §5).
public struct ExtensionMap: Sendable, Equatable {
    /// The identifier on this wire, 1…255; above 14 needs the two-byte form.
    public var id: UInt8
    public var uri: String
    public var direction: Direction?

    public init(id: UInt8, uri: String, direction: Direction? = nil) {
        self.id = id; self.uri = uri; self.direction = direction
    }
}

/// The URIs of the header extensions that Martlet reads or writes.
public enum ExtensionURI {
    public static let mid = "urn:ietf:params:rtp-hdrext:sdes:mid"
    public static let audioLevel = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
    public static let absoluteSendTime = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
    public static let transportWideCC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
    public static let videoOrientation = "urn:3gpp:video-orientation"
    public static let playoutDelay = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
}
