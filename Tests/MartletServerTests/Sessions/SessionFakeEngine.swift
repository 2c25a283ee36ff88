// SPDX-License-Identifier: Apache-2.0
// A media engine without media: answers offers by rule and says what tests tell it to say.
import MediaIO
import Primitives
import SDP
import Synchronization

final class FakeMediaEngine: MediaEngineProtocol {
    enum Kind { case publisher, player, push, pull }
    struct Endpoint {
        let kind: Kind
        let stream: StreamHandle
        let label: String
        let handler: EndpointEventHandler
    }
    struct State {
        var last: UInt64 = 0
        var streams: Set<StreamHandle> = []
        var endpoints: [EndpointID: Endpoint] = [:]
        var statistics: [EndpointID: EndpointStatistics] = [:]
        var answersSet: [String] = []
        var levels: [StreamHandle: UInt8] = [:]
        var withheld: Set<StreamHandle> = []
        var tracks: [StreamHandle: [TrackFormat]] = [:]
        var missing: [EndpointID: [MissingTrack]] = [:]
        var isHeld = false
        var held: [CheckedContinuation<Void, Never>] = []
    }
    let state = Mutex(State())
    /// true: transports connect and media arrives by themselves.
    let isAutomatic: Bool
    static let media = MediaInfo(audioCodec: "opus", videoCodec: "H264", width: 640, height: 360)

    init(isAutomatic: Bool = false) { self.isAutomatic = isAutomatic }

    var candidateAddresses: [Primitives.SocketAddress] { [] }
    let tcpCandidateAddresses: [SocketAddress] = []
    var openStreams: Int { state.withLock { $0.streams.count } }
    var openEndpoints: Int { state.withLock { $0.endpoints.count } }

    /// Makes offers wait until `release`.
    func hold() { state.withLock { $0.isHeld = true } }
    func release() {
        let held = state.withLock { state in
            state.isHeld = false
            defer { state.held = [] }
            return state.held
        }
        for continuation in held { continuation.resume() }
    }

    /// Says something to the owner of the endpoint made for `mediaSessionID`. As the engine does, forgets a failed endpoint first.
    @discardableResult
    func emit(_ event: EndpointEvent, _ mediaSessionID: String) -> Bool {
        let handler = state.withLock { state -> EndpointEventHandler? in
            guard let (id, endpoint) = state.endpoints.first(where: { $0.value.label.contains("media_session=\(mediaSessionID) ") }) else { return nil }
            if case .failed = event { state.endpoints[id] = nil }
            return endpoint.handler
        }
        handler?(event)
        return handler != nil
    }

    /// Breaks every endpoint of a kind.
    func breakAll(_ kind: Kind, _ failure: EndpointFailure) {
        let handlers = state.withLock { state in
            let found = state.endpoints.filter { $0.value.kind == kind }
            for id in found.keys { state.endpoints[id] = nil }
            return found.values.map(\.handler)
        }
        for handler in handlers { handler(.failed(failure)) }
    }

    /// What the level of a publisher's sound is from now on.
    func setLevel(_ level: UInt8?, _ mediaSessionID: String) {
        state.withLock { state in
            guard let endpoint = state.endpoints.values.first(where: { $0.label.contains("media_session=\(mediaSessionID) ") }) else { return }
            state.levels[endpoint.stream] = level
        }
    }

    private func endpoint(_ mediaSessionID: String, _ state: State) -> (id: EndpointID, endpoint: Endpoint)? {
        state.endpoints.first { $0.value.label.contains("media_session=\(mediaSessionID) ") }.map { ($0.key, $0.value) }
    }

    /// The tracks of a publisher's stream.
    func setTracks(_ tracks: [TrackFormat], of mediaSessionID: String) {
        state.withLock { state in if let found = endpoint(mediaSessionID, state) { state.tracks[found.endpoint.stream] = tracks } }
    }

    /// What a player is not given of its stream.
    func setMissing(_ tracks: [MissingTrack], of mediaSessionID: String) {
        state.withLock { state in if let found = endpoint(mediaSessionID, state) { state.missing[found.id] = tracks } }
    }

    func setVideoRate(_ rate: Int, _ mediaSessionID: String) {
        state.withLock { state in
            guard let id = state.endpoints.first(where: { $0.value.label.contains("media_session=\(mediaSessionID) ") })?.key else { return }
            var statistics = EndpointStatistics(endpoint: id)
            statistics.video = TrackStatistics()
            statistics.video?.bitrate = rate
            statistics.video?.framesPerSecond = 30
            statistics.video?.width = 640
            statistics.video?.height = 360
            state.statistics[id] = statistics
        }
    }

    // MARK: MediaEngineProtocol

    func createStream() throws(EngineError) -> StreamHandle {
        state.withLock { state in
            state.last += 1
            let handle = StreamHandle(rawValue: state.last)
            state.streams.insert(handle)
            return handle
        }
    }

    func destroyStream(_ stream: StreamHandle) async {
        state.withLock { state in
            state.streams.remove(stream)
            state.endpoints = state.endpoints.filter { $0.value.stream != stream }
        }
    }

    private func add(
        _ kind: Kind, _ stream: StreamHandle, _ offer: String, _ options: EndpointOptions, _ handler: @escaping EndpointEventHandler
    ) async throws(EngineError) -> EndpointID {
        await withCheckedContinuation { continuation in
            let goesOn = state.withLock { state in
                if state.isHeld { state.held.append(continuation) }
                return !state.isHeld
            }
            if goesOn { continuation.resume() }
        }
        if offer == "garbage" { throw .negotiation(.malformed("no SDP")) }
        if offer == "no codecs" { throw .negotiation(.noCommonCodecs) }
        let id: EndpointID? = state.withLock { state in
            guard state.streams.contains(stream) else { return nil }
            state.last += 1
            let id = EndpointID(rawValue: state.last)
            state.endpoints[id] = Endpoint(kind: kind, stream: stream, label: options.label + " ", handler: handler)
            return id
        }
        guard let id else { throw .noSuchStream }
        return id
    }

    private func begin(_ id: EndpointID) {
        guard isAutomatic, let endpoint = state.withLock({ $0.endpoints[id] }) else { return }
        endpoint.handler(.connected(remote: SocketAddress(ipv4: 0x7f00_0001, port: 9)))
        if endpoint.kind == .publisher || endpoint.kind == .pull { endpoint.handler(.mediaStarted(Self.media)) }
    }

    func addPublisher(
        to stream: StreamHandle, offer: String, options: EndpointOptions, onEvent: @escaping EndpointEventHandler
    ) async throws(EngineError) -> (id: EndpointID, answer: String) {
        let id = try await add(.publisher, stream, offer, options, onEvent)
        begin(id)
        return (id, "answer to \(offer)")
    }

    func addPlayer(
        to stream: StreamHandle, offer: String, options: EndpointOptions, onEvent: @escaping EndpointEventHandler
    ) async throws(EngineError) -> (id: EndpointID, answer: String) {
        let answer = try offer.hasPrefix("v=0") ? negotiate(offer, stream, options) : "answer to \(offer)"
        let id = try await add(.player, stream, offer, options, onEvent)
        begin(id)
        return (id, answer)
    }

    /// Real offers are answered by the real rules.
    private func negotiate(_ text: String, _ stream: StreamHandle, _ options: EndpointOptions) throws(EngineError) -> String {
        guard let offer = try? SessionDescription(parsing: text) else { throw .negotiation(.malformed("no SDP")) }
        let tracks = state.withLock { $0.tracks[stream] ?? [] }
        var random = RandomSource.seeded(1)
        do throws(NegotiationError) {
            let answer = try Negotiation.answerPlayer(
                offer: offer, tracks: tracks, streamID: "s", leavesOutAudio: options.leavesOutAudio, transports: { _ in Self.transport },
                ssrcs: &random)
            return answer.description.serialized()
        } catch {
            throw .negotiation(error)
        }
    }

    static let transport = TransportParameters(
        iceUfrag: "abcd", icePwd: "0123456789012345678901", isLite: true,
        fingerprint: Fingerprint(algorithm: "sha-256", bytes: [UInt8](repeating: 7, count: 32)), setup: .passive, candidates: [])

    func offerPush(
        of stream: StreamHandle, options: EndpointOptions, onEvent: @escaping EndpointEventHandler
    ) async throws(EngineError) -> (id: EndpointID, offer: String) {
        (try await add(.push, stream, "", options, onEvent), "m=audio m=video push")
    }

    func offerPull(
        into stream: StreamHandle, audio: Bool, video: Bool, options: EndpointOptions, onEvent: @escaping EndpointEventHandler
    ) async throws(EngineError) -> (id: EndpointID, offer: String) {
        (try await add(.pull, stream, "", options, onEvent), "m=audio m=video pull")
    }

    func restartICE(_ endpoint: EndpointID, ufrag: String, password: String) async throws(EngineError) -> ICERestart? {
        guard state.withLock({ $0.endpoints[endpoint] != nil }) else { throw .noSuchEndpoint }
        return ICERestart(ufrag: "new \(ufrag)", password: password, candidates: [])
    }

    func setAnswer(_ endpoint: EndpointID, answer: String) async throws(EngineError) {
        state.withLock { $0.answersSet.append(answer) }
        begin(endpoint)
    }

    func addSource(
        to stream: StreamHandle, tracks: [TrackFormat], onEvent: @escaping EndpointEventHandler
    ) async throws(EngineError) -> any LocalSource { throw .noSuchStream }
    func forms(of stream: StreamHandle) async -> [TrackFormat] { await tracks(of: stream) }
    func addSink(
        to stream: StreamHandle, onPacket: @escaping @Sendable (SinkPacket) -> Void
    ) async throws(EngineError) -> EndpointID { throw .noSuchStream }
    func removeEndpoint(_ endpoint: EndpointID) async { state.withLock { $0.endpoints[endpoint] = nil } }
    func requestKeyFrame(of stream: StreamHandle) {}
    func audioLevels(of streams: [StreamHandle]) async -> [StreamHandle: UInt8] { state.withLock { $0.levels } }
    func withholdSilence(of stream: StreamHandle) { state.withLock { _ = $0.withheld.insert(stream) } }
    func tracks(of stream: StreamHandle) async -> [TrackFormat] { state.withLock { $0.tracks[stream] ?? [] } }
    func missingTracks(of player: EndpointID) async -> [MissingTrack]? { state.withLock { $0.missing[player] ?? [] } }
    func statistics() async -> [EndpointID: EndpointStatistics] { state.withLock { $0.statistics } }
    func shutdown() async {}
}
