// SPDX-License-Identifier: Apache-2.0
// Every publisher and player of the server, by media session id and by name: the one place where their state changes.
// Sessions and agents ask, the media engine reports, REST looks. Owned by the composition; run() carries the engine's events.
import Clocks
import Logging
import MediaIO
import Primitives
import SDP
import Signalling

actor StreamRegistry {
    /// Bytes that `custom` of a request may take.
    private static let maximumCustom = 65_536

    /// One media session.
    struct Entry {
        /// `source` and `sink` are inside the server.
        enum Kind { case publisher, player, pull, push, source, sink }
        var record: StreamRecord
        let kind: Kind
        let owner: StreamOwner
        /// The engine's stream: the own one of publishers, the watched one of players.
        var stream: StreamHandle?
        var endpoint: EndpointID?
        /// Counts the peer connections an agent had for this session, so that late events of an older one are ignored.
        var link: UInt64
        /// Of a player: its publisher's id. Of a publisher: its players' ids.
        var publisherID: String?
        var players: Set<String> = []
        /// Of a publisher: the level with which it became the loudest of its room, while it is.
        var loudestLevel: UInt8?
        /// Some of its media is converted for it.
        var usesBridges = false
        /// Of a sink: called when it is over.
        var onEnd: (@Sendable () -> Void)?
        /// Of a sink of frames: what it wants, and where they go. It gets another subscription when the stream's tracks change.
        var frames: (request: SinkRequest, sink: SubscribedSink)?
        /// Of a publisher: counts the changes of its tracks. Of a player: those that it has been carried over.
        var tracksVersion = 0
        /// Of a publisher: its players are being carried over to its new tracks.
        var isCarryingOver = false
        /// Of a publisher that is being recorded from its start: done once the recording has begun.
        var recording: Task<Void, Never>?
    }

    /// What is left to do in the engine after an entry is gone.
    enum Cleanup: Sendable {
        case destroyStream(StreamHandle)
        case removeEndpoint(EndpointID)
        /// The tracks of a publisher have changed.
        case carryOver(publisherID: String)
        /// They have changed while a player was being connected.
        case catchUp(playerID: String)
    }

    struct LinkEvent: Sendable {
        let mediaSessionID: String
        let link: UInt64
        let event: EndpointEvent
    }

    let engine: any MediaEngineProtocol
    let logger: Logger
    /// `nil`: this server records nothing.
    let recorder: (any PublisherRecorder)?
    /// `nil`: no conversions, and no sinks inside the server.
    let doors: StreamDoors?
    /// Who can fetch a stream by its name.
    private(set) var fetchers: [any StreamFetching] = []
    /// Told the name and `rtmpUrl` of a stream that is to be published elsewhere as well. Returns at once.
    private(set) var republisher: (@Sendable (String, String) -> Void)?
    private let nodeID: String
    private let maximumStreams: Int
    /// What each network publishes.
    private let publishedByAddress: ConnectionLimiter
    /// Milliseconds since 1970.
    private let wallClock: @Sendable () -> Int64
    nonisolated let events: AsyncStream<LinkEvent>
    private nonisolated let eventSink: AsyncStream<LinkEvent>.Continuation

    var entries: [String: Entry] = [:]
    /// Published name → media session id.
    private var publishers: [ExactText: String] = [:]
    /// Owner → media session ids, so that a session can leave without a look at everybody's.
    private var owned: [String: Set<String>] = [:]
    private var lastLink: UInt64 = 0
    private var isShutDown = false

    init(
        engine: any MediaEngineProtocol, nodeID: String, maximumStreams: Int = 10_000, maximumStreamsPerAddress: Int = 1_000,
        recorder: (any PublisherRecorder)? = nil, doors: StreamDoors? = nil, wallClock: @escaping @Sendable () -> Int64 = { WallClock.now().milliseconds }, logger: Logger
    ) {
        self.engine = engine
        self.nodeID = nodeID
        self.maximumStreams = maximumStreams
        publishedByAddress = ConnectionLimiter(maximum: .max, maximumPerAddress: maximumStreamsPerAddress)
        self.recorder = recorder
        self.doors = doors
        self.wallClock = wallClock
        self.logger = logger
        (events, eventSink) = AsyncStream.makeStream()
    }

    func setRepublisher(_ republisher: @escaping @Sendable (String, String) -> Void) { self.republisher = republisher }

    /// Carries what the engine reports until `shutdown`. Run once, for as long as the server lives.
    func run() async {
        await withDiscardingTaskGroup { group in
            for await event in events {
                let cleanups = handle(event)
                if !cleanups.isEmpty { group.addTask { await self.perform(cleanups) } }
            }
        }
    }

    /// From now on streams that are not there are asked for.
    func add(_ fetcher: any StreamFetching) { fetchers.append(fetcher) }

    /// Nothing is fetched or sent on any more: the registry and those who do it hold each other until then.
    func letHelpersGo() {
        fetchers = []
        republisher = nil
    }

    // MARK: Looking

    /// true when a stream of that name is published and playable.
    func isAvailable(_ name: String) -> Bool { publisher(named: name)?.record.status == .publishing }

    /// true when the name is taken, by a stream that may not have media yet.
    func isTaken(_ name: String) -> Bool { publishers[ExactText(name)] != nil }

    func publisher(named name: String) -> Entry? { publishers[ExactText(name)].flatMap { entries[$0] } }

    /// The records of media sessions that still exist, in the order asked for.
    func records(of ids: [String]) -> [StreamRecord] { ids.compactMap { entries[$0]?.record } }

    /// The room a published stream belongs to.
    func room(ofStream name: String) -> String? { publisher(named: name)?.record.room }

    /// Players of a published stream.
    func playerCount(ofStream name: String) -> Int { publisher(named: name)?.players.count ?? 0 }

    /// The formats of a published stream's tracks and of what is made of them; `nil` when there is no such stream.
    func forms(ofStream name: String) async -> [TrackFormat]? {
        guard let entry = publisher(named: name), let stream = entry.stream else { return nil }
        return entry.record.status == .publishing ? await engine.forms(of: stream) : []
    }

    /// Indices of a published stream's tracks that nothing has ever come of (see `MediaEngineProtocol.silentTracks`).
    func silentTracks(ofStream name: String) async -> Set<Int> {
        guard let stream = publisher(named: name)?.stream else { return [] }
        return await engine.silentTracks(of: stream)
    }

    /// Media sessions owned by `ownerID`.
    func count(ofOwner ownerID: String) -> Int { owned[ownerID]?.count ?? 0 }

    // MARK: Beginning (the requests of sessions are in StreamRegistry+Requests, those of this server's own parts in +Sources and +Sinks)

    /// Takes the id (and name) for a new media session before the engine is asked, so that nobody else can meanwhile.
    func reserve(_ request: StreamRequest, kind: Entry.Kind, owner: StreamOwner) throws(StreamRefusal) -> UInt64 {
        guard !isShutDown else { throw .refused(.shutdownRequested, "the server is shutting down") }
        guard !request.mediaSessionID.isEmpty else { throw .refused(.mediaSessionIDNull, "mediaSessionId is empty") }
        guard request.mediaSessionID.utf8.count <= 256, !request.name.isEmpty, request.name.utf8.count <= 1024 else {
            throw .refused(.error, "the stream name is empty, or name or mediaSessionId is too long")
        }
        guard request.custom.map({ $0.footprint <= Self.maximumCustom }) ?? true else {
            throw .refused(.error, "\"custom\" is more than a server keeps")
        }
        guard entries[request.mediaSessionID] == nil else {
            throw .refused(.mediaSessionIDInUse, "mediaSessionId \(request.mediaSessionID) is in use")
        }
        let isPublisher = kind == .publisher || kind == .pull || kind == .source
        if isPublisher {
            guard publishers[ExactText(request.name)] == nil else {
                if let holder = publishers[ExactText(request.name)], let entry = entries[holder] { entry.owner.contested(holder) }
                throw .refused(.nameInUse, "stream name \"\(request.name)\" is already in use")
            }
            guard publishers.count < maximumStreams else {
                throw .refused(.addToProxy, "there are \(maximumStreams) streams already (max_streams)")
            }
            guard owner.address.map(publishedByAddress.enter) ?? true else {
                throw .refused(
                    .addToProxy, "its address publishes \(publishedByAddress.maximumPerAddress) streams already (max_streams_per_address)")
            }
            publishers[ExactText(request.name)] = request.mediaSessionID
        }
        var record = StreamRecord(
            mediaSessionID: request.mediaSessionID, name: request.name, isPublished: isPublisher,
            hasAudio: request.hasAudio, hasVideo: request.hasVideo, sessionID: owner.id, appKey: owner.appKey, nodeID: nodeID)
        record.bitrate = request.bitrate
        record.minBitrate = request.minBitrate
        record.maxBitrate = request.maxBitrate
        record.quality = request.quality
        record.record = request.record
        record.cvoExtension = request.cvoExtension ?? true
        record.custom = request.custom
        record.room = request.room
        record.rtmpURL = isPublisher ? request.rtmpURL.flatMap { $0.isEmpty ? nil : $0 } : nil
        record.createDate = wallClock()
        let link = nextLink()
        entries[request.mediaSessionID] = Entry(record: record, kind: kind, owner: owner, link: link)
        owned[owner.id, default: []].insert(request.mediaSessionID)
        return link
    }

    /// Undoes a reservation whose engine call failed.
    func withdraw(_ id: String, link: UInt64) {
        guard let entry = entries[id], entry.link == link else { return }
        forget(id, entry)
    }

    func nextLink() -> UInt64 {
        lastLink += 1
        return lastLink
    }

    /// What the engine calls for one peer connection. Runs on a reactor thread: only hands on.
    nonisolated func eventHandler(_ id: String, link: UInt64) -> EndpointEventHandler {
        { [eventSink] event in eventSink.yield(LinkEvent(mediaSessionID: id, link: link, event: event)) }
    }

    // MARK: Ending

    /// Ends a media session for its owner. Unknown ids and other owners' ids are left alone; false then.
    @discardableResult
    func stop(_ id: String, ownerID: String) async -> Bool {
        guard let entry = entries[id], entry.owner.id == ownerID else { return false }
        await perform(end(id, .user))
        return true
    }

    /// Ends a media session of that owner for a reason of the server's.
    func end(_ id: String, ownerID: String, _ reason: StreamEnd) async {
        guard let entry = entries[id], entry.owner.id == ownerID else { return }
        await perform(end(id, reason))
    }

    /// Ends what an owner publishes and plays in a room.
    func endAll(ofOwner ownerID: String, inRoom room: String, _ reason: StreamEnd) async {
        let ids = (owned[ownerID] ?? []).filter { entries[$0]?.record.isInRoom(room) ?? false }
        await perform(ids.sorted().flatMap { end($0, reason) })
    }

    /// The owner is gone, and everything of it with it.
    func endAll(ofOwner ownerID: String) async {
        let ids = owned[ownerID] ?? []
        await perform(ids.sorted().flatMap { end($0, .sessionLost) })
    }

    /// Ends what matches the filter (REST); how many that were.
    func terminate(_ filter: StreamFilter) async -> Int {
        let matching = entries.values.filter { filter.matches($0.record) }.map(\.record.mediaSessionID)
        await perform(matching.flatMap { end($0, .terminated) })
        return matching.count
    }

    /// Tells every owner that it is over and lets `run` return.
    func shutdown() async {
        isShutDown = true
        await perform(entries.keys.sorted().flatMap { end($0, .shutdown) })
        eventSink.finish()
    }

    /// Forgets a media session and tells its owner; of a publisher, its players' owners too. Nothing is awaited here, so that
    /// whoever looks afterwards finds all of it gone at once.
    func end(_ id: String, _ reason: StreamEnd) -> [Cleanup] {
        guard var entry = entries[id] else { return [] }
        forget(id, entry)
        var cleanups: [Cleanup] = []
        if entry.record.isPublished {
            // The engine ends the players' endpoints with the stream, so theirs is nothing to clean up.
            for player in entry.players { _ = end(player, reason == .shutdown ? .shutdown : .publisherStopped) }
            if let stream = entry.stream { cleanups = [.destroyStream(stream)] }
        } else if let endpoint = entry.endpoint {
            cleanups = [.removeEndpoint(endpoint)]
        }
        entry.record.status = reason.status(ofPublisher: entry.record.isPublished)
        logger.info("\(entry.record.isPublished ? "stream" : "player") ended", metadata: Self.metadata(entry.record, ["reason": "\(reason.info.rawValue)"]))
        endRecording(&entry, reason)
        entry.owner.deliver(.ended(entry.record, reason))
        return cleanups
    }

    private func forget(_ id: String, _ entry: Entry) {
        entries[id] = nil
        entry.onEnd?()
        if entry.usesBridges, let bridges = doors?.bridges { Task { await bridges.release(user: id) } }
        owned[entry.owner.id]?.remove(id)
        if owned[entry.owner.id]?.isEmpty == true { owned[entry.owner.id] = nil }
        let name = ExactText(entry.record.name)
        if entry.record.isPublished, publishers[name] == id {
            publishers[name] = nil
            entry.owner.address.map(publishedByAddress.leave)
        }
        if let publisherID = entry.publisherID { entries[publisherID]?.players.remove(id) }
    }

    func perform(_ cleanups: [Cleanup]) async {
        for cleanup in cleanups {
            switch cleanup {
            case .destroyStream(let stream):
                await engine.destroyStream(stream)
                await doors?.bridges.streamEnded(stream)
            case .removeEndpoint(let endpoint): await engine.removeEndpoint(endpoint)
            case .carryOver(let id): await carryOver(id)
            case .catchUp(let id): await catchUpWithTracks(id)
            }
        }
    }

    static func metadata(_ record: StreamRecord, _ more: Logger.Metadata = [:]) -> Logger.Metadata {
        var metadata = more
        metadata["stream"] = "\(record.name)"
        metadata["media_session"] = "\(record.mediaSessionID)"
        metadata["session"] = "\(record.sessionID)"
        return metadata
    }
}
