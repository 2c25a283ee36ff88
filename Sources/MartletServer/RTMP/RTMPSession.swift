// SPDX-License-Identifier: Apache-2.0
// One RTMP client: its connection, the streams it publishes and plays, the rooms it is in. Everything that concerns it goes through
// one mailbox and is handled one after the other; media doesn't, it goes from the event loop straight to its RTMPIngest. Made
// and run by RTMPService.
import Clocks
import Logging
import MediaIO
import NIOCore
import Primitives
import RTMP
import Signalling
import Synchronization

actor RTMPSession {
    typealias Connection = RTMPConnection<RTMPServerSession>

    enum Input: Sendable {
        case event(RTMPServerSession.Event)
        case notice(StreamNotice)
        /// An envelope of an application, as WebSocket clients get it.
        case frame(String)
        /// A publisher's codecs or frames can't be used.
        case ingestFailed(streamID: UInt32, String)
        /// The time to connect, or to begin something, is over.
        case beginDue
        /// Somebody else wants the name of a publisher.
        case contested(mediaSessionID: String)
        /// Looks whether a contested publisher has been silent since.
        case suspectDue(mediaSessionID: String)
        /// Looks whether a publisher has fallen silent.
        case idleDue
        case drop(String)
        /// REST wants it gone.
        case terminate
        case shutdown
        case closed(String)
    }

    /// What a message stream is used for.
    struct Stream {
        enum Use {
            case publishing(PublishedSource, RTMPIngest)
            case playing(RTMPPlayback)
        }
        let mediaSessionID: String
        let name: String
        let use: Use
    }

    nonisolated let id: String
    nonisolated let connection: Connection
    let streams: StreamRegistry
    let application: any SessionApplication
    let settings: RTMPSettings
    /// Streams begun from one address, by whichever door.
    let streamRate: SourceRateLimiter
    private(set) var info: SessionInfo
    private let onInfoChange: @Sendable (SessionInfo) -> Void
    /// Parameters of `connect`.
    var parameters: [String: String] = [:]
    /// The path behind the application's first part: it belongs to stream names.
    var namePrefix = ""
    var open: [UInt32: Stream] = [:]
    /// Rooms this client has joined.
    var rooms: [String] = []
    var isConnected = false
    var logger: Logger
    let ingestCounters: IngestCounters
    /// Publishers that are being watched because somebody wants their names.
    private var suspects: Set<String> = []
    /// What has been said of messages that could not be used.
    private nonisolated let said = Mutex<Set<String>>([])
    /// Where the event loop finds the ingest of a stream.
    private nonisolated let ingests = Mutex<[UInt32: RTMPIngest]>([:])
    /// What it plays, for what that holds.
    private nonisolated let playing = Mutex<[UInt32: RTMPPlayback]>([:])
    /// Bytes of commands in the mailbox.
    private nonisolated let waitingCommands = Atomic<Int>(0)
    private nonisolated let mailbox: AsyncStream<Input>
    private nonisolated let sink: AsyncStream<Input>.Continuation

    /// Inputs that may wait before the client is dropped.
    private static let mailboxLimit = 2048
    /// A publisher whose name somebody else wants is ended when it has been silent for so long.
    private static let suspectSilence = TimeAmount.milliseconds(2500)

    init(
        connection: Connection, isSecure: Bool, streams: StreamRegistry, application: any SessionApplication, settings: RTMPSettings,
        streamRate: SourceRateLimiter, ingestCounters: IngestCounters = IngestCounters(), logger: Logger, onInfoChange: @escaping @Sendable (SessionInfo) -> Void = { _ in }
    ) {
        self.connection = connection
        id = "/\(connection.remoteAddress)/\(connection.localAddress)-\(Identifier.uuid())"
        self.streams = streams
        self.application = application
        self.settings = settings
        self.streamRate = streamRate
        self.onInfoChange = onInfoChange
        self.ingestCounters = ingestCounters
        info = SessionInfo(id: id, remoteAddress: connection.remoteAddress, transport: isSecure ? .rtmps : .rtmp, createDate: WallClock.now().milliseconds)
        var logger = logger
        logger[metadataKey: "session"] = "\(id)"
        self.logger = logger
        (mailbox, sink) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.mailboxLimit))
    }

    // MARK: Input (any thread)

    nonisolated func post(_ input: Input) {
        if case .dropped = sink.yield(input) {
            connection.close(reason: "too many messages are waiting")
            if case .closed = input { sink.finish() }
        }
    }

    /// On the event loop.
    nonisolated func take(_ event: RTMPServerSession.Event) {
        switch event {
        case .media(let message): ingests.withLock { $0[message.streamID] }?.take(message)
        case .metadata(let id, let value): ingests.withLock { $0[id] }?.take(metadata: value)
        case .closed(let id):
            ingests.withLock { $0.removeValue(forKey: id) }?.end()
            postCommand(event)
        case .ignored(let reason):
            ingestCounters.add(unusable: 1)
            // Each reason once, and not endlessly many reasons.
            guard said.withLock({ $0.count < 8 && $0.insert(reason).inserted }) else { return }
            Logger(label: "martlet.rtmp").info("a message of an RTMP client is left out", metadata: ["session": "\(id)", "reason": "\(reason)"])
        default: postCommand(event)
        }
    }

    private nonisolated func postCommand(_ event: RTMPServerSession.Event) {
        waitingCommands.add(event.footprint, ordering: .relaxed)
        post(.event(event))
    }

    /// Bytes held for the client beside its connection's: commands that wait, frames that are not complete or not taken yet.
    nonisolated var heldBytes: Int {
        waitingCommands.load(ordering: .relaxed) + ingests.withLock { $0.values.reduce(0) { $0 + $1.heldBytes } }
            + playing.withLock { $0.values.reduce(0) { $0 + $1.sink.heldBytes } }
    }

    nonisolated func setPlayback(_ playback: RTMPPlayback?, of id: UInt32) { playing.withLock { $0[id] = playback } }

    nonisolated func setIngest(_ ingest: RTMPIngest?, of id: UInt32) { ingests.withLock { $0[id] = ingest } }

    // MARK: Life

    /// Handles the mailbox until the connection is gone, then ends everything that it owned.
    func run() async {
        logger.debug("RTMP connection opened", metadata: ["peer": "\(connection.remoteAddress)"])
        loop: for await input in mailbox {
            // A task gives its memory back only when it ends, and a session lives long.
            let isOver = await Task { await handle(input) }.value
            if isOver { break loop }
        }
        sink.finish()
        connection.close(reason: "the session is over")
        for ingest in ingests.withLock({ ingests in
            defer { ingests = [:] }
            return Array(ingests.values)
        }) { ingest.end() }
        playing.withLock { $0 = [:] }
        for stream in open.values { if case .playing(let playback) = stream.use { playback.stop() } }
        open = [:]
        await streams.endAll(ofOwner: id)
        if info.connection != nil { await application.sessionEnded(link) }
    }

    /// true: it is over.
    private func handle(_ input: Input) async -> Bool {
        switch input {
        case .event(let event):
            await handle(event)
            waitingCommands.subtract(event.footprint, ordering: .relaxed)
        case .notice(let notice): await handle(notice)
        case .frame(let text): deliver(text)
        case .ingestFailed(let streamID, let reason): await refuseMedia(streamID, reason)
        case .beginDue:
            if !isConnected {
                drop("no connect came in time")
            } else if open.isEmpty, rooms.isEmpty {
                drop("nothing was published, played or joined in time")
            }
        case .idleDue: await checkIdle()
        case .contested(let id): await suspect(id)
        case .suspectDue(let id):
            suspects.remove(id)
            await endIfSilent(id)
        case .drop(let reason): drop(reason)
        case .terminate:
            for stream in open { await end(stream.key, .terminated) }
            drop("ended by REST")
        case .shutdown:
            for stream in open { await end(stream.key, .shutdown) }
            drop("the server stops")
        case .closed(let reason):
            logger.info("RTMP connection closed", metadata: ["reason": "\(reason)"])
            return true
        }
        return false
    }

    private func handle(_ event: RTMPServerSession.Event) async {
        Breadcrumb.begin(.rtmp, of: connection.remoteAddress)
        defer { Breadcrumb.end() }
        switch event {
        case .connect(let request): await connect(request)
        case .publish(let request): await publish(request)
        case .play(let request): await play(request)
        case .closed(let streamID): await close(streamID)
        case .pause(let streamID, let pauses): playback(streamID)?.pause(pauses)
        case .receiveAudio(let streamID, let wanted): playback(streamID)?.receive(audio: wanted)
        case .receiveVideo(let streamID, let wanted): playback(streamID)?.receive(video: wanted)
        case .call(let call): await receive(call)
        case .media, .metadata, .ignored: break
        }
    }

    private func playback(_ streamID: UInt32) -> RTMPPlayback? {
        if case .playing(let playback)? = open[streamID]?.use { playback } else { nil }
    }

    func drop(_ reason: String) {
        logger.debug("RTMP connection dropped", metadata: ["reason": "\(reason)"])
        connection.close(reason: reason)
    }

    private func checkIdle() async {
        let publishes = open.values.contains { if case .publishing = $0.use { true } else { false } }
        // Players and people in rooms may be silent for as long as they like.
        guard publishes || open.isEmpty && rooms.isEmpty, let last = await connection.lastReceived(),
            NIODeadline.now() - last > settings.idleTimeout
        else { return }
        for stream in open { await end(stream.key, .failed(.rtpActivity)) }
        drop("nothing came for \(settings.idleTimeout.nanoseconds / 1_000_000_000) s")
    }

    /// A rival for a name: whoever doesn't answer any more has to give way soon.
    private func suspect(_ mediaSessionID: String) async {
        guard open.values.contains(where: { $0.mediaSessionID == mediaSessionID }) else { return }
        // Who is there answers.
        connection.perform { $0.ping(2) }
        guard await !endIfSilent(mediaSessionID), suspects.insert(mediaSessionID).inserted else { return }
        Task { [weak self] in
            try? await Task.sleep(for: .nanoseconds(Self.suspectSilence.nanoseconds))
            self?.post(.suspectDue(mediaSessionID: mediaSessionID))
        }
    }

    @discardableResult
    private func endIfSilent(_ mediaSessionID: String) async -> Bool {
        guard let last = await connection.lastReceived(), NIODeadline.now() - last >= Self.suspectSilence,
            let streamID = open.first(where: { $0.value.mediaSessionID == mediaSessionID })?.key
        else { return false }
        logger.info("a silent publisher gives way to another of its name", metadata: ["media_session": "\(mediaSessionID)"])
        await end(streamID, .failed(.rtpActivity))
        drop("silent, and another publisher wants its name")
        return true
    }

    func establish(_ request: ConnectionRequest) {
        info.connection = request
        onInfoChange(info)
        if let login = request.login { logger[metadataKey: "login"] = "\(login)" }
    }

    // MARK: For others

    /// The owner of this client's streams, as the registry knows it.
    var owner: StreamOwner {
        StreamOwner(
            id: id, appKey: info.appKey, login: info.login ?? "", address: AddressKey(info.remoteAddress),
            deliver: { [weak self] notice in self?.post(.notice(notice)) },
            contested: { [weak self] id in self?.post(.contested(mediaSessionID: id)) })
    }

    /// This client for applications.
    var link: SessionLink {
        SessionLink(
            info: info,
            send: { [weak self] text in self?.post(.frame(text)) },
            presence: { [weak self] in await self?.presence() ?? .gone },
            drop: { [weak self] reason in self?.post(.drop(reason)) })
    }

    /// Pings the client and waits a second for a sign of life.
    private nonisolated func presence() async -> SessionPresence {
        let asked = NIODeadline.now()
        connection.perform { $0.ping(1) }
        for _ in 0..<20 {
            guard let last = await connection.lastReceived() else { return .gone }
            if last >= asked { return .present }
            try? await Task.sleep(for: .milliseconds(50))
        }
        return .silent
    }
}

extension RTMPServerSession.Event {
    /// About how many bytes of memory it takes.
    fileprivate var footprint: Int {
        func bytes(_ parameters: [String: String]) -> Int { parameters.reduce(256) { $0 + 96 + $1.key.utf8.count + $1.value.utf8.count } }
        return switch self {
        case .connect(let request): bytes(request.parameters)
        case .publish(let request), .play(let request): request.name.utf8.count + bytes(request.parameters)
        case .call(let call): call.arguments.reduce(256 + call.name.utf8.count) { $0 + $1.footprint }
        default: 256
        }
    }
}
