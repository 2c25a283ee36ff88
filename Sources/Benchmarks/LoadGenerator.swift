// SPDX-License-Identifier: Apache-2.0
// The load: publishers and players, each a WCS session and a peer connection of its own. Made by a benchmark, in a process
// that is not the server's.
import DTLS
import Glibc
import MartletServer
import Synchronization

/// Opens and closes publishers and players, and reads what they have counted. Safe from any thread.
final class LoadGenerator: Sendable {
    /// Sends; alone on its thread, so that its times are not those of busy players.
    private let publishing: LoadReactor
    private let playing: [LoadReactor]
    private let certificate: DTLSCertificate
    private let nextID = Atomic<UInt64>(1)
    private let configuration: WCSClientConfiguration

    /// - Parameters:
    ///   - threads: for the players.
    ///   - gro: players take merged datagrams (UDP_GRO).
    ///   - playersLookEachMillisecond: see `LoadReactor`; not for benchmarks that measure how soon something is answered.
    init(threads: Int, gro: Bool, playersLookEachMillisecond: Bool) throws {
        // A thousand players are two thousand sockets.
        FileLimit.raise()
        publishing = try LoadReactor(name: "load-publish", gro: false)
        playing = try (0..<max(1, threads)).map {
            try LoadReactor(name: "load-play-\($0)", gro: gro, looksEachMillisecond: playersLookEachMillisecond)
        }
        certificate = try DTLSCertificate.selfSigned(commonName: "load")
        var configuration = WCSClientConfiguration()
        configuration.clientName = "load"
        configuration.connectTimeout = .seconds(60)
        configuration.answerTimeout = .seconds(60)
        self.configuration = configuration
    }

    func stop() async {
        await publishing.stop()
        for reactor in playing { await reactor.stop() }
    }

    // MARK: publishers and players

    /// One end of a stream: the session and the connection on it.
    struct Seat: Sendable {
        fileprivate let id: LoadClientID
        fileprivate let reactor: LoadReactor
        fileprivate let client: WCSClient
        fileprivate let stream: WCSStream
        /// ns of the monotonic clock when the server was asked to publish or play.
        let requestedAt: Int64
        /// ns when the server said PUBLISHING or PLAYING.
        let startedAt: Int64
        var mediaSessionID: String { stream.mediaSessionID }
    }

    /// Publishes until `leave`; returns when the server says PUBLISHING.
    func publish(_ name: String, number: UInt32, shape: StreamShape, on address: WCSAddress) async throws -> Seat {
        let certificate = certificate
        return try await open(on: publishing, address, { id, core in
            try LoadPublisher(id: id, stream: number, shape: shape, certificate: certificate, core: core)
        }) { client, offer in
            try await client.publish(name: name, offer: offer, hasAudio: shape.audioBytes > 0, hasVideo: true)
        }
    }

    /// Plays until `leave`; returns when the server says PLAYING.
    func play(_ name: String, number: UInt32, on address: WCSAddress) async throws -> Seat {
        let certificate = certificate
        let reactor = playing[Int(nextID.load(ordering: .relaxed) % UInt64(playing.count))]
        return try await open(on: reactor, address, { id, core in
            try LoadPlayer(id: id, stream: number, certificate: certificate, core: core)
        }) { client, offer in
            try await client.play(name: name, offer: offer)
        }
    }

    private func open(
        on reactor: LoadReactor, _ address: WCSAddress,
        _ make: @escaping @Sendable (LoadClientID, LoadCore) throws -> LoadClient,
        _ ask: @Sendable (WCSClient, String) async throws -> WCSStream
    ) async throws -> Seat {
        let id = LoadClientID(rawValue: nextID.add(1, ordering: .relaxed).oldValue)
        let client = try await WCSClient.connect(to: address, configuration: configuration)
        do {
            let offer = try await reactor.run { core in
                let made = try make(id, core)
                core.add(made)
                return made.connection.localDescription
            }
            let requestedAt = LoadClock.now()
            let stream = try await ask(client, offer)
            let answer = stream.answer
            try await reactor.run { core in try core.client(id)?.setAnswer(answer, core) }
            try await stream.started()
            return Seat(
                id: id, reactor: reactor, client: client, stream: stream, requestedAt: requestedAt, startedAt: LoadClock.now())
        } catch {
            _ = try? await reactor.run { core in
                if let client = core.client(id) { client.hangUp(core) }
            }
            client.close()
            throw error
        }
    }

    /// Stops and closes the session.
    func leave(_ seat: Seat) async {
        seat.client.stop(seat.stream)
        let id = seat.id
        _ = try? await seat.reactor.run { core in
            if let client = core.client(id) { client.hangUp(core) }
        }
        await seat.client.shutdown()
    }

    /// Goes as a killed browser goes: the sockets close, nobody says goodbye.
    func die(_ seat: Seat) async {
        let id = seat.id
        _ = try? await seat.reactor.run { core in
            if let client = core.client(id) { core.remove(client) }
        }
        await seat.client.abandon()
    }

    /// Lets a publisher send no more media while its connection, and those of its players, stay.
    func pause(_ seat: Seat) async throws {
        let id = seat.id
        try await seat.reactor.run { ($0.client(id) as? LoadPublisher)?.pause() }
    }

    // MARK: reading

    /// What each of the players has counted, in the order of `seats`.
    func counters(of seats: [Seat]) async throws -> [PlayerCounters] {
        var result: [LoadClientID: PlayerCounters] = [:]
        for reactor in playing {
            let wanted = Set(seats.map(\.id))
            let part = try await reactor.run { core in
                try core.all.compactMap { client -> (LoadClientID, PlayerCounters)? in
                    guard let player = client as? LoadPlayer, wanted.contains(player.id) else { return nil }
                    if let failure = player.failure { throw BenchmarkError("A player's connection failed: \(failure)") }
                    return (player.id, player.counters)
                }
            }
            for (id, counters) in part { result[id] = counters }
        }
        return seats.map { result[$0.id] ?? PlayerCounters() }
    }

    func publisherCounters(of seat: Seat) async throws -> LoadPublisher.Counters {
        let id = seat.id
        return try await seat.reactor.run { ($0.client(id) as? LoadPublisher)?.counters ?? .init() }
    }

    /// Packets sent within `window` are counted from now on.
    func measure(_ window: LoadWindow) async throws {
        for reactor in playing {
            try await reactor.run { core in
                core.measured = LoadWindow.Result()
                core.window = window
            }
        }
    }

    /// What has been measured so far.
    func measured() async throws -> LoadWindow.Result {
        var all = LoadWindow.Result()
        for reactor in playing {
            let part = try await reactor.run { $0.measured }
            all.merge(part)
        }
        return all
    }
}
