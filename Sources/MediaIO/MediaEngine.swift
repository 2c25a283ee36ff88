// SPDX-License-Identifier: Apache-2.0
// The face of the media side towards the control plane: streams, publishers, players, local sources and sinks.
// Owned by the server (or by a tool); every call is safe from any thread and is carried out on the stream's home reactor.
@_exported import MediaGraph
import Primitives
import RTP
import SDP

/// Why a request to the engine was refused.
public enum EngineError: Error, Sendable {
    /// Offer/answer failed: malformed SDP, no common codecs, …
    case negotiation(NegotiationError)
    case noSuchStream, noSuchEndpoint
    /// The stream's publisher has not delivered media yet.
    case notReady
    /// The stream already has a publisher or source.
    case alreadyPublished
    /// A bound was reached (endpoints, streams); the text names it.
    case limit(String)
    case shutDown
}

/// How the media side is set up.
public struct MediaEngineConfiguration: Sendable {
    /// Reactor threads; 0 = one per core.
    public var reactors = 0
    /// First media port; reactor n listens on `portFrom + n`. 0 = any free port.
    public var portFrom: UInt16 = 31001
    public var portTo: UInt16 = 32000
    /// Addresses written into candidates instead of the local ones (public addresses, setting `ip`).
    public var announcedAddresses: [String] = []
    /// Only used when `announcedAddresses` is empty: also offer 127.0.0.1 / ::1.
    public var offersLoopback = true
    public var codecs = CodecPreferences()
    public var iceTimeout = TimeSpan.seconds(15)
    public var consentTimeout = TimeSpan.seconds(30)
    public var rtpActivityTimeout = TimeSpan.seconds(60)
    /// Ask publishers for a key frame this often; `nil` = only when somebody needs one.
    public var periodicKeyFrameInterval: TimeSpan?
    /// How old the newest key frame may get while somebody takes the stream who can't ask for one; zero = as old as the source likes.
    public var refreshInterval = TimeSpan.seconds(3)
    /// Minimum gap between two key frame requests to one publisher.
    public var keyFrameRequestGap = TimeSpan.seconds(1)
    /// Bounds of what publishers are told by REMB to send at most, bit/s.
    public var lowestREMB = 30_000
    public var highestREMB = 10_000_000
    public var maximumEndpoints = 20_000
    /// Players of one stream on its home reactor before further ones go to other reactors, where there are any.
    public var playersPerReactor = 300
    public var tcp = MediaOverTCP()
    /// DTLS handshakes that peers have begun and that are not through, in all and from one network.
    public var maximumHandshakes = 1_000
    public var maximumHandshakesPerAddress = 250
    /// What rings, peer connections and the queues of TCP connections take their memory from.
    public var memory = MemoryBudget.unlimited
    public init() {}
}

/// ICE-TCP (RFC 6544, passive) on the media ports' numbers.
public struct MediaOverTCP: Sendable {
    /// Listen, and offer TCP candidates behind those of UDP.
    public var isOpen = true
    /// Peers that don't say otherwise are offered TCP only.
    public var isDefault = false
    public var maximumConnections = 10_000
    public var maximumConnectionsPerAddress = 1_000
    /// Bytes waiting for one receiver, above which its media is dropped, and at which it gets media again.
    public var highWaterMark = 4_194_304
    public var lowWaterMark = 524_288
    /// Media that has waited for this long is dropped as well.
    public var maximumDelay = TimeSpan.seconds(2)
    public init() {}

    var queueLimits: FrameQueue.Limits {
        FrameQueue.Limits(high: highWaterMark, low: min(lowWaterMark, highWaterMark), delay: maximumDelay)
    }
}

/// A packet handed to a local sink. `bytes` is valid only during the call.
public struct SinkPacket {
    public let track: Int
    public let kind: MediaKind
    /// The whole RTP packet as the publisher sent it (decrypted, source sequence numbers).
    public let bytes: UnsafeRawBufferPointer
    public let arrival: Instant
}

/// Our half of an ICE restart.
public struct ICERestart: Sendable, Equatable {
    public var ufrag: String
    public var password: String
    public var candidates: [Candidate]
    public init(ufrag: String, password: String, candidates: [Candidate]) {
        self.ufrag = ufrag; self.password = password; self.candidates = candidates
    }
}

/// What a local source (test pattern, file, later RTMP/RTSP) writes its RTP into. Any thread.
public protocol LocalSource: Sendable {
    var id: EndpointID { get }
    /// One complete RTP packet of track `track` (index into the formats given at creation).
    /// Never blocks; false when the stream is gone or the mailbox is full (counted).
    func write(track: Int, packet: [UInt8]) -> Bool
    /// The same for several in one go: a picture.
    func write(track: Int, packets: [[UInt8]]) -> Bool
    /// The source has other tracks from now on; a track whose format goes on keeps its players, others are taken over by the new track of
    /// their kind. What is written afterwards counts by the new order. The owner is told `.tracksChanged`.
    func setTracks(_ tracks: [TrackFormat])
    /// The track's pictures come in another order than they are shown in: who can't take that gets a converted form. The owner is told
    /// `.tracksChanged`.
    func markReordered(track: Int)
    /// The source's own clock: its wall clock (NTP 32.32) at an RTP timestamp. A source that never says is taken to send each
    /// packet at the time of its timestamp.
    func report(track: Int, ntp: UInt64, timestamp: UInt32)
    /// What is written from now on comes over a new connection of the source (a camera that is back): each track begins anew, whatever the
    /// numbers of its packets are, and goes on for whoever takes it. To be called before the first packet of the new connection.
    func restart()
    /// Called when a player needs a key frame on a video track. At most every `keyFrameRequestGap`.
    func onKeyFrameRequest(_ handler: @escaping @Sendable () -> Void)
}

/// The media engine as the control plane sees it.
public protocol MediaEngineProtocol: Sendable {
    /// A new empty stream on the least loaded reactor.
    func createStream() throws(EngineError) -> StreamHandle
    /// Ends the stream and all its endpoints, without events.
    func destroyStream(_ stream: StreamHandle) async

    /// A remote publishes: its offer in, our answer out.
    func addPublisher(to stream: StreamHandle, offer: String, options: EndpointOptions,
                      onEvent: @escaping EndpointEventHandler) async throws(EngineError) -> (id: EndpointID, answer: String)
    /// A remote plays: its offer in, our answer out. `notReady` until `mediaStarted` was told.
    func addPlayer(to stream: StreamHandle, offer: String, options: EndpointOptions,
                   onEvent: @escaping EndpointEventHandler) async throws(EngineError) -> (id: EndpointID, answer: String)

    /// We publish to another server (push): our sendonly offer of the stream's tracks. Complete with `setAnswer`.
    func offerPush(of stream: StreamHandle, options: EndpointOptions,
                   onEvent: @escaping EndpointEventHandler) async throws(EngineError) -> (id: EndpointID, offer: String)
    /// We play from another server (pull): our recvonly offer; what arrives becomes the stream's media.
    func offerPull(into stream: StreamHandle, audio: Bool, video: Bool, options: EndpointOptions,
                   onEvent: @escaping EndpointEventHandler) async throws(EngineError) -> (id: EndpointID, offer: String)
    func setAnswer(_ endpoint: EndpointID, answer: String) async throws(EngineError)

    /// - Parameter onEvent: told `.resized` and `.tracksChanged`; on a reactor thread.
    func addSource(
        to stream: StreamHandle, tracks: [TrackFormat], onEvent: @escaping EndpointEventHandler
    ) async throws(EngineError) -> any LocalSource
    /// `onPacket` runs on the reactor thread: copy and leave.
    func addSink(to stream: StreamHandle, onPacket: @escaping @Sendable (SinkPacket) -> Void) async throws(EngineError) -> EndpointID

    /// The peer of an endpoint that came to us restarts ICE with these credentials. Gives back ours; `nil` when the peer's are
    /// the ones in use already.
    func restartICE(_ endpoint: EndpointID, ufrag: String, password: String) async throws(EngineError) -> ICERestart?

    func removeEndpoint(_ endpoint: EndpointID) async
    func requestKeyFrame(of stream: StreamHandle)
    /// How loud streams are now: −dBov (RFC 6464: 0…127, 127 is silence), smoothed. Those without levels are left out.
    func audioLevels(of streams: [StreamHandle]) async -> [StreamHandle: UInt8]
    /// From now on players get no sound of the stream while it is silent. Sinks get everything.
    func withholdSilence(of stream: StreamHandle)
    /// What a player wants of its stream and does not get since the stream's tracks have changed; `nil` when it is gone.
    func missingTracks(of player: EndpointID) async -> [MissingTrack]?
    /// The formats of a stream's tracks; empty until known.
    func tracks(of stream: StreamHandle) async -> [TrackFormat]
    /// The same, and then those of what bridges make of them.
    func forms(of stream: StreamHandle) async -> [TrackFormat]
    /// Indices of the stream's tracks that nothing has come of, though another has sent for a while (`silenceBound`).
    func silentTracks(of stream: StreamHandle) async -> Set<Int>
    func statistics() async -> [EndpointID: EndpointStatistics]
    /// Addresses that go into candidates, for the start-up line.
    var candidateAddresses: [SocketAddress] { get }
    /// Those of them that TCP is offered on; empty when it is off.
    var tcpCandidateAddresses: [SocketAddress] { get }
    func shutdown() async
}

extension MediaEngineProtocol {
    public func silentTracks(of stream: StreamHandle) async -> Set<Int> { [] }
    public func missingTracks(of player: EndpointID) async -> [MissingTrack]? { [] }

    public func addSource(to stream: StreamHandle, tracks: [TrackFormat]) async throws(EngineError) -> any LocalSource {
        try await addSource(to: stream, tracks: tracks, onEvent: { _ in })
    }
}
