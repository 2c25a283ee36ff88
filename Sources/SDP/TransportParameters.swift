// SPDX-License-Identifier: Apache-2.0
// The transport half of a description, made by whoever owns the sockets.

/// What our side says about one transport: ICE credentials, certificate, DTLS role, addresses.
public struct TransportParameters: Sendable, Equatable {
    public var iceUfrag: String
    public var icePwd: String
    /// Write `a=ice-lite` at session level.
    public var isLite: Bool
    public var fingerprint: Fingerprint
    /// The role wished for. In an answer to an offerer that insists on a role the opposite of that role wins; see `NegotiatedMedia.localSetup`.
    public var setup: Setup
    public var candidates: [Candidate]

    public init(
        iceUfrag: String, icePwd: String, isLite: Bool, fingerprint: Fingerprint, setup: Setup, candidates: [Candidate]
    ) {
        self.iceUfrag = iceUfrag; self.icePwd = icePwd; self.isLite = isLite
        self.fingerprint = fingerprint; self.setup = setup; self.candidates = candidates
    }
}
