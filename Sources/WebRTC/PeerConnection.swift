// SPDX-License-Identifier: Apache-2.0
// One peer connection: what was agreed by offer and answer, and the transports it runs on (one when bundled,
// one per m-line otherwise). Sans-IO; made by the control plane's request, owned by an endpoint on its reactor.
import DTLS
import ICE
import Primitives
import SDP

/// Offer/answer together with the transports that carry its media.
public final class PeerConnection {
    /// What every peer connection of a server has in common. Durations as in `MediaTransport`.
    public struct Configuration: Sendable {
        public var certificate: DTLSCertificate
        /// Written into our descriptions, and the addresses that the sockets really listen on.
        public var candidates: [SocketAddress]
        /// Where TCP listeners of ours take ICE connections.
        public var tcpCandidates: [SocketAddress] = []
        public var codecs: CodecPreferences
        public var connectTimeout: Duration
        public var consentTimeout: Duration
        /// Bounds the handshakes that peers begin; `nil` = nobody does.
        public var handshakes: HandshakeLimiter?
        /// Publishers may say how their video is to be turned; otherwise they turn it themselves.
        public var takesOrientation = true

        public init(
            certificate: DTLSCertificate, candidates: [SocketAddress], codecs: CodecPreferences,
            connectTimeout: Duration, consentTimeout: Duration
        ) {
            self.certificate = certificate
            self.candidates = candidates
            self.codecs = codecs
            self.connectTimeout = connectTimeout
            self.consentTimeout = consentTimeout
        }
    }

    /// Header extensions in use: what travels on to players, and what each hop has its own of (MID, and the numbers that
    /// transport-cc feedback is about).
    static let extensions: Set<String> = [
        ExtensionURI.mid, ExtensionURI.audioLevel, ExtensionURI.videoOrientation, ExtensionURI.playoutDelay,
        ExtensionURI.transportWideCC,
    ]

    public private(set) var transports: [MediaTransport] = []
    public private(set) var negotiated: Negotiated
    private let configuration: Configuration
    private var random: RandomSource

    private init(_ configuration: Configuration, random: RandomSource, negotiated: Negotiated, transports: [MediaTransport]) {
        self.configuration = configuration
        self.random = random
        self.negotiated = negotiated
        self.transports = transports
    }

    /// Our description, to be sent to the other side.
    public var localDescription: String { negotiated.description.serialized() }
    public var media: [NegotiatedMedia] { negotiated.media }

    // MARK: as the server: they offer, we answer

    /// A remote wants to publish.
    /// - Parameter namesAll: see `Negotiation.answerPublisher`.
    public static func answerPublisher(
        offer: String, limits: SendLimits = SendLimits(), namesAll: Bool = false, configuration: Configuration, random: RandomSource, at now: Instant
    ) throws(NegotiationError) -> (connection: PeerConnection, actions: [(transport: Int, action: TransportAction)]) {
        try answer(offer, configuration, random, now) { offer, parameters, random throws(NegotiationError) in
            var negotiated = try Negotiation.answerPublisher(
                offer: offer, preferences: configuration.codecs, namesAll: namesAll, transports: parameters, ssrcs: &random,
                extensions: configuration.takesOrientation ? extensions : extensions.subtracting([ExtensionURI.videoOrientation]))
            limits.write(to: &negotiated.description)
            return negotiated
        }
    }

    /// A remote wants to play a stream of these tracks.
    /// - Parameter leavesOutAudio: see `Negotiation.answerPlayer`.
    public static func answerPlayer(
        offer: String, tracks: [TrackFormat], streamID: String, leavesOutAudio: Bool = false, configuration: Configuration, random: RandomSource,
        at now: Instant
    ) throws(NegotiationError) -> (connection: PeerConnection, actions: [(transport: Int, action: TransportAction)]) {
        try answer(offer, configuration, random, now) { offer, parameters, random throws(NegotiationError) in
            try Negotiation.answerPlayer(
                offer: offer, tracks: tracks, streamID: streamID, leavesOutAudio: leavesOutAudio, transports: parameters, ssrcs: &random,
                extensions: extensions)
        }
    }

    private static func answer(
        _ text: String, _ configuration: Configuration, _ source: RandomSource, _ now: Instant,
        negotiate: (SessionDescription, (Int) -> TransportParameters, inout RandomSource) throws(NegotiationError) -> Negotiated
    ) throws(NegotiationError) -> (PeerConnection, [(transport: Int, action: TransportAction)]) {
        var random = source
        let offer: SessionDescription
        do { offer = try SessionDescription(parsing: text) } catch { throw .malformed("\(error)") }
        var made: [Int: ICECredentials] = [:]
        var generator = random
        let parameters = { (index: Int) -> TransportParameters in
            let credentials = made[index] ?? ICECredentials.random(using: &generator)
            made[index] = credentials
            return Self.parameters(credentials, isLite: true, setup: .passive, configuration)
        }
        let negotiated = try negotiate(offer, parameters, &random)
        let connection = PeerConnection(configuration, random: generator, negotiated: negotiated, transports: [])
        connection.makeTransports(role: .lite, credentials: made, at: now)
        let actions = try connection.connect(at: now)
        return (connection, actions)
    }

    /// What both sides use for ICE from now on.
    public struct Restart: Sendable, Equatable {
        /// Ours.
        public var credentials: ICECredentials
        public var candidates: [Candidate]
    }

    /// Restarts ICE with the peer's new credentials (answering side only); `nil` when they are the ones in use already.
    public func restart(remote: ICECredentials, at now: Instant) -> Restart? {
        guard offeredCredentials == nil, !isRemote(remote.ufrag, remote.password) else { return nil }
        let local = ICECredentials.random(using: &random)
        for index in negotiated.media.indices where !negotiated.media[index].remoteUfrag.isEmpty {
            negotiated.media[index].remoteUfrag = remote.ufrag
            negotiated.media[index].remotePwd = remote.password
        }
        for transport in transports { transport.restart(local: local, remote: remote, random: random, at: now) }
        _ = random.next()
        return Restart(
            credentials: local, candidates: Self.parameters(local, isLite: true, setup: .passive, configuration).candidates)
    }

    private func isRemote(_ ufrag: String, _ password: String) -> Bool {
        negotiated.media.contains { $0.remoteUfrag == ufrag && $0.remotePwd == password }
    }

    // MARK: as a client: we offer, they answer

    /// We publish these tracks to another server.
    public static func offerSending(
        tracks: [TrackFormat], streamID: String, configuration: Configuration, random: RandomSource
    ) throws(NegotiationError) -> PeerConnection {
        try offer(configuration, random) { parameters, random throws(NegotiationError) in
            try Negotiation.offerSending(
                tracks: tracks, streamID: streamID, transports: parameters, ssrcs: &random, extensions: extensions)
        }
    }

    /// We play from another server.
    public static func offerReceiving(
        kinds: [SDPMediaKind], configuration: Configuration, random: RandomSource
    ) throws(NegotiationError) -> PeerConnection {
        try offer(configuration, random) { parameters, random throws(NegotiationError) in
            try Negotiation.offerReceiving(
                preferences: configuration.codecs, kinds: kinds, transports: parameters, ssrcs: &random,
                extensions: extensions)
        }
    }

    private static func offer(
        _ configuration: Configuration, _ source: RandomSource,
        make: ((Int) -> TransportParameters, inout RandomSource) throws(NegotiationError) -> Negotiated
    ) throws(NegotiationError) -> PeerConnection {
        var random = source
        // One set of credentials for all m-lines, as browsers offer it: it serves bundled and unbundled answers alike.
        let credentials = ICECredentials.random(using: &random)
        let parameters = { (_: Int) in Self.parameters(credentials, isLite: false, setup: .actpass, configuration) }
        let negotiated = try make(parameters, &random)
        let connection = PeerConnection(configuration, random: random, negotiated: negotiated, transports: [])
        connection.offeredCredentials = credentials
        return connection
    }

    private var offeredCredentials: ICECredentials?

    /// The other side's answer to our offer. Starts ICE.
    public func setAnswer(
        _ text: String, at now: Instant
    ) throws(NegotiationError) -> [(transport: Int, action: TransportAction)] {
        guard transports.isEmpty, let offeredCredentials else { throw .mismatch("the answer was given already") }
        let answer: SessionDescription
        do { answer = try SessionDescription(parsing: text) } catch { throw .malformed("\(error)") }
        negotiated = try Negotiation.accept(answer: answer, for: negotiated)
        let credentials = Dictionary(uniqueKeysWithValues: (0..<max(1, negotiated.transportCount)).map { ($0, offeredCredentials) })
        makeTransports(role: .controlling, credentials: credentials, at: now)
        return try connect(at: now)
    }

    // MARK: transports

    private static func parameters(
        _ credentials: ICECredentials, isLite: Bool, setup: Setup, _ configuration: Configuration
    ) -> TransportParameters {
        TransportParameters(
            iceUfrag: credentials.ufrag, icePwd: credentials.password, isLite: isLite,
            fingerprint: Fingerprint(algorithm: "sha-256", bytes: configuration.certificate.fingerprintSHA256),
            setup: setup,
            candidates: configuration.candidates.enumerated().map { index, address in
                Candidate(
                    foundation: "\(index + 1)", component: 1, transport: "udp",
                    // Host candidates (RFC 8445 §5.1.2): type preference 126, earlier addresses preferred.
                    priority: 126 << 24 | UInt32(65535 - index) << 8 | 255,
                    address: address.host, port: address.port, type: "host", tcpType: nil)
            } + configuration.tcpCandidates.enumerated().map { index, address in
                Candidate(
                    foundation: "\(configuration.candidates.count + index + 1)", component: 1, transport: "tcp",
                    // RFC 6544 §4.2: below UDP by the type preference; direction preference 4 for passive in the upper three
                    // bits of the local preference.
                    priority: 90 << 24 | UInt32(4 << 13 | (8191 - index)) << 8 | 255,
                    address: address.host, port: address.port, type: "host", tcpType: "passive")
            })
    }

    private func makeTransports(role: ICEAgent.Role, credentials: [Int: ICECredentials], at now: Instant) {
        for index in 0..<max(1, negotiated.transportCount) {
            let own = credentials[index] ?? ICECredentials.random(using: &random)
            transports.append(
                MediaTransport(
                    role: role, credentials: own, certificate: configuration.certificate,
                    connectTimeout: configuration.connectTimeout, consentTimeout: configuration.consentTimeout,
                    handshakes: configuration.handshakes, random: random, at: now))
            _ = random.next()
        }
    }

    /// Tells each transport what the other side said of it.
    private func connect(
        at now: Instant
    ) throws(NegotiationError) -> [(transport: Int, action: TransportAction)] {
        var actions: [(transport: Int, action: TransportAction)] = []
        for (index, transport) in transports.enumerated() {
            guard let media = negotiated.media.first(where: { $0.transportIndex == index && $0.codec != nil }) else { continue }
            guard !media.remoteUfrag.isEmpty, !media.remotePwd.isEmpty else { throw .malformed("no ICE credentials (a=ice-ufrag, a=ice-pwd)") }
            guard !media.remoteFingerprints.isEmpty else { throw .malformed("no certificate fingerprint (a=fingerprint)") }
            let role: DTLSSession.Role = media.localSetup == .active ? .client : .server
            let addresses = media.remoteCandidates.filter { $0.transport.lowercased() == "udp" && $0.component == 1 }
                .compactMap { SocketAddress($0.address, port: $0.port) }
            actions += transport.setRemote(
                credentials: ICECredentials(ufrag: media.remoteUfrag, password: media.remotePwd),
                candidates: addresses, isLite: media.remoteIsLite, fingerprints: media.remoteFingerprints,
                dtlsRole: role, at: now
            ).map { (index, $0) }
        }
        return actions
    }
}
