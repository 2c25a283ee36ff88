// The outcome of offer/answer for one m-line; made by `Negotiation`, read by whoever runs the transport.

/// What two sides agreed on for one m-line.
public struct NegotiatedMedia: Sendable, Equatable {
    public var mLineIndex: Int
    public var mid: String?
    public var kind: SDPMediaKind
    /// Our direction.
    public var direction: Direction
    /// The codec with its payload type, parameters and feedback on this wire; `nil` = rejected or inactive.
    public var codec: Codec?
    /// The payload type of the retransmissions of `codec`.
    public var rtx: UInt8?
    /// Header extensions in use: URI → identifier on this wire.
    public var extensions: [String: UInt8] = [:]
    /// The SSRCs announced by the other side, in its order; empty when it announced none (learn them from packets).
    public var remoteSources: [RemoteSource] = []
    /// The SSRC of what we send here: media, or RTCP reports when we only receive.
    public var localSSRC: UInt32
    /// Set when we send and `rtx` is in use.
    public var localRTXSSRC: UInt32?
    /// Which of `Negotiated.transportCount` transports carries this m-line; 0 when bundled and for m-lines without media.
    public var transportIndex = 0
    /// When we send: the index of the track in the list that was passed in.
    public var trackIndex: Int?

    /// The DTLS role that is ours: `.active` opens the handshake. `.actpass` while an offer of ours is unanswered.
    public var localSetup: Setup = .passive
    public var remoteUfrag = ""
    public var remotePwd = ""
    public var remoteFingerprints: [Fingerprint] = []
    /// As written; `nil` when missing.
    public var remoteSetup: Setup?
    /// Candidates of component 1, UDP and TCP, as written.
    public var remoteCandidates: [Candidate] = []
    public var remoteIsLite = false

    public init(mLineIndex: Int, mid: String?, kind: SDPMediaKind, direction: Direction, localSSRC: UInt32 = 0) {
        self.mLineIndex = mLineIndex; self.mid = mid; self.kind = kind
        self.direction = direction; self.localSSRC = localSSRC
    }

    /// True when media flows in some direction.
    public var isActive: Bool { codec != nil && direction != .inactive }
    public var nack: Bool { has("nack") }
    public var pli: Bool { has("nack pli") }
    public var fir: Bool { has("ccm fir") }
    /// Transport-wide congestion control: both the feedback and its header extension are in use.
    public var transportCC: Bool { has("transport-cc") && extensions[ExtensionURI.transportWideCC] != nil }
    public var remb: Bool { has("goog-remb") }

    private func has(_ feedback: String) -> Bool { codec?.feedback.contains(feedback) ?? false }
}
