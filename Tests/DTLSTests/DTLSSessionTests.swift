// SPDX-License-Identifier: Apache-2.0
// Handshakes between two sessions: agreement, refusal, loss, timers, the end.
import DTLS
import Primitives
import Testing

struct DTLSSessionTests {
    @Test("both sides get the same keys, crosswise, for the preferred profile")
    func handshake() throws {
        let pump = try Pump.make()
        pump.start()
        pump.run()
        let client = try #require(pump.clientEvents.keys), server = try #require(pump.serverEvents.keys)
        #expect(client.profile == .aeadAES128GCM)
        #expect(client.localKey == server.remoteKey && client.localSalt == server.remoteSalt)
        #expect(client.remoteKey == server.localKey && client.remoteSalt == server.localSalt)
        #expect(client.localKey != client.remoteKey)
        #expect(client.localKey.count == 16 && client.localSalt.count == 12)
        #expect(pump.client.nextDeadline == nil && pump.server.nextDeadline == nil)
        // Two round trips of 20 ms each way, and nothing sent twice.
        #expect(pump.now.milliseconds(since: Instant(milliseconds: 1_000)) == 80)
    }

    @Test("only the client speaks first")
    func roles() throws {
        let pump = try Pump.make()
        #expect(pump.server.start(at: .zero).isEmpty)
        #expect(pump.client.start(at: .zero).sent.count == 1)
        #expect(pump.client.start(at: .zero).isEmpty)
    }

    @Test("a server that gets a datagram before it is started answers it")
    func earlyClient() throws {
        let pump = try Pump.make()
        pump.handle(pump.client.start(at: pump.now), fromClient: true)
        pump.run()
        #expect(pump.serverEvents.keys != nil && pump.clientEvents.keys != nil)
    }

    @Test("no datagram is longer than the MTU", arguments: [300, 600, 1200])
    func fragmentation(mtu: Int) throws {
        let pump = try Pump.make(mtu: mtu)
        pump.start()
        pump.run()
        #expect(pump.clientEvents.keys != nil && pump.serverEvents.keys != nil)
        #expect(pump.datagrams.allSatisfy { $0.bytes.count <= mtu })
    }

    @Test("a lossy, reordering, duplicating, noisy network delays the handshake and no more", arguments: 1...UInt64(40))
    func badNetwork(seed: UInt64) throws {
        let pump = try Pump.make(
            conditions: .init(loss: 0.25, reordering: 0.3, duplication: 0.1, garbage: 0.2), seed: seed, mtu: 400)
        pump.start()
        pump.run()
        let client = try #require(pump.clientEvents.keys), server = try #require(pump.serverEvents.keys)
        #expect(client.localKey == server.remoteKey)
        #expect(pump.clientEvents.count == 1 && pump.serverEvents.count == 1)
    }

    @Test("the same seed gives the same course")
    func determinism() throws {
        func course() throws -> [String] {
            let pump = try Pump.make(conditions: .init(loss: 0.3, reordering: 0.3), seed: 5)
            pump.start()
            pump.run()
            return pump.datagrams.map { "\($0.fromClient) \($0.at.nanoseconds)" }
        }
        #expect(try course() == course())
    }

    @Test("a client whose server lost nothing but its last flight gets it again")
    func lastFlightLost() throws {
        let pump = try Pump.make()
        var lost = 0
        pump.drop = { fromClient, bytes in
            // The server's last flight is the only one of its own that starts with ChangeCipherSpec.
            if !fromClient, bytes.first == 20, lost < 2 { lost += 1; return true }
            return false
        }
        pump.start()
        pump.run()
        #expect(lost == 2)
        #expect(pump.clientEvents.keys != nil && pump.serverEvents.keys != nil)
    }

    @Test("a client without an answer repeats itself after 50, 100, 200 … at most 1600 ms, and gives up after 12 tries")
    func backOff() throws {
        let pump = try Pump.make()
        pump.drop = { fromClient, _ in fromClient }
        pump.start()
        pump.run()
        let times = pump.datagrams.filter(\.fromClient).map { $0.at.milliseconds(since: Instant(milliseconds: 1_000)) }
        let gaps = zip(times.dropFirst(), times).map { $0 - $1 }
        #expect(gaps == [50, 100, 200, 400, 800, 1600, 1600, 1600, 1600, 1600, 1600, 1600])
        #expect(pump.clientEvents == [.failed(.timeout)])
        #expect(pump.serverEvents == [.failed(.timeout)])
        #expect(pump.client.nextDeadline == nil && pump.server.nextDeadline == nil)
    }

    @Test("a server nobody speaks to gives up after 20 s")
    func silence() throws {
        let pump = try Pump.make()
        _ = pump.server.start(at: Instant(milliseconds: 500))
        #expect(pump.server.nextDeadline == Instant(milliseconds: 20_500))
        #expect(pump.server.advance(to: Instant(milliseconds: 20_499)).isEmpty)
        #expect(pump.server.advance(to: Instant(milliseconds: 20_500)) == [.failed(.timeout)])
        #expect(pump.server.advance(to: Instant(milliseconds: 30_000)).isEmpty)
    }

    @Test("a peer that says hello and then nothing gets a few repetitions and no more; when it is heard again, so do they go on")
    func silentPeer() throws {
        let (client, server) = (try TestCertificates.client.get(), try TestCertificates.server.get())
        let one = DTLSSession(certificate: client, role: .client, expectedFingerprints: server.expected)
        let other = DTLSSession(certificate: server, role: .server, expectedFingerprints: client.expected)
        other.handshakeLimit = 10_000
        let hello = one.start(at: .zero).sent
        _ = other.start(at: .zero)
        var bytes = 0
        func note(_ actions: [DTLSAction]) { bytes += actions.sent.reduce(0) { $0 + $1.count } }
        for datagram in hello { note(other.receive(datagram, at: .zero)) }
        let flight = bytes
        var time: Int64 = 0
        while time < 9_000 {
            time += 10
            note(other.advance(to: Instant(milliseconds: time)))
        }
        #expect(flight > 0 && bytes == 5 * flight && bytes < 5_000, "\(bytes)")
        // The same record again: the peer is there, only our flights were lost.
        for datagram in hello { note(other.receive(datagram, at: Instant(milliseconds: time))) }
        note(other.advance(to: Instant(milliseconds: time + 10)))
        #expect(bytes == 6 * flight)
        #expect(other.advance(to: Instant(milliseconds: 10_001)) == [.failed(.timeout)])
    }

    @Test("nothing is repeated before its time, however often the session is called")
    func earlyCalls() throws {
        let pump = try Pump.make()
        _ = pump.client.start(at: .zero)
        for ms in 0..<Int64(50) {
            #expect(pump.client.advance(to: Instant(milliseconds: ms)).isEmpty)
            #expect(pump.client.receive([22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], at: Instant(milliseconds: ms)).isEmpty)
        }
        #expect(pump.client.advance(to: Instant(milliseconds: 50)).sent.count == 1)
    }

    @Test("a certificate that isn't the described one is refused by either side, and the peer is told")
    func wrongFingerprint() throws {
        let wrong: [(algorithm: String, bytes: [UInt8])] = [("sha-256", [UInt8](repeating: 7, count: 32))]
        let byServer = try Pump.make(serverExpects: wrong)
        byServer.start()
        byServer.run()
        #expect(byServer.serverEvents == [.failed(.fingerprintMismatch)])
        #expect(byServer.clientEvents.last == .closed)

        let byClient = try Pump.make(clientExpects: wrong)
        byClient.start()
        byClient.run()
        #expect(byClient.clientEvents == [.failed(.fingerprintMismatch)])
        #expect(byClient.serverEvents.last == .closed)
    }

    @Test("an unknown hash function doesn't let anybody in, nor does a weak one beside a strong one that doesn't fit")
    func fingerprintChoice() throws {
        let certificate = try TestCertificates.client.get()
        let wrong = [UInt8](repeating: 1, count: 32)
        for (expected, connects) in [
            ([("md5", certificate.fingerprintSHA256)], false),
            ([("SHA-256", certificate.fingerprintSHA256)], true),
            ([("sha-256", wrong), ("sha-256", certificate.fingerprintSHA256)], true),
            ([("sha-512", wrong), ("sha-256", certificate.fingerprintSHA256)], false),
        ] as [([(algorithm: String, bytes: [UInt8])], Bool)] {
            let pump = try Pump.make(serverExpects: expected)
            pump.start()
            pump.run()
            #expect((pump.serverEvents.keys != nil) == connects)
        }
    }

    @Test("without an expected fingerprint the caller checks later")
    func laterCheck() throws {
        let pump = try Pump.make(serverExpects: [])
        let client = try TestCertificates.client.get()
        #expect(!pump.server.verifyPeer(client.expected))
        pump.start()
        pump.run()
        #expect(pump.serverEvents.keys != nil)
        #expect(pump.server.verifyPeer(client.expected))
        #expect(!pump.server.verifyPeer(try TestCertificates.server.get().expected))
    }

    @Test("an end on one side is an end on the other, once")
    func closing() throws {
        let pump = try Pump.make()
        pump.start()
        pump.run()
        pump.handle(pump.client.close(), fromClient: true)
        pump.run()
        #expect(pump.serverEvents.last == .closed)
        #expect(pump.serverEvents.count == 2 && pump.clientEvents.count == 1)
        #expect(pump.client.close().isEmpty && pump.server.close().isEmpty)
        #expect(!pump.server.isConnected && !pump.client.isConnected)
    }

    @Test("a settled session, which has let OpenSSL go, tells the end and hears of it", arguments: [DTLSSession.Role.client, .server], 0..<3)
    func settled(closing: DTLSSession.Role, who: Int) throws {
        let pump = try Pump.make()
        pump.start()
        pump.run()
        // The other side is OpenSSL's in two of the three cases, so the records are judged by it.
        if who != 0 { pump.client.settle() }
        if who != 1 { pump.server.settle() }
        #expect(pump.client.isConnected && pump.server.isConnected)
        let fromClient = closing == .client
        pump.handle(fromClient ? pump.client.close() : pump.server.close(), fromClient: fromClient)
        pump.run()
        #expect((fromClient ? pump.serverEvents : pump.clientEvents).last == .closed)
        #expect((fromClient ? pump.clientEvents : pump.serverEvents).count == 1)
        #expect(pump.client.close().isEmpty && pump.server.close().isEmpty)
    }

    @Test("a session doesn't settle before its handshake is over, nor while nobody has checked the peer's certificate")
    func tooEarly() throws {
        let pump = try Pump.make(serverExpects: [])
        pump.client.settle()
        pump.server.settle()
        pump.start()
        pump.run()
        pump.server.settle()
        #expect(pump.server.verifyPeer(try TestCertificates.client.get().expected))
        #expect(pump.clientEvents.keys != nil && pump.serverEvents.keys != nil)
    }

    @Test("noise, forged alerts and repeated datagrams don't end an established session", arguments: [false, true])
    func noiseAfterwards(isSettled: Bool) throws {
        let pump = try Pump.make()
        pump.start()
        pump.run()
        if isSettled {
            pump.client.settle()
            pump.server.settle()
        }
        let (clientEvents, serverEvents) = (pump.clientEvents.count, pump.serverEvents.count)
        var random = RandomSource.seeded(11)
        for _ in 0..<500 {
            var noise = random.bytes(Int.random(in: 0...300, using: &random))
            if !noise.isEmpty { noise[0] = UInt8.random(in: 20...25, using: &random) }
            if noise.count > 2 { (noise[1], noise[2]) = (254, 253) }
            pump.handle(pump.server.receive(noise, at: pump.now), fromClient: false)
            pump.handle(pump.client.receive(noise, at: pump.now), fromClient: true)
        }
        // A fatal alert in clear text, in either epoch.
        for epoch: UInt8 in [0, 1] {
            let alert: [UInt8] = [21, 254, 253, 0, epoch, 0, 0, 0, 0, 0, 99, 0, 2, 2, 40]
            pump.handle(pump.server.receive(alert, at: pump.now), fromClient: false)
        }
        for datagram in pump.datagrams {
            if datagram.fromClient {
                pump.handle(pump.server.receive(datagram.bytes, at: pump.now), fromClient: false)
            } else {
                pump.handle(pump.client.receive(datagram.bytes, at: pump.now), fromClient: true)
            }
        }
        #expect(pump.clientEvents.count == clientEvents && pump.serverEvents.count == serverEvents)
        #expect(pump.server.isConnected && pump.client.isConnected)
    }

    @Test("noise in front of a handshake is dropped without an answer")
    func noiseBefore() throws {
        let pump = try Pump.make()
        var random = RandomSource.seeded(12)
        for _ in 0..<500 {
            var noise = random.bytes(Int.random(in: 0...300, using: &random))
            if noise.count > 2 { (noise[1], noise[2]) = (254, 253) }
            let answer = pump.server.receive(noise, at: pump.now)
            #expect(answer.isEmpty)
        }
        pump.start()
        pump.run()
        #expect(pump.serverEvents.keys != nil)
    }

    @Test("session and certificates may go in any order")
    func lifetimes() throws {
        var session: DTLSSession? = DTLSSession(
            certificate: try DTLSCertificate.selfSigned(commonName: "short-lived"), role: .client, expectedFingerprints: [])
        #expect(session?.start(at: .zero).sent.count == 1)
        session = nil
    }
}
