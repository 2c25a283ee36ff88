// SPDX-License-Identifier: Apache-2.0
// One client connection: its commands, what it is told, its keep-alive. Everything that concerns it goes through one mailbox
// and is handled one after the other. Made by WebSocketService, which runs it; owns nothing but its place in the registries.
import Clocks
import Logging
import MediaIO
import NIOWebSocket
import Primitives
import Signalling

actor Session {
    /// What arrives for a session.
    enum Input: Sendable {
        case text(String)
        /// Boxed: it is large, and the mailbox keeps room for as many inputs as ever waited in it.
        indirect case notice(StreamNotice)
        /// A message for the client, ready to be sent.
        case frame(String)
        /// One keep-alive interval has passed.
        case keepAliveDue
        /// The time for `connection` is over.
        case connectionDue
        /// Somebody wants to know whether the client is still there, once everything before this has been handled.
        case probe(PresenceProbe)
        /// REST wants it gone.
        case terminate
        /// Some part of the server wants it gone, for the reason given.
        case drop(String)
        /// The server stops.
        case shutdown
        case closed(String)
    }

    enum State: Equatable {
        case connected
        case established
        /// Nothing is taken any more; the socket is being closed or gone.
        case closing
    }

    nonisolated let id: String
    nonisolated let isSecure: Bool
    let channel: any MessageChannel
    let registry: StreamRegistry
    let application: any SessionApplication
    let limits: SessionLimits
    let serverVersion: String
    /// `nil`: this server takes none.
    let snapshots: StreamSnapshots?
    /// Bounds the streams begun from one address; `nil`: without bound.
    let streamRate: SourceRateLimiter?
    /// Bounds the bug reports that go into the log from one address; `nil`: without bound.
    let bugReports: SourceRateLimiter?
    let memory: MemoryBudget
    /// Peer connections that were begun and are not connected, by media session.
    var handshakes: [String: MemoryAccount] = [:]
    /// What the client has said of itself.
    private var introduction: MemoryAccount?
    /// That may take so many bytes.
    private static let maximumIntroduction = 262_144
    /// Stream events that it may still send.
    var events = StreamEventAllowance()
    /// Snapshots asked for and not answered yet.
    var snapshotsInHand = 0
    private(set) var state = State.connected
    private(set) var info: SessionInfo
    var logger: Logger
    /// Keep-alive pings in a row without an answer.
    private(set) var unansweredPings = 0
    private var pings = PingCounter()
    private let onInfoChange: @Sendable (SessionInfo) -> Void
    private nonisolated let mailbox: AsyncStream<Input>
    private nonisolated let sink: AsyncStream<Input>.Continuation

    init(
        channel: any MessageChannel, isSecure: Bool = false, registry: StreamRegistry,
        application: any SessionApplication = AcceptingApplication(), limits: SessionLimits, serverVersion: String,
        snapshots: StreamSnapshots? = nil, streamRate: SourceRateLimiter? = nil, bugReports: SourceRateLimiter? = nil, memory: MemoryBudget = .unlimited,
        uuid: String, createDate: Int64 = WallClock.now().milliseconds, logger: Logger,
        onInfoChange: @escaping @Sendable (SessionInfo) -> Void = { _ in }
    ) {
        id = "/\(channel.remoteAddress)/\(channel.localAddress)-\(uuid)"
        self.isSecure = isSecure
        self.channel = channel
        self.registry = registry
        self.application = application
        self.limits = limits
        self.serverVersion = serverVersion
        self.snapshots = snapshots
        self.streamRate = streamRate
        self.bugReports = bugReports
        self.memory = memory
        self.onInfoChange = onInfoChange
        info = SessionInfo(id: id, remoteAddress: channel.remoteAddress, transport: isSecure ? .wss : .ws, createDate: createDate)
        var logger = logger
        logger[metadataKey: "session"] = "\(id)"
        self.logger = logger
        (mailbox, sink) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(limits.maximumWaitingNotices))
    }

    /// Puts something into the mailbox. Any thread; never blocks. A session that can't keep up is dropped.
    nonisolated func post(_ input: Input) {
        switch sink.yield(input) {
        case .dropped:
            channel.close(code: .policyViolation, reason: "too many messages are waiting")
            if case .closed = input { sink.finish() }
        case .terminated:
            if case .probe(let probe) = input { probe.resolve(.gone) }
        default: break
        }
    }

    /// Handles the mailbox until the socket is gone, then ends everything the session owns.
    func run() async {
        onInfoChange(info)
        logger.debug("session opened", metadata: ["peer": "\(channel.remoteAddress)"])
        for await input in mailbox {
            await handle(input)
            if case .closed = input { break }
        }
        sink.finish()
        // Also when the task was cancelled, in which case nobody has closed the socket yet.
        close(.goingAway, "the session is over")
        pings.giveUp()
        for await case .probe(let probe) in mailbox { probe.resolve(.gone) }
        introduction?.close()
        await registry.endAll(ofOwner: id)
        if info.connection != nil { await application.sessionEnded(link) }
    }

    /// Ends `run` once what is in the mailbox has been handled; for tests and for sockets that never say that they closed.
    nonisolated func finish() { sink.finish() }

    private func handle(_ input: Input) async {
        guard !handleAtOnce(input) else { return }
        // A task gives its memory back only when it ends, and a session lives long: what handling an offer needs goes with a task of its own.
        await Task { await work(on: input) }.value
    }

    /// The inputs that nobody else has to be waited for; false for the others. Never inlined: what a suspended function might need
    /// is kept on the heap for as long as it waits, for every session.
    @inline(never)
    private func handleAtOnce(_ input: Input) -> Bool {
        switch input {
        case .text, .notice(.started), .notice(.ended), .terminate: return false
        case .notice(.event(let event)): send(.streamEvent(event))
        case .notice(.notEnoughBandwidth(let record, let info)):
            var status = record.statusMessage(info: info)
            status.status = StreamStatus.notEnoughBandwidth.rawValue
            send(.streamStatus(status))
        case .notice(.rate(let rate, let isPublisher)): channel.send(rate.serialized(isInbound: isPublisher))
        case .notice(.recorded(let record, let reason)): send(.streamStatus(record.statusMessage(info: reason.info.rawValue)))
        case .notice(.linkLost), .notice(.tracksChanged): break  // only agents and sinks are told
        case .frame(let text): channel.send(text)
        case .probe(let probe): begin(probe)
        case .keepAliveDue: keepAlive()
        case .connectionDue:
            if state == .connected { close(.policyViolation, "no \"connection\" message came in time") }
        case .drop(let reason):
            logger.info("session dropped", metadata: ["reason": "\(reason)"])
            close(.policyViolation, reason)
        case .shutdown: close(.goingAway, "the server stops")
        case .closed(let reason):
            logger.info("session closed", metadata: ["reason": "\(reason)"])
        }
        return true
    }

    /// The inputs that others have to be waited for.
    private func work(on input: Input) async {
        switch input {
        case .text(let text):
            Breadcrumb.begin(.webSocket, of: channel.remoteAddress)
            defer { Breadcrumb.end() }
            await receive(text)
            channel.messageProcessed()
        case .notice(.started(let record)):
            handshakes[record.mediaSessionID] = nil
            send(.streamStatus(record.statusMessage()))
            if await !application.mediaStarted(record, of: link) { await registry.end(record.mediaSessionID, ownerID: id, .restricted) }
        case .notice(.ended(let record, let reason)):
            handshakes[record.mediaSessionID] = nil
            // Everybody else learns it at once; the owner of a recorded stream when the file is complete.
            if !record.awaitsRecord {
                var message = record.statusMessage(info: reason.info.rawValue)
                message.explanation = reason.explanation
                send(.streamStatus(message))
            }
            await application.mediaEnded(record, reason, of: link)
        case .terminate:
            logger.info("session terminated by REST")
            await registry.endAll(ofOwner: id)
            close(.goingAway, "terminated")
        default: break
        }
    }

    private func receive(_ text: String) async {
        guard state != .closing else { return }
        let envelope: Envelope
        do {
            envelope = try Envelope(parsing: text)
        } catch {
            logger.debug("unreadable message", metadata: ["reason": "\(error)"])
            return
        }
        await handle(ClientMessage(envelope))
    }

    // MARK: Life

    /// `connection`: the client introduces itself.
    func establish(_ request: ConnectionRequest) {
        // A second introduction changes nothing; the first one is what streams and rooms were begun with.
        guard state == .connected else { return }
        if limits.requiresSecureAgents, !isSecure, request.isAgent {
            send(.fail(FailMessage(info: "This server takes agents over wss only (wcs_agent_ssl=true)")))
            close(.policyViolation, "agents must use wss (wcs_agent_ssl=true)")
            return
        }
        let size = JSONValue.object(request.object).footprint
        let account = memory.account(for: AddressKey(info.remoteAddress)) { [weak self] refusal in self?.post(.drop("\(refusal)")) }
        introduction = account
        let refusal = size > Self.maximumIntroduction ? "\"connection\" says more than a server keeps" : account.set(size).map { "\($0)" }
        if let refusal {
            send(.fail(FailMessage(info: refusal)))
            return close(.policyViolation, refusal)
        }
        state = .established
        info.connection = request
        // It is for the answer only.
        info.connection?.object = [:]
        onInfoChange(info)
        if let login = request.login { logger[metadataKey: "login"] = "\(login)" }
        logger.info(
            "session established",
            metadata: ["app": "\(request.appKey)", "client": "\(request.clientVersion)", "agent": "\(request.clientBrowserVersion)"])
        var random = SystemRandomNumberGenerator()
        send(.userData(request.userData(authToken: Identifier.uuid(using: &random))))
        send(.version(serverVersion))
    }

    func receivedPong() {
        unansweredPings = 0
        pings.receivedPong()
    }

    private func keepAlive() {
        guard state != .closing else { return }
        guard unansweredPings < limits.keepAliveProbes else {
            close(.goingAway, StreamStatusInfo.keepAliveTerminated.rawValue)
            return
        }
        unansweredPings += 1
        pings.sentPing()
        send(.ping)
    }

    /// A ping of its own: when its pong comes, whatever the client had sent before has been handled too.
    private func begin(_ probe: PresenceProbe) {
        guard state != .closing else { return probe.resolve(.gone) }
        pings.sentPing(for: probe)
        send(.ping)
    }

    private func close(_ code: WebSocketErrorCode, _ reason: String) {
        guard state != .closing else { return }
        state = .closing
        channel.close(code: code, reason: reason)
    }

    func send(_ message: ServerMessage) { channel.send(message.envelope.serialized()) }

    /// The owner of this session's streams, as the registry knows it.
    var owner: StreamOwner {
        StreamOwner(
            id: id, appKey: info.appKey, login: info.login ?? "", address: AddressKey(info.remoteAddress),
            deliver: { [weak self] notice in self?.post(.notice(notice)) })
    }
}
