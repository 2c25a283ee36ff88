// SPDX-License-Identifier: Apache-2.0
// The SSRCs an m-section announces, and how they belong together.

/// An `a=msid` value (RFC 8830): which MediaStream, and which track of it.
public struct MediaStreamID: Sendable, Equatable {
    /// "-" means: no stream.
    public var stream: String
    public var track: String?
    public init(stream: String, track: String? = nil) { self.stream = stream; self.track = track }
}

/// All `a=ssrc` lines of one SSRC (RFC 5576 §4.1).
public struct MediaSource: Sendable, Equatable {
    public var ssrc: UInt32
    public var cname: String?
    public var msid: MediaStreamID?
    public init(ssrc: UInt32, cname: String? = nil, msid: MediaStreamID? = nil) {
        self.ssrc = ssrc; self.cname = cname; self.msid = msid
    }
}

/// An `a=ssrc-group` line (RFC 5576 §4.2): "FID" pairs media with its retransmissions, "SIM" lists simulcast layers.
public struct SourceGroup: Sendable, Equatable {
    public var semantics: String
    public var ssrcs: [UInt32]
    public init(semantics: String, ssrcs: [UInt32]) { self.semantics = semantics; self.ssrcs = ssrcs }
}
