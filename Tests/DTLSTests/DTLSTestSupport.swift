// SPDX-License-Identifier: Apache-2.0
// Two sessions and a small seeded pump between them, by simulated time.
import DTLS
import Primitives

extension DTLSSession {
    func receive(_ bytes: [UInt8], at now: Instant) -> [DTLSAction] { bytes.withUnsafeBytes { receive($0, at: now) } }
}

extension DTLSCertificate {
    var expected: [(algorithm: String, bytes: [UInt8])] { [("sha-256", fingerprintSHA256)] }
}

extension [DTLSAction] {
    var sent: [[UInt8]] { compactMap { if case .send(let bytes) = $0 { bytes } else { nil } } }
    var others: [DTLSAction] { filter { if case .send = $0 { false } else { true } } }
    var keys: SRTPKeyingMaterial? { compactMap { if case .connected(let keys) = $0 { keys } else { nil } }.first }
}

/// Certificates are slow enough to make that the tests share two.
enum TestCertificates {
    static let client = Result { try DTLSCertificate.selfSigned(commonName: "client") }
    static let server = Result { try DTLSCertificate.selfSigned(commonName: "server") }
}

/// Carries datagrams between two sessions with 20 ms of delay, dropping, doubling, corrupting and reordering some.
final class Pump {
    struct Conditions: Sendable {
        var loss = 0.0
        var reordering = 0.0
        var duplication = 0.0
        var garbage = 0.0
    }
    private struct Flying { let arrival: Instant; let order: Int; let toServer: Bool; let bytes: [UInt8] }

    let client: DTLSSession
    let server: DTLSSession
    private(set) var now = Instant(milliseconds: 1_000)
    private(set) var clientEvents: [DTLSAction] = []
    private(set) var serverEvents: [DTLSAction] = []
    /// Everything either side sent, in order.
    private(set) var datagrams: [(fromClient: Bool, at: Instant, bytes: [UInt8])] = []
    /// Decides which datagrams (by their number) get lost, besides the random ones.
    var drop: (_ fromClient: Bool, _ bytes: [UInt8]) -> Bool = { _, _ in false }
    private let conditions: Conditions
    private var random: RandomSource
    private var flying: [Flying] = []
    private var order = 0

    init(client: DTLSSession, server: DTLSSession, conditions: Conditions = Conditions(), seed: UInt64 = 1) {
        self.client = client
        self.server = server
        self.conditions = conditions
        random = .seeded(seed)
    }

    /// Two sessions that expect each other's certificate.
    static func make(
        conditions: Conditions = Conditions(), seed: UInt64 = 1, mtu: Int = 1200,
        clientExpects: [(algorithm: String, bytes: [UInt8])]? = nil,
        serverExpects: [(algorithm: String, bytes: [UInt8])]? = nil
    ) throws -> Pump {
        let (client, server) = (try TestCertificates.client.get(), try TestCertificates.server.get())
        return Pump(
            client: DTLSSession(
                certificate: client, role: .client, expectedFingerprints: clientExpects ?? server.expected, mtu: mtu),
            server: DTLSSession(
                certificate: server, role: .server, expectedFingerprints: serverExpects ?? client.expected, mtu: mtu),
            conditions: conditions, seed: seed)
    }

    func start() {
        handle(server.start(at: now), fromClient: false)
        handle(client.start(at: now), fromClient: true)
    }

    private func happens(_ probability: Double) -> Bool { Double.random(in: 0..<1, using: &random) < probability }

    func handle(_ actions: [DTLSAction], fromClient: Bool) {
        if fromClient { clientEvents += actions.others } else { serverEvents += actions.others }
        for bytes in actions.sent {
            datagrams.append((fromClient, now, bytes))
            if drop(fromClient, bytes) || happens(conditions.loss) { continue }
            var delay: Int64 = 20
            if happens(conditions.reordering) { delay += Int64.random(in: 1...60, using: &random) }
            put(bytes, after: delay, toServer: fromClient)
            if happens(conditions.duplication) { put(bytes, after: delay + 5, toServer: fromClient) }
            if happens(conditions.garbage) {
                // Looks like DTLS by its first byte, and is noise behind it.
                var noise = random.bytes(Int.random(in: 1...200, using: &random))
                noise[0] = UInt8.random(in: 20...63, using: &random)
                put(noise, after: delay, toServer: fromClient)
            }
        }
    }

    private func put(_ bytes: [UInt8], after delay: Int64, toServer: Bool) {
        order += 1
        flying.append(Flying(arrival: now.advanced(byMilliseconds: delay), order: order, toServer: toServer, bytes: bytes))
    }

    /// Runs until nothing flies and no timer runs, or until `limit`.
    func run(until limit: Instant = Instant(milliseconds: 60_000)) {
        while true {
            let arrival = flying.map(\.arrival).min()
            let deadlines = [arrival, client.nextDeadline, server.nextDeadline].compactMap { $0 }
            guard let next = deadlines.min(), next <= limit else { return }
            now = max(now, next)
            let due = flying.filter { $0.arrival <= now }.sorted { ($0.arrival, $0.order) < ($1.arrival, $1.order) }
            flying.removeAll { $0.arrival <= now }
            for datagram in due {
                let session = datagram.toServer ? server : client
                handle(session.receive(datagram.bytes, at: now), fromClient: !datagram.toServer)
            }
            handle(client.advance(to: now), fromClient: true)
            handle(server.advance(to: now), fromClient: false)
        }
    }
}
