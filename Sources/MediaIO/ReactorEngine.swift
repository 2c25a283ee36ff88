// SPDX-License-Identifier: Apache-2.0
// The media engine: reactors, and the requests of the control plane carried to the right one.
import DTLS
import Glibc
import ICE
import MediaGraph
import Primitives
import SDP
import Synchronization
import WebRTC

/// `MediaEngineProtocol` on reactors. Safe from any thread.
public final class ReactorEngine: MediaEngineProtocol {
    let reactors: [Reactor]
    let configuration: MediaEngineConfiguration
    private let certificate: DTLSCertificate
    private let handshakes: HandshakeLimiter
    private let addresses: [SocketAddress]
    private let nextID = Atomic<UInt64>(1)
    let endpointCount = Atomic<Int>(0)
    private let isShutDown = Atomic<Bool>(false)

    /// Opens the media ports and starts the reactors.
    /// - Throws: `SystemError` when a port is taken, `EngineError.limit` when there are more reactors than ports.
    public init(configuration: MediaEngineConfiguration) throws {
        self.configuration = configuration
        certificate = try DTLSCertificate.selfSigned(commonName: "martlet")
        handshakes = HandshakeLimiter(maximum: configuration.maximumHandshakes, maximumPerAddress: configuration.maximumHandshakesPerAddress)
        let cores = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        let wanted = configuration.reactors > 0 ? configuration.reactors : cores
        let limiter = ConnectionLimiter(
            maximum: configuration.tcp.maximumConnections, maximumPerAddress: configuration.tcp.maximumConnectionsPerAddress)
        var reactors: [Reactor] = []
        for index in 0..<min(wanted, 255) {
            var port: UInt16 = 0
            if configuration.portFrom != 0 {
                port = configuration.portFrom + UInt16(index)
                guard port <= configuration.portTo else {
                    throw EngineError.limit("media_port_from…media_port_to holds fewer ports than there are reactors (\(wanted))")
                }
            }
            do {
                reactors.append(try Reactor(index: index, port: port, configuration: configuration, limiter: limiter))
            } catch {
                for reactor in reactors { reactor.post { $0.stop() } }
                throw error
            }
        }
        self.reactors = reactors
        let all = reactors
        for reactor in reactors { reactor.post { $0.peers = all } }
        let announced = configuration.announcedAddresses.compactMap { SocketAddress($0, port: 0) }
        addresses = announced.isEmpty ? LocalAddresses.all(loopback: configuration.offersLoopback) : announced
    }

    public var candidateAddresses: [SocketAddress] {
        reactors.flatMap { reactor in addresses.map { $0.withPort(reactor.port) } }
    }

    public var tcpCandidateAddresses: [SocketAddress] { configuration.tcp.isOpen ? candidateAddresses : [] }

    // MARK: streams

    public func createStream() throws(EngineError) -> StreamHandle {
        guard !isShutDown.load(ordering: .relaxed) else { throw .shutDown }
        if let refusal = configuration.memory.admit(.other("media")) { throw .limit("\(refusal)") }
        let reactor = reactors.min { $0.load.load(ordering: .relaxed) < $1.load.load(ordering: .relaxed) } ?? reactors[0]
        let handle = StreamHandle(rawValue: newID(on: reactor))
        reactor.load.add(1, ordering: .relaxed)
        reactor.post { $0.addStream(handle) }
        return handle
    }

    public func destroyStream(_ stream: StreamHandle) async {
        let reactor = reactor(of: stream.rawValue)
        let removed = await reactor.run { core -> (endpoints: Int, mirrors: [StreamHandle])? in
            guard let found = core.stream(stream) else { return nil }
            return (core.removeStream(stream), found.mirrors.map(\.handle))
        }
        guard let removed = removed ?? nil else { return }
        release(removed.endpoints, on: reactor)
        reactor.load.subtract(1, ordering: .relaxed)
        await remove(removed.mirrors)
    }

    public func requestKeyFrame(of stream: StreamHandle) {
        reactor(of: stream.rawValue).post { core in
            guard let stream = core.stream(stream) else { return }
            for track in stream.tracks { stream.requestKeyFrame(of: track, arena: core.arena, at: core.now) }
        }
    }

    public func missingTracks(of player: EndpointID) async -> [MissingTrack]? {
        await reactor(of: player.rawValue).run { ($0.endpoint(player) as? PlayerEndpoint)?.missingTracks() } ?? nil
    }

    public func forms(of stream: StreamHandle) async -> [TrackFormat] {
        await reactor(of: stream.rawValue).run { $0.stream(stream)?.forms.map(\.format) ?? [] } ?? []
    }

    /// A track that has sent nothing for so long since the first packet of another may never do, ns.
    static let silenceBound = TimeSpan.seconds(3)

    public func silentTracks(of stream: StreamHandle) async -> Set<Int> {
        await reactor(of: stream.rawValue).run { core in
            let arrivals = core.stream(stream)?.tracks.map(\.firstArrival) ?? []
            // Arrivals are our own clock's; zero stands for none.
            guard let first = arrivals.filter({ $0 != .zero }).min(), core.now.span(since: first) > Self.silenceBound else { return [] }
            return Set(arrivals.indices.filter { arrivals[$0] == .zero })
        } ?? []
    }

    public func tracks(of stream: StreamHandle) async -> [TrackFormat] {
        await reactor(of: stream.rawValue).run { $0.stream(stream)?.tracks.map(\.format) ?? [] } ?? []
    }

    // MARK: endpoints

    public func addPublisher(
        to stream: StreamHandle, offer: String, options: EndpointOptions, onEvent: @escaping EndpointEventHandler
    ) async throws(EngineError) -> (id: EndpointID, answer: String) {
        try await add(to: stream) { core, stream, id, setup throws(EngineError) in
            guard stream.source == nil else { throw .alreadyPublished }
            var options = options
            options.lowestREMB = setup.configuration.lowestREMB
            options.highestREMB = setup.configuration.highestREMB
            let made = try Self.negotiating { () throws(NegotiationError) in
                try PeerConnection.answerPublisher(
                    offer: offer, limits: options.sendLimits, namesAll: options.namesAllCodecs, configuration: setup.connections(for: options),
                    random: .system, at: core.now)
            }
            let endpoint = PublisherEndpoint(
                id: id, stream: stream, connection: made.connection, options: options, timing: setup.timing,
                socket: core.sharedSocket, onEvent: setup.counting(onEvent))
            core.add(endpoint, initial: made.actions)
            return made.connection.localDescription
        }
    }

    public func addPlayer(
        to stream: StreamHandle, offer: String, options: EndpointOptions, onEvent: @escaping EndpointEventHandler
    ) async throws(EngineError) -> (id: EndpointID, answer: String) {
        try await add(to: await place(stream)) { core, stream, id, setup throws(EngineError) in
            guard stream.isReady else { throw .notReady }
            let made = try Self.negotiating { () throws(NegotiationError) in
                try PeerConnection.answerPlayer(
                    offer: offer, tracks: stream.forms.map(\.format), streamID: "martlet-\(stream.handle.rawValue)",
                    leavesOutAudio: options.leavesOutAudio, configuration: setup.connections(for: options), random: .system, at: core.now)
            }
            let endpoint = PlayerEndpoint(
                id: id, stream: stream, connection: made.connection, options: options, socket: core.sharedSocket,
                onEvent: setup.counting(onEvent))
            core.add(endpoint, initial: made.actions)
            return made.connection.localDescription
        }
    }

    public func offerPush(
        of stream: StreamHandle, options: EndpointOptions, onEvent: @escaping EndpointEventHandler
    ) async throws(EngineError) -> (id: EndpointID, offer: String) {
        try await add(to: stream) { core, stream, id, setup throws(EngineError) in
            guard stream.isReady else { throw .notReady }
            // Of each track the form that the far side may be able to take.
            let tracks = stream.tracks.indices.map { index in
                stream.tracks[index].format.isRealTime
                    ? stream.tracks[index]
                    : stream.converted.first { $0.format.converts == index && $0.format.isRealTime } ?? stream.tracks[index]
            }
            let client = try Self.opening(core)
            let connection = try Self.offering(core, client.descriptor) { () throws(NegotiationError) in
                try PeerConnection.offerSending(
                    tracks: tracks.map(\.format), streamID: "martlet-\(stream.handle.rawValue)",
                    configuration: setup.connections(port: client.port), random: .system)
            }
            let endpoint = PlayerEndpoint(
                id: id, stream: stream, connection: connection, options: options, socket: client.descriptor, tracks: tracks,
                onEvent: setup.counting(onEvent))
            core.add(endpoint, initial: [])
            return connection.localDescription
        }
    }

    public func offerPull(
        into stream: StreamHandle, audio: Bool, video: Bool, options: EndpointOptions,
        onEvent: @escaping EndpointEventHandler
    ) async throws(EngineError) -> (id: EndpointID, offer: String) {
        try await add(to: stream) { core, stream, id, setup throws(EngineError) in
            guard stream.source == nil else { throw .alreadyPublished }
            let client = try Self.opening(core)
            let kinds = (audio ? [SDPMediaKind.audio] : []) + (video ? [.video] : [])
            let connection = try Self.offering(core, client.descriptor) { () throws(NegotiationError) in
                try PeerConnection.offerReceiving(
                    kinds: kinds, configuration: setup.connections(port: client.port), random: .system)
            }
            let endpoint = PublisherEndpoint(
                id: id, stream: stream, connection: connection, options: options, timing: setup.timing,
                socket: client.descriptor, onEvent: setup.counting(onEvent))
            core.add(endpoint, initial: [])
            return connection.localDescription
        }
    }

    public func setAnswer(_ endpoint: EndpointID, answer: String) async throws(EngineError) {
        let result = await reactor(of: endpoint.rawValue).run { core -> Result<Void, EngineError> in
            guard let found = core.endpoint(endpoint) else { return .failure(.noSuchEndpoint) }
            do throws(NegotiationError) {
                let actions = try found.connection.setAnswer(answer, at: core.now)
                if let player = found as? PlayerEndpoint { player.takeLines() }
                if let publisher = found as? PublisherEndpoint {
                    publisher.takeLines()
                    if core.settleTracks(of: publisher.stream) { publisher.tellTracks() }
                }
                core.begin(found, actions)
                return .success(())
            } catch {
                return .failure(.negotiation(error))
            }
        }
        try (result ?? .failure(.shutDown)).get()
    }

    public func restartICE(
        _ endpoint: EndpointID, ufrag: String, password: String
    ) async throws(EngineError) -> ICERestart? {
        let result = await reactor(of: endpoint.rawValue).run { core -> Result<ICERestart?, EngineError> in
            guard let found = core.endpoint(endpoint) else { return .failure(.noSuchEndpoint) }
            let restart = core.restart(found, remote: ICECredentials(ufrag: ufrag, password: password))
            return .success(restart.map {
                ICERestart(ufrag: $0.credentials.ufrag, password: $0.credentials.password, candidates: $0.candidates)
            })
        }
        return try (result ?? .failure(.shutDown)).get()
    }

    public func addSource(
        to stream: StreamHandle, tracks: [TrackFormat], onEvent: @escaping EndpointEventHandler
    ) async throws(EngineError) -> any LocalSource {
        let reactor = reactor(of: stream.rawValue)
        let id = EndpointID(rawValue: newID(on: reactor))
        let handle = LocalSourceHandle(id: id, reactor: reactor)
        let gap = configuration.keyFrameRequestGap
        let result = await reactor.run { core -> Result<Void, EngineError> in
            guard let stream = core.stream(stream) else { return .failure(.noSuchStream) }
            guard stream.source == nil else { return .failure(.alreadyPublished) }
            core.addLocalSource(
                LocalSourceCore(id: id, stream: stream, formats: tracks, keyFrameGap: gap, onEvent: onEvent) { handle.requestKeyFrame() })
            return .success(())
        }
        try (result ?? .failure(.shutDown)).get()
        return handle
    }

    /// How old the key frame may be that a sink begins with.
    private static let sinkBacklog = TimeSpan.seconds(6)

    public func addSink(
        to stream: StreamHandle, onPacket: @escaping @Sendable (SinkPacket) -> Void
    ) async throws(EngineError) -> EndpointID {
        let reactor = reactor(of: stream.rawValue)
        let id = EndpointID(rawValue: newID(on: reactor))
        let result = await reactor.run { core -> Result<Void, EngineError> in
            guard let stream = core.stream(stream) else { return .failure(.noSuchStream) }
            guard !stream.tracks.isEmpty else { return .failure(.notReady) }
            for (index, track) in stream.tracks.enumerated() {
                let kind = track.kind
                let take: UplinkTrack.Tap = { bytes, slot in
                    guard !slot.pointee.isMade else { return }
                    onPacket(
                        SinkPacket(
                            track: index, kind: kind, bytes: bytes, arrival: slot.pointee.arrival))
                }
                // It begins with the newest group of pictures, as everybody does; what waits for this turn's end belongs to that.
                track.flush(into: core.arena, at: core.now)
                let first = kind == .video ? track.backlogStart(since: core.now - Self.sinkBacklog, maximumBytes: .max) : 0
                if first > 0 { track.visit(from: first, take) } else { stream.requestKeyFrame(of: track, arena: core.arena, at: core.now) }
                track.addTap(id: id.rawValue, take)
            }
            core.addTap(id, on: stream)
            return .success(())
        }
        try (result ?? .failure(.shutDown)).get()
        return id
    }

    public func removeEndpoint(_ endpoint: EndpointID) async {
        let reactor = reactor(of: endpoint.rawValue)
        let removed = await reactor.run { core -> Int in
            if core.removeLocal(endpoint) { return 0 }
            // One that has failed has been counted out when it did.
            guard let found = core.endpoint(endpoint), !found.isFailed else { return 0 }
            core.remove(found)
            return 1
        }
        release(removed ?? 0, on: reactor)
    }

    public func statistics() async -> [EndpointID: EndpointStatistics] {
        var all: [EndpointID: EndpointStatistics] = [:]
        for reactor in reactors {
            let found = await reactor.run { core in
                core.endpoints.values.map { $0.statistics() } + core.localSources.values.map { $0.statistics(at: core.now) }
            }
            for one in found ?? [] { all[one.endpoint] = one }
        }
        return all
    }

    /// Counters of all reactors, for the stat page and the benchmarks.
    public func reactorStatistics() async -> [ReactorStatistics] {
        var all: [ReactorStatistics] = []
        for reactor in reactors {
            if let one = await reactor.run({ core in
                ReactorStatistics(
                    index: core.index, streams: core.streams.count, endpoints: core.endpoints.count,
                    receivedDatagrams: core.counters.receivedDatagrams, receivedBytes: core.counters.receivedBytes,
                    sentDatagrams: core.counters.sentDatagrams, sentRuns: core.counters.sentRuns,
                    sentBytes: core.counters.sentBytes, unroutable: core.counters.unroutable,
                    checksIgnored: core.checksIgnored, socketDrops: core.socketDrops, wakeUps: core.counters.wakeUps,
                    sendFailures: core.sendFailures, tcpConnections: core.tcp.count, tcp: core.tcp.counters)
            }) { all.append(one) }
        }
        return all
    }

    /// DTLS handshakes that are not through, and first records that found no place among them.
    public var handshakeStatistics: (count: Int, refused: UInt64) { (handshakes.count, handshakes.refused) }

    public func shutdown() async {
        isShutDown.store(true, ordering: .relaxed)
        for reactor in reactors { await reactor.stop() }
    }

    // MARK: helpers

    /// What an endpoint is made with, on the reactor.
    private struct Setup: Sendable {
        let certificate: DTLSCertificate
        let handshakes: HandshakeLimiter
        let addresses: [SocketAddress]
        let port: UInt16
        let configuration: MediaEngineConfiguration
        /// Called once when the endpoint ends by itself.
        let onEnd: @Sendable () -> Void

        /// For a peer that comes to us. Where TCP is off, everybody is offered UDP, whatever was asked for.
        func connections(for options: EndpointOptions) -> PeerConnection.Configuration {
            let tcp = configuration.tcp
            let onlyTCP = tcp.isOpen && (options.transport.map { $0 == .tcp } ?? tcp.isDefault)
            var result = connections(port: port)
            result.takesOrientation = options.offersVideoOrientation
            if tcp.isOpen, onlyTCP || options.transport == nil { result.tcpCandidates = result.candidates }
            if onlyTCP { result.candidates = [] }
            return result
        }

        /// For a peer that we go to, from a socket of its own.
        func connections(port: UInt16) -> PeerConnection.Configuration {
            var result = PeerConnection.Configuration(
                certificate: certificate, candidates: addresses.map { $0.withPort(port) }, codecs: configuration.codecs,
                connectTimeout: configuration.iceTimeout.duration, consentTimeout: configuration.consentTimeout.duration)
            result.handshakes = handshakes
            return result
        }

        var timing: PublisherEndpoint.Timing {
            var timing = PublisherEndpoint.Timing()
            timing.activityTimeout = configuration.rtpActivityTimeout
            timing.keyFrameGap = configuration.keyFrameRequestGap
            timing.keyFrameInterval = configuration.periodicKeyFrameInterval ?? .zero
            timing.refreshInterval = configuration.refreshInterval
            return timing
        }

        func counting(_ onEvent: @escaping EndpointEventHandler) -> EndpointEventHandler {
            let onEnd = onEnd
            return { event in
                if case .failed = event { onEnd() }
                onEvent(event)
            }
        }
    }

    private func add(
        to stream: StreamHandle,
        _ make: @escaping @Sendable (ReactorCore, MediaStream, EndpointID, Setup) throws(EngineError) -> String
    ) async throws(EngineError) -> (EndpointID, String) {
        guard endpointCount.load(ordering: .relaxed) < configuration.maximumEndpoints else {
            throw .limit("\(configuration.maximumEndpoints) peer connections (setting max_endpoints)")
        }
        // Of whose making it is, the control side has asked already; here it is the sum that counts.
        if let refusal = configuration.memory.admit(.other("media")) { throw .limit("\(refusal)") }
        let reactor = reactor(of: stream.rawValue)
        let id = EndpointID(rawValue: newID(on: reactor))
        let setup = Setup(
            certificate: certificate, handshakes: handshakes, addresses: addresses, port: reactor.port, configuration: configuration,
            onEnd: { [weak self] in self?.release(1, on: reactor) })
        let result = await reactor.run { core -> Result<String, EngineError> in
            guard let found = core.stream(stream) else { return .failure(.noSuchStream) }
            do throws(EngineError) { return .success(try make(core, found, id, setup)) } catch { return .failure(error) }
        }
        let text = try (result ?? .failure(.shutDown)).get()
        reactor.load.add(1, ordering: .relaxed)
        endpointCount.add(1, ordering: .relaxed)
        return (id, text)
    }

    func release(_ count: Int, on reactor: Reactor) {
        guard count > 0 else { return }
        reactor.load.subtract(count, ordering: .relaxed)
        endpointCount.subtract(count, ordering: .relaxed)
    }

    private static func negotiating<T>(_ body: () throws(NegotiationError) -> T) throws(EngineError) -> T {
        do { return try body() } catch { throw .negotiation(error) }
    }

    /// Makes an offer; gives the socket back when that fails.
    private static func offering<T>(
        _ core: ReactorCore, _ socket: Int32, _ body: () throws(NegotiationError) -> T
    ) throws(EngineError) -> T {
        do { return try body() } catch {
            core.closeClientSocket(socket)
            throw .negotiation(error)
        }
    }

    private static func opening(_ core: ReactorCore) throws(EngineError) -> (descriptor: Int32, port: UInt16) {
        do { return try core.openClientSocket() } catch { throw .limit("no socket for an outgoing connection: \(error)") }
    }

    /// Ids carry their reactor in the top byte.
    func newID(on reactor: Reactor) -> UInt64 {
        UInt64(reactor.index) << 56 | nextID.add(1, ordering: .relaxed).oldValue
    }

    func newEndpointID(on reactor: Reactor) -> EndpointID { EndpointID(rawValue: newID(on: reactor)) }

    func reactor(of id: UInt64) -> Reactor { reactors[min(Int(id >> 56), reactors.count - 1)] }
}

/// What a reactor has done so far.
public struct ReactorStatistics: Sendable {
    public let index: Int
    public let streams: Int
    public let endpoints: Int
    public let receivedDatagrams: UInt64
    public let receivedBytes: UInt64
    public let sentDatagrams: UInt64
    /// System calls that sent them.
    public let sentRuns: UInt64
    public let sentBytes: UInt64
    /// Datagrams for which there was no peer connection.
    public let unroutable: UInt64
    /// Connectivity checks not looked at, because too many came: from one network, for one transport, or of new sources.
    public let checksIgnored: UInt64
    /// Datagrams that the kernel dropped because the media port's receive buffer was full.
    public let socketDrops: UInt64
    public let wakeUps: UInt64
    /// Packets that could not leave as they were meant to, by reason.
    public let sendFailures: SendFailures
    public let tcpConnections: Int
    public let tcp: TCPCounters
}
