// SPDX-License-Identifier: Apache-2.0
// One 5-tuple of a peer connection: ICE finds the way, DTLS agrees on keys over it, SRTP protects what travels on it.
// Sans-IO: the reactor hands datagrams and time in and carries the actions out. Owned by PeerConnection.
import DTLS
import ICE
import Primitives
import RTP
import SDP
import SRTP

/// What a transport wants done, or tells its owner.
public enum TransportAction: Sendable {
    case send([UInt8], to: SocketAddress)
    /// ICE and DTLS are through: `srtpSender` and `srtpReceiver` exist.
    case connected(SocketAddress)
    /// ICE found a way, or the peer moved (NAT rebinding, other network): send there from now on.
    case remoteChanged(SocketAddress)
    case failed(TransportFailure)
    /// The peer said goodbye in DTLS.
    case closedByPeer
}

public enum TransportFailure: Error, Sendable, Equatable {
    /// No way was found in time. `checks`: how many of the peer's checks arrived and were right.
    case iceTimeout(checks: Int)
    case iceError(String), iceConsentExpired
    case dtlsFingerprint, dtlsError(String)
}

/// What a received datagram turned out to be after decryption.
@frozen public enum ReceivedDatagram: Equatable {
    /// Handled inside (STUN, DTLS), or dropped and counted.
    case nothing
    /// The first `length` bytes of the buffer are a plain RTP / RTCP packet.
    case rtp(length: Int)
    case rtcp(length: Int)
}

/// ICE + DTLS + SRTP on one pair of addresses. Not thread-safe: its reactor's only.
public final class MediaTransport {
    public enum State: Equatable { case new, connecting, connected, failed, closed }

    public private(set) var localCredentials: ICECredentials
    public private(set) var state = State.new
    /// Where media goes. `nil` until ICE has found a way.
    public private(set) var remote: SocketAddress?
    /// Addresses that the other side's description named.
    public private(set) var remoteCandidates: [SocketAddress] = []
    public private(set) var srtpSender: SRTPSender?
    private var srtpReceiver: SRTPReceiver?
    /// Datagrams that could not be used: wrong key, replayed, before the keys, garbage.
    public private(set) var droppedDatagrams: UInt64 = 0
    public private(set) var replayedPackets: UInt64 = 0

    private var ice: ICEAgent
    /// `checksIgnored` of the sessions before a restart.
    private var ignoredBefore: UInt64 = 0
    private var dtls: DTLSSession?
    private let certificate: DTLSCertificate
    private let connectTimeout: Duration
    private let consentTimeout: Duration
    /// DTLS in the client role waits for ICE; what the other side sends before is answered on its own address.
    private var dtlsStarted = false
    /// The peer's media authenticates: the handshake is over for both sides, and OpenSSL's memory of it can go.
    private var isSettled = false
    /// Who bounds the handshakes that peers begin; `nil` = nobody.
    private let handshakes: HandshakeLimiter?
    /// The place taken there.
    private var handshakePlace: AddressKey?
    /// A peer that ICE has found must have begun its handshake by then.
    private var handshakeDue: Instant?
    /// The handshake's memory goes by then, media or not: whatever the peer still repeats of it is over.
    private var settleDue: Instant?
    private static let settleTime = Duration.seconds(20)

    public init(
        role: ICEAgent.Role, credentials: ICECredentials, certificate: DTLSCertificate,
        connectTimeout: Duration, consentTimeout: Duration, handshakes: HandshakeLimiter? = nil, random: RandomSource, at now: Instant
    ) {
        localCredentials = credentials
        self.handshakes = handshakes
        self.certificate = certificate
        self.connectTimeout = connectTimeout
        self.consentTimeout = consentTimeout
        ice = ICEAgent(
            configuration: .init(
                role: role, local: credentials, connectTimeout: connectTimeout, consentTimeout: consentTimeout),
            random: random, now: now)
    }

    deinit {
        leaveHandshake()
        srtpSender?.destroy()
        srtpReceiver?.destroy()
    }

    /// What the other side said of this transport in its description.
    public func setRemote(
        credentials: ICECredentials, candidates: [SocketAddress], isLite: Bool, fingerprints: [Fingerprint],
        dtlsRole: DTLSSession.Role, at now: Instant
    ) -> [TransportAction] {
        dtls = DTLSSession(
            certificate: certificate, role: dtlsRole, expectedFingerprints: fingerprints.map { (algorithm: $0.algorithm, bytes: $0.bytes) })
        state = .connecting
        remoteCandidates = candidates
        ice.setRemote(credentials, candidates: candidates, isLite: isLite, at: now)
        return handle(ice.advance(to: now), at: now)
    }

    /// The peer restarts ICE (RFC 8445 §9): new credentials on both sides, and a new session that looks for a way. DTLS, its
    /// keys and the way in use stay until that has found one. Of the answering side only.
    public func restart(local: ICECredentials, remote: ICECredentials, random: RandomSource, at now: Instant) {
        guard state == .connecting || state == .connected else { return }
        localCredentials = local
        ignoredBefore = checksIgnored
        ice = ICEAgent(
            configuration: .init(role: .lite, local: local, connectTimeout: connectTimeout, consentTimeout: consentTimeout),
            random: random, now: now)
        ice.setRemote(remote, candidates: [], isLite: false, at: now)
    }

    /// Takes one datagram. SRTP and SRTCP are decrypted in place; actions of STUN and DTLS are added to `actions`.
    @inline(__always)
    public func receive(
        _ datagram: UnsafeMutableRawBufferPointer, from source: SocketAddress, at now: Instant,
        actions: inout [TransportAction]
    ) -> ReceivedDatagram {
        let kind = PacketClass(UnsafeRawBufferPointer(datagram))
        switch kind {
        case .rtp:
            guard let receiver = srtpReceiver else { break }
            let length = receiver.unprotectRTP(datagram)
            if length > 0 {
                if !isSettled { settle() }
                return .rtp(length: length)
            }
            noteFailure(length)
            return .nothing
        case .rtcp:
            guard let receiver = srtpReceiver else { break }
            let length = receiver.unprotectRTCP(datagram)
            if length > 0 {
                ice.noteTraffic(at: now)
                if !isSettled { settle() }
                return .rtcp(length: length)
            }
            noteFailure(length)
            return .nothing
        default:
            receiveControl(kind, UnsafeRawBufferPointer(datagram), from: source, at: now, actions: &actions)
            return .nothing
        }
        droppedDatagrams &+= 1
        return .nothing
    }

    @inline(never)
    private func settle() {
        isSettled = true
        settleDue = nil
        dtls?.settle()
    }

    @inline(never)
    private func noteFailure(_ code: Int) {
        droppedDatagrams &+= 1
        if code == SRTPFailure.replayed.rawValue { replayedPackets &+= 1 }
    }

    @inline(never)
    private func receiveControl(
        _ kind: PacketClass, _ datagram: UnsafeRawBufferPointer, from source: SocketAddress, at now: Instant,
        actions: inout [TransportAction]
    ) {
        switch kind {
        case .stun:
            actions += handle(ice.receive(datagram, from: source, at: now), at: now)
        case .dtls:
            // Only from addresses that ICE has seen to be the peer's: records of strangers could spoil the handshake.
            guard let dtls, state == .connecting || state == .connected, ice.hasVerified(source) else {
                return droppedDatagrams &+= 1
            }
            if !dtlsStarted {
                // Without a place the record is as good as lost: the peer sends it again.
                guard enterHandshake(source, dtls) else { return droppedDatagrams &+= 1 }
                // A browser may begin as soon as one check succeeded, before ICE here calls the pair chosen.
                dtlsStarted = true
                actions += handle(dtls.start(at: now), to: source, at: now)
            }
            actions += handle(dtls.receive(datagram, at: now), to: remote ?? source, at: now)
        default:
            droppedDatagrams &+= 1
        }
    }

    /// Runs what is due: ICE checks and consent, DTLS retransmissions.
    public func advance(to now: Instant) -> [TransportAction] {
        guard state == .connecting || state == .connected || state == .new else { return [] }
        var actions = handle(ice.advance(to: now), at: now)
        if let due = handshakeDue, now >= due, !dtlsStarted, state == .connecting {
            state = .failed
            actions.append(.failed(.dtlsError("the peer answered connectivity checks but began no DTLS handshake")))
        }
        if let due = settleDue, now >= due, !isSettled { settle() }
        if dtlsStarted, let dtls, let remote { actions += handle(dtls.advance(to: now), to: remote, at: now) }
        return actions
    }

    public var nextDeadline: Instant? {
        guard state != .failed, state != .closed else { return nil }
        let dtlsDeadline = settleDue ?? (dtlsStarted ? dtls?.nextDeadline : state == .connecting ? handshakeDue : nil)
        guard let first = ice.nextDeadline else { return dtlsDeadline }
        return dtlsDeadline.map { min($0, first) } ?? first
    }

    /// Whether the peer has proven by an authenticated check to be at `address`. Media may come from there before, and
    /// after, another address is the chosen one: a browser sends on a new pair before it has nominated it.
    public func hasVerified(_ address: SocketAddress) -> Bool { ice.hasVerified(address) }

    /// Checks that were not looked at or not answered, because too many came.
    public var checksIgnored: UInt64 { ignoredBefore &+ UInt64(ice.counters.checksIgnored &+ ice.counters.sourcesIgnored) }

    /// Any authenticated media counts as a sign of life (for the lite side, which sends no checks of its own).
    public func noteTraffic(at now: Instant) { ice.noteTraffic(at: now) }

    /// Says goodbye to the peer and is done.
    public func close(at now: Instant) -> [TransportAction] {
        guard state != .closed, state != .failed else { return [] }
        var actions: [TransportAction] = []
        if let dtls, let remote, dtlsStarted { actions = handle(dtls.close(), to: remote, at: now) }
        state = .closed
        leaveHandshake()
        return actions.filter { if case .send = $0 { true } else { false } }
    }

    // MARK: actions of the layers below

    private func handle(_ actions: [ICEAction], at now: Instant) -> [TransportAction] {
        var result: [TransportAction] = []
        for action in actions {
            switch action {
            case .send(let bytes, let address):
                result.append(.send(bytes, to: address))
            case .connected(let address):
                remote = address
                result.append(.remoteChanged(address))
                if handshakeDue == nil { handshakeDue = now + connectTimeout }
                // A server waits for the peer's first record, and takes its place among the handshakes then.
                if let dtls, !dtlsStarted, dtls.role == .client {
                    dtlsStarted = true
                    result += handle(dtls.start(at: now), to: address, at: now)
                }
            case .remoteChanged(let address):
                remote = address
                result.append(.remoteChanged(address))
            case .failed(let failure):
                leaveHandshake()
                guard state != .failed else { continue }
                state = .failed
                switch failure {
                case .timeout: result.append(.failed(.iceTimeout(checks: ice.counters.requestsAnswered)))
                case .error(let text): result.append(.failed(.iceError(text)))
                case .consentExpired: result.append(.failed(.iceConsentExpired))
                }
            }
        }
        return result
    }

    private func handle(_ actions: [DTLSAction], to address: SocketAddress, at now: Instant) -> [TransportAction] {
        var result: [TransportAction] = []
        for action in actions {
            switch action {
            case .send(let bytes):
                result.append(.send(bytes, to: address))
            case .connected(let keys):
                guard state == .connecting else { continue }
                leaveHandshake()
                do {
                    try install(keys)
                    state = .connected
                    settleDue = now + Self.settleTime
                    result.append(.connected(remote ?? address))
                } catch {
                    state = .failed
                    result.append(.failed(.dtlsError("SRTP could not be set up: \(error)")))
                }
            case .failed(let failure):
                leaveHandshake()
                guard state != .failed else { continue }
                state = .failed
                if case .fingerprintMismatch = failure { result.append(.failed(.dtlsFingerprint)) }
                else { result.append(.failed(.dtlsError("\(failure)"))) }
            case .closed:
                guard state != .failed, state != .closed else { continue }
                state = .closed
                result.append(.closedByPeer)
            }
        }
        return result
    }

    /// Takes a place for a handshake that the peer begins; false when there is none.
    private func enterHandshake(_ source: SocketAddress, _ dtls: DTLSSession) -> Bool {
        guard let handshakes, handshakePlace == nil else { return true }
        let key = AddressKey(source)
        dtls.handshakeLimit = handshakes.allowance
        guard handshakes.enter(key) else { return false }
        handshakePlace = key
        return true
    }

    private func leaveHandshake() {
        guard let place = handshakePlace else { return }
        handshakePlace = nil
        handshakes?.leave(place)
    }

    private func install(_ keys: SRTPKeyingMaterial) throws {
        guard let profile = SRTPProfile(rawValue: keys.profile.rawValue) else {
            throw TransportFailure.dtlsError("unknown SRTP profile \(keys.profile)")
        }
        srtpSender = try SRTPSender(profile: profile, key: keys.localKey, salt: keys.localSalt)
        srtpReceiver = try SRTPReceiver(profile: profile, key: keys.remoteKey, salt: keys.remoteSalt)
    }
}
