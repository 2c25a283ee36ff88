// SPDX-License-Identifier: Apache-2.0
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
    /// Everything that the receiving side takes here, `codec` first; known in answers to players and of answers to us. The sender may
    /// change from one to another at any time, without another offer (RFC 3264 §5.1).
    public var alternatives: [AgreedCodec] = []
    /// The other side has asked to receive this kind, whether or not there is something to send.
    public var isWanted = false
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
    /// When we send: the index of the track in the list that was passed in. `nil` with a codec: the section waits for a track that may
    /// still come.
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

    /// What a track of this format can be sent as; `nil` when the other side takes nothing like it.
    public func agreement(for format: TrackFormat) -> AgreedCodec? {
        let known = alternatives.isEmpty ? codec.map { [AgreedCodec(codec: $0, rtx: rtx)] } ?? [] : alternatives
        guard format.kind == kind, format.isRealTime, let best = CodecMatching.best(for: format.codec, in: known.map(\.codec)) else { return nil }
        return known.first { $0.codec.payloadType == best.payloadType }
    }
}

/// A codec with its payload type, and the payload type of its retransmissions; `nil` = none.
public struct AgreedCodec: Sendable, Equatable {
    public var codec: Codec
    public var rtx: UInt8?

    public init(codec: Codec, rtx: UInt8? = nil) {
        self.codec = codec
        self.rtx = rtx
    }
}
