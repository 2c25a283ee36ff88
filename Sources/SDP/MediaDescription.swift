// SPDX-License-Identifier: Apache-2.0
// One m-section of a session description.

/// Everything an m-section says, session-level ICE, DTLS and direction attributes included.
public struct MediaDescription: Sendable, Equatable {
    /// A `b=` line; for "AS" the value is kbit/s, for "TIAS" bit/s.
    public struct Bandwidth: Sendable, Equatable {
        public var type: String
        public var value: Int
        public init(type: String, value: Int) { self.type = type; self.value = value }
    }

    public var kind: SDPMediaKind
    /// 9 while no address is known, 0 when rejected.
    public var port: Int
    /// e.g. "UDP/TLS/RTP/SAVPF"
    public var proto: String
    /// Payload types (or "webrtc-datachannel") in order of preference.
    public var formats: [String]
    public var mid: String?
    public var direction: Direction
    /// From the c= line (session level when the section has none).
    public var connectionAddress: String?
    public var bandwidth: [Bandwidth] = []
    public var iceUfrag: String?
    public var icePwd: String?
    public var fingerprints: [Fingerprint] = []
    public var setup: Setup?
    public var candidates: [Candidate] = []
    public var endOfCandidates = false
    public var rtcpMux = false
    public var rtcpReducedSize = false
    public var bundleOnly = false
    /// `a=extmap-allow-mixed` in the section itself; Firefox writes it here, Chromium at session level.
    public var extmapAllowMixed = false
    public var codecs: [Codec] = []
    public var extensions: [ExtensionMap] = []
    public var sources: [MediaSource] = []
    public var sourceGroups: [SourceGroup] = []
    public var msid: MediaStreamID?
    /// `a=rid` values as written (RFC 8851).
    public var rids: [String] = []
    /// The `a=simulcast` value as written (RFC 8853).
    public var simulcast: String?
    /// Attributes without a field of their own, at most 256.
    public var unknownAttributes: [Attribute] = []

    public init(
        kind: SDPMediaKind, port: Int = 9, proto: String = "UDP/TLS/RTP/SAVPF", formats: [String] = [],
        mid: String? = nil, direction: Direction = .sendrecv
    ) {
        self.kind = kind; self.port = port; self.proto = proto; self.formats = formats
        self.mid = mid; self.direction = direction
    }

    /// Port 0 means "no", except in an offer's bundle-only section (RFC 9143 §6).
    public var rejected: Bool { port == 0 && !bundleOnly }

    /// The codec of a payload type.
    public func codec(payloadType: UInt8) -> Codec? { codecs.first { $0.payloadType == payloadType } }

    /// The retransmission format of `payloadType`, when the section has one with a usable `apt`.
    public func retransmission(of payloadType: UInt8) -> Codec? {
        codecs.first { $0.isNamed("rtx") && $0.apt == payloadType }
    }
}
