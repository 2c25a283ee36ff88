// SPDX-License-Identifier: Apache-2.0
// One DTLS 1.2 association over OpenSSL memory BIOs, sans-IO: bytes and instants in, actions out.
// Owned by a peer connection's transport and called on its thread; it exists to agree on SRTP keys (RFC 5764).
import COpenSSL
import Primitives

/// A DTLS-SRTP handshake and what follows it. Not Sendable: it has one owner.
///
/// The owner carries out the actions in order, and calls `advance(to:)` when `nextDeadline` has come. OpenSSL's own
/// clock is out of the game (see `martlet_dtls_timer` in COpenSSL), so the same calls always give the same behaviour.
public final class DTLSSession {
    /// Who sends the ClientHello: `a=setup:active` is the client, `passive` the server.
    public enum Role: Sendable { case client, server }

    private enum State { case idle, handshaking, connected, over }

    public let role: Role
    private let mtu: Int
    private let expectedFingerprints: [(algorithm: String, bytes: [UInt8])]
    /// Keeps the shared context's certificate object alive.
    private let certificate: DTLSCertificate
    /// `nil` before the handshake begins and once settled; so are `incoming` and `outgoing`, which belong to it.
    private var ssl: OpaquePointer?
    private var incoming: OpaquePointer?
    private var outgoing: OpaquePointer?
    private var openSSLTimer: UnsafeMutablePointer<martlet_dtls_timer>?
    /// In OpenSSL's place once settled.
    private var alerts: AlertChannel?
    private var flights: UInt32 = 0
    private var timer = RetransmissionTimer()
    /// ms that the handshake may take; to be set before `start(at:)`.
    public var handshakeLimit: Int64 = 20_000
    private var state = State.idle

    /// - Parameters:
    ///   - expectedFingerprints: from the peer's session description. Empty: any certificate passes, and the caller has to
    ///     ask `verifyPeer(_:)` before it lets media through.
    ///   - mtu: the longest datagram to send, in bytes; 256 to 16384.
    public init(
        certificate: DTLSCertificate, role: Role, expectedFingerprints: [(algorithm: String, bytes: [UInt8])],
        mtu: Int = 1200
    ) {
        self.mtu = min(max(mtu, 256), 16_384)
        self.certificate = certificate
        self.role = role
        self.expectedFingerprints = expectedFingerprints
    }

    /// What a handshake needs is made when one begins: many peers never come so far.
    private func makeOpenSSL() throws(DTLSSetupError) {
        ERR_clear_error()
        guard let ssl = SSL_new(role == .client ? certificate.clientContext : certificate.serverContext) else {
            throw DTLSSetupError("no DTLS session")
        }
        guard let incoming = BIO_new(BIO_s_mem()), let outgoing = BIO_new(BIO_s_mem()) else {
            SSL_free(ssl)
            throw DTLSSetupError("no memory for a DTLS session")
        }
        martlet_bio_empty_means_retry(incoming)
        martlet_bio_empty_means_retry(outgoing)
        SSL_set_bio(ssl, incoming, outgoing)
        guard let openSSLTimer = martlet_dtls_timer_install(ssl, incoming) else {
            SSL_free(ssl)
            throw DTLSSetupError("no memory for a DTLS session")
        }
        martlet_dtls_set_mtu(ssl, mtu)
        if role == .client { SSL_set_connect_state(ssl) } else { SSL_set_accept_state(ssl) }
        self.ssl = ssl
        self.incoming = incoming
        self.outgoing = outgoing
        self.openSSLTimer = openSSLTimer
    }

    deinit { freeOpenSSL() }

    private func freeOpenSSL() {
        SSL_free(ssl)
        martlet_dtls_timer_free(openSSLTimer)
        (ssl, incoming, outgoing, openSSLTimer) = (nil, nil, nil, nil)
    }

    /// To be called when the peer has shown that it has its keys as well (its media authenticates), so that no flight of the handshake
    /// will be needed again. Gives OpenSSL's memory back; the session goes on to tell and to hear of the end. Without effect before the
    /// handshake is over, while the peer's certificate is unchecked, and with a cipher other than AES-GCM.
    public func settle() {
        guard state == .connected, ssl != nil, !expectedFingerprints.isEmpty, let alerts = AlertChannel(ssl, role: role) else { return }
        self.alerts = alerts
        freeOpenSSL()
    }

    /// When to call `advance(to:)`; `nil` outside a handshake.
    public var nextDeadline: Instant? { timer.nextDeadline }

    public var isConnected: Bool { state == .connected }

    /// Begins the handshake: a client sends its ClientHello, a server starts to wait for one.
    public func start(at now: Instant) -> [DTLSAction] {
        guard state == .idle else { return [] }
        do { try makeOpenSSL() } catch { return finish(.failed(.handshake("\(error)"))) }
        state = .handshaking
        timer.startHandshake(at: now, limit: handshakeLimit)
        return role == .client ? handshake(at: now) : []
    }

    /// Takes a datagram. Anything that isn't DTLS is dropped without a trace, as are records that don't authenticate.
    /// A datagram that comes before `start(at:)` starts the session.
    public func receive(_ datagram: UnsafeRawBufferPointer, at now: Instant) -> [DTLSAction] {
        // RFC 7983: a DTLS record starts with a byte from 20 to 63; a record header has 13 bytes.
        guard state != .over, datagram.count >= 13, datagram.count <= 65_535, let bytes = datagram.baseAddress,
              (20...63).contains(datagram[0])
        else { return [] }
        if let alerts { return alerts.isEnd(datagram) ? answered(alerts) : [] }
        guard state != .connected || !Self.hasForgeableRecord(datagram) else { return [] }
        var actions = start(at: now)
        guard state != .over else { return actions }
        ERR_clear_error()
        guard BIO_write(incoming, bytes, Int32(datagram.count)) == Int32(datagram.count) else { return actions }
        if state == .handshaking {
            timer.heard(at: now)
            actions += handshake(at: now)
        }
        if state == .connected { actions += drain() }
        martlet_bio_discard(incoming)
        return actions
    }

    /// Retransmits or gives up when it is time to.
    public func advance(to now: Instant) -> [DTLSAction] {
        guard state == .handshaking else { return [] }
        switch timer.expire(at: now, patiently: role == .server) {
        case .nothing:
            return []
        case .giveUp:
            return finish(.failed(.timeout))
        case .retransmit:
            ERR_clear_error()
            let result = martlet_dtls_retransmit(ssl, openSSLTimer)
            if result < 0 { return finish(.failed(.timeout)) }
            if result == 0 { timer.postpone(at: now) }
            return takeOutgoing()
        }
    }

    /// Ends the session: an established one says so to its peer (close_notify). No `closed` action follows for it.
    public func close() -> [DTLSAction] {
        guard state != .over else { return [] }
        let actions: [DTLSAction]
        if let alerts {
            actions = [.send(alerts.closing())]
        } else {
            if state == .connected {
                ERR_clear_error()
                SSL_shutdown(ssl)
            }
            actions = takeOutgoing()
        }
        state = .over
        timer.stop()
        return actions
    }

    /// Whether the peer's certificate has one of these fingerprints (RFC 8122 §5); false while it isn't known.
    public func verifyPeer(_ fingerprints: [(algorithm: String, bytes: [UInt8])]) -> Bool {
        guard ssl != nil, let peer = SSL_get0_peer_certificate(ssl) else { return false }
        return CertificateFingerprint.matches(peer, anyOf: fingerprints)
    }

    // MARK: Handshake

    private func handshake(at now: Instant) -> [DTLSAction] {
        ERR_clear_error()
        let result = SSL_do_handshake(ssl)
        if result == 1 { return takeOutgoing() + complete() }
        let reason = SSL_get_error(ssl, result)
        guard reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE else {
            let text = OpenSSLErrors.takeReason()
            // The alert that tells the peer is in the outgoing bytes.
            return takeOutgoing() + finish(.failed(.handshake(text)))
        }
        if let openSSLTimer, openSSLTimer.pointee.flights != flights {
            flights = openSSLTimer.pointee.flights
            timer.startFlight(at: now)
        } else if martlet_dtls_timer_running(ssl) == 0 {
            timer.stopFlight()
        }
        return takeOutgoing()
    }

    /// The handshake is through as far as OpenSSL is concerned; the fingerprint and the SRTP profile decide.
    private func complete() -> [DTLSAction] {
        timer.stop()
        guard expectedFingerprints.isEmpty || verifyPeer(expectedFingerprints) else {
            return refuse(.fingerprintMismatch)
        }
        guard let selected = SSL_get_selected_srtp_profile(ssl),
              let profile = SRTPKeyingMaterial.Profile(rawValue: UInt16(truncatingIfNeeded: selected.pointee.id))
        else { return refuse(.noSRTPProfile) }
        guard let keys = exportKeys(profile) else { return refuse(.handshake("no keying material can be exported")) }
        state = .connected
        return [.connected(keys)]
    }

    /// RFC 5764 §4.2: client key, server key, client salt, server salt.
    private func exportKeys(_ profile: SRTPKeyingMaterial.Profile) -> SRTPKeyingMaterial? {
        let (key, salt) = (profile.keyLength, profile.saltLength)
        var block = [UInt8](repeating: 0, count: 2 * (key + salt))
        let label = "EXTRACTOR-dtls_srtp"
        guard SSL_export_keying_material(ssl, &block, block.count, label, label.utf8.count, nil, 0, 0) == 1 else { return nil }
        let clientKey = Array(block[0..<key]), serverKey = Array(block[key..<2 * key])
        let clientSalt = Array(block[2 * key..<2 * key + salt]), serverSalt = Array(block[(2 * key + salt)...])
        return role == .client
            ? SRTPKeyingMaterial(
                profile: profile, localKey: clientKey, localSalt: clientSalt, remoteKey: serverKey, remoteSalt: serverSalt)
            : SRTPKeyingMaterial(
                profile: profile, localKey: serverKey, localSalt: serverSalt, remoteKey: clientKey, remoteSalt: clientSalt)
    }

    /// Ends a session that OpenSSL takes for established: the peer gets a close_notify.
    private func refuse(_ failure: DTLSFailure) -> [DTLSAction] {
        SSL_shutdown(ssl)
        return takeOutgoing() + finish(.failed(failure))
    }

    private func finish(_ action: DTLSAction) -> [DTLSAction] {
        state = .over
        timer.stop()
        return [action]
    }

    // MARK: After the handshake

    /// Whether a record of the datagram is neither encrypted (epoch 0, RFC 6347 §4.1) nor part of a repeated handshake flight: of no
    /// use to an established session, and anybody could have written it.
    private static func hasForgeableRecord(_ datagram: UnsafeRawBufferPointer) -> Bool {
        var rest = datagram[...]
        while rest.count >= 13 {
            let record = UnsafeRawBufferPointer(rebasing: rest)
            if record[3] == 0, record[4] == 0, record[0] != 20, record[0] != 22 { return true }
            rest = rest.dropFirst(13 + (Int(record[11]) << 8 | Int(record[12])))
        }
        return false
    }

    /// Reads what an established session gets: application data is dropped, a repeated Finished makes OpenSSL repeat our
    /// last flight, an alert may end the session.
    private func drain() -> [DTLSAction] {
        var ended = false, isSpoiled = false
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 16) { scratch in
            while true {
                ERR_clear_error()
                let count = SSL_read(ssl, scratch.baseAddress, Int32(scratch.count))
                if count > 0 { continue }
                let reason = SSL_get_error(ssl, count)
                // Only an end that the peer has signed is one: other errors come of what strangers send, and the media's keys
                // don't depend on this association any more.
                guard reason != SSL_ERROR_WANT_READ, reason != SSL_ERROR_WANT_WRITE else { return }
                ended = reason == SSL_ERROR_ZERO_RETURN || SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN != 0
                isSpoiled = !ended
                return
            }
        }
        if isSpoiled {
            // Nor is the peer told: an alert of ours would end its side.
            martlet_bio_discard(outgoing)
            return []
        }
        guard ended else { return takeOutgoing() }
        SSL_shutdown(ssl)
        ERR_clear_error()
        return takeOutgoing() + finish(.closed)
    }

    /// A settled session whose peer has said goodbye says so as well.
    private func answered(_ alerts: AlertChannel) -> [DTLSAction] { [.send(alerts.closing())] + finish(.closed) }

    // MARK: Outgoing datagrams

    /// A memory BIO knows no datagrams: takes the records out and packs them into as few datagrams as the MTU allows.
    private func takeOutgoing() -> [DTLSAction] {
        guard let outgoing else { return [] }
        let pending = BIO_ctrl_pending(outgoing)
        guard pending > 0 else { return [] }
        var bytes = [UInt8](repeating: 0, count: pending)
        guard BIO_read(outgoing, &bytes, Int32(pending)) == Int32(pending) else { return [] }
        return RecordPacker.datagrams(bytes, mtu: mtu).map { .send($0) }
    }
}
