// SPDX-License-Identifier: Apache-2.0
// The composition: from settings to running services, and back down in the right order. Everything the server consists
// of is made here and nowhere else; `martlet run` calls it.
import Bridges
import Clocks
import Foundation
import Logging
import MediaIO
import Primitives
import NIOSSL
import Recording
import ServiceLifecycle
import UnixSignals

/// A whole server. Runs once.
public struct Server: Sendable {
    private let loaded: LoadedSettings
    private let onReady: @Sendable ([ListenerKind: Int]) -> Void
    private let logger = Logger(label: "martlet")

    /// - Parameter onReady: told once, when all listeners are open, with their ports; those that are off are absent.
    public init(_ loaded: LoadedSettings, onReady: @escaping @Sendable ([ListenerKind: Int]) -> Void = { _ in }) {
        self.loaded = loaded
        self.onReady = onReady
    }

    /// Opens the doors and serves until SIGTERM or SIGINT, or until the task is cancelled; then tells players, closes
    /// sockets and returns within five seconds.
    /// - Throws: `StartError` with sentences for the person who starts it.
    public func run() async throws {
        FileLimit.raise()
        do {
            for remark in loaded.remarks {
                logger.log(level: remark.kind == .warning ? .warning : .notice, "\(remark.text)")
            }
            try await runServices()
        } catch let error as SettingsError {
            throw StartError(error.problems)
        } catch let error as ListenerError {
            throw StartError([error.description])
        }
    }

    // MARK: Composition

    private func runServices() async throws {
        var settings = loaded.settings
        settings.publicAddresses = try Self.resolved(settings.publicAddresses)
        if settings.mediaOverTCPOnly, !settings.mediaOverTCP {
            throw SettingsError(problems: ["ice_tcp_transport=true wants TCP only, ice_tcp=false wants none: set one of them otherwise"])
        }
        try Self.makeFolder(settings.stateDirectory)
        let tls = try tlsConfiguration(settings)
        try Self.checkAuthorities(settings)
        let pages = try pages(settings)
        let (recordFolder, recordLock) = try Self.records(settings)
        defer { withExtendedLifetime(recordLock) {} }
        let records = try StaticFiles(root: recordFolder, below: "/client/records")
        let authentication = settings.restAuthDisabled ? nil : try BasicAuthentication(file: settings.restUsersFile)

        // What is held for remotes; whoever buffers takes from it.
        let memory = settings.makeMemoryBudget()

        // Media.
        let engine = try Self.makeEngine(settings, memory: memory)
        let recordings = StreamRecordings.make(settings, engine: engine)
        let bridges = BridgeService.make(settings, engine: engine)
        let streams = StreamRegistry(
            engine: engine, nodeID: Identifier.uuid(), maximumStreams: settings.maximumStreams,
            maximumStreamsPerAddress: settings.maximumStreamsPerAddress, recorder: recordings,
            doors: StreamDoors(taps: engine, bridges: bridges, refusesReordered: settings.refusesReordered),
            logger: Logger(label: "martlet.streams"))

        // Links to other servers.
        var agentSettings = AgentSettings(settings)
        agentSettings.memory = memory
        let agents = AgentRegistry(registry: streams, settings: agentSettings, logger: Logger(label: "martlet.agents"))

        // Cameras, and players that speak RTSP.
        let pulls = RTSPPulls(
            registry: streams, settings: RTSPPullSettings(settings, memory: memory), maximum: settings.maximumAgents, logger: Logger(label: "martlet.rtsp"))
        await streams.add(pulls)

        // Pictures of what is on air.
        let snapshots = StreamSnapshots.make(settings, streams: streams, engine: engine)

        // Rooms, and signalling with them behind it.
        let roomRecordings = RoomRecordings(recordings: recordings, streams: streams, logger: Logger(label: "martlet.recording"))
        let rooms = RoomService(
            limits: RoomLimits(settings), streams: streams, onLife: { roomRecordings.note($0) }, logger: Logger(label: "martlet.rooms"))
        let speakers = RoomSpeakers(rooms: rooms, streams: streams, logger: Logger(label: "martlet.rooms"))
        // Streams begun from one address, by whichever door: each costs a handshake.
        let streamRate = SourceRateLimiter(
            rate: Double(settings.maximumSessionRate), burst: Double(settings.maximumSessionRate * 4), now: MonotonicClock.now)
        let signalling = WebSocketService(
            configuration: try Self.signallingConfiguration(settings, tls: tls, memory: memory), registry: streams, application: rooms,
            snapshots: snapshots, streamRate: streamRate, logger: Logger(label: "martlet.signalling"))

        // Publishing and playing by HTTP.
        let whip = WHIPService(
            streams: streams, engine: engine, membersOnly: settings.roomMembersOnly, memory: memory, logger: Logger(label: "martlet.whip"))

        // RTMP: encoders, players, room clients; and streams to and from other RTMP servers.
        let listeners = ListenerRegistry()
        let rtmpSettings = RTMPSettings(settings)
        let rtmp = RTMPService(
            settings: rtmpSettings, tls: try rtmpSettings.securePort == nil ? nil : tls.map { try NIOSSLContext(configuration: $0) },
            streams: streams, application: rooms, listeners: listeners, clients: signalling.sessions, streamRate: streamRate,
            memory: memory, logger: Logger(label: "martlet.rtmp"))
        let relays = RTMPRelays(
            streams: streams, settings: RTMPRelay.Settings(settings), maximum: settings.maximumAgents, logger: Logger(label: "martlet.rtmp"))
        await streams.setRepublisher { name, url in Task { await relays.republish(name, to: url) } }
        let rtsp = RTSPServer.make(settings, streams: streams, listeners: listeners, memory: memory)

        // REST, statistics, pages.
        let routes = Self.routes(
            listeners: listeners, sessions: signalling.sessions, streams: streams, agents: agents, rooms: rooms,
            snapshots: snapshots, recordings: recordings, relays: relays, pulls: pulls)
        let connections = HTTPConnections(limits: HTTPLimits(settings), memory: memory)
        let responder = WebResponder(
            router: RESTRouter(
                routes: routes,
                downloads: [
                    SnapshotRoutes(snapshots: snapshots).download, RecordingRoutes(streams: streams, recordings: recordings).thumbnails,
                ],
                logger: Logger(label: "martlet.rest")),
            statistics: StatPage(sources: [
                ServerStatistics(sessions: signalling.sessions, streams: streams, agents: agents, engine: engine, streamRate: streamRate),
                SnapshotStatistics(snapshots: snapshots), RecordingStatistics(recordings: recordings),
                RTMPStatistics(service: rtmp, relays: relays),
                WHIPStatistics(service: whip), DoorStatistics(rtsp: rtsp, pulls: pulls, bridges: bridges), ProcessStatistics(version: Version.current),
                MemoryStatistics(budget: memory), connections,
            ]),
            whip: WHIPResponder(
                service: whip, authorizer: OpenWHIPAuthorizer(), limiter: streamRate, allowedOrigin: settings.accessControlAllowOrigin,
                iceServers: settings.iceServers.compactMap { ICEServerLink($0)?.headerValue }, logger: Logger(label: "martlet.whip")),
            pages: pages, records: records, crossOriginHeaders: CrossOriginHeaders.make(from: settings), authentication: authentication,
            logger: Logger(label: "martlet.web"))
        let web: [HTTPListener] = try [
            (ListenerKind.http, settings.httpPort, nil), (.https, settings.httpsPort, tls),
        ].compactMap { kind, port, tls in
            guard port >= 0 else { return nil }
            return HTTPListener(
                kind: kind, host: settings.bindHost, port: port, tls: try tls.map { try NIOSSLContext(configuration: $0) }, responder: responder,
                registry: listeners, connections: connections, logger: Logger(label: "martlet.web"))
        }
        let announcer = StartAnnouncer(
            settings: settings, signalling: signalling, listeners: listeners, web: Set(web.map(\.kind) + (rtsp == nil ? [] : [.rtsp]) + rtmpSettings.listeners),
            candidates: engine.candidateAddresses, tcpCandidates: engine.tcpCandidateAddresses, logger: logger, onReady: onReady)

        // Shut down from the last to the first: sessions say goodbye while REST and media still work, media stops last.
        let end = EndOfService()
        let gallery = SnapshotGallery(settings, snapshots: snapshots, logger: Logger(label: "martlet.gallery"))
        let services: [any Service] = [MediaService(engine: engine, end: end)] + web + [agents, pulls, relays, signalling, rtmp, speakers] + (rtsp.map { [$0] } ?? []) + (gallery.map { [$0] } ?? [])
            + [announcer]
        // What a crash has left is finished while the server runs already.
        recordings.groupHook?.resume()
        let repair = Task { await recordings.service.repair() }
        let roomRecorder = Task { await roomRecordings.run() }
        let stopTeller = Task { for await (id, reason) in recordings.stops { await streams.tellRecordingStopped(id, reason) } }
        // However it ends, nothing stays behind.
        func cleanUp() async {
            repair.cancel()
            roomRecorder.cancel()
            stopTeller.cancel()
            await snapshots.service.shutdown()
            await recordings.service.shutdown()
            await bridges.shutdown()
            await streams.letHelpersGo()
        }
        do {
            try await Self.run(services, until: end)
        } catch {
            await cleanUp()
            throw error
        }
        await cleanUp()
        logger.info("Stopped")
    }

    /// Every REST method of the server.
    static func routes(
        listeners: ListenerRegistry, sessions: SessionRegistry, streams: StreamRegistry, agents: AgentRegistry,
        rooms: RoomService, snapshots: StreamSnapshots, recordings: StreamRecordings, relays: RTMPRelays, pulls: RTSPPulls
    ) -> [RESTRoute] {
        let providers: [any RESTRouteProvider] = [
            ServerRoutes(listeners: listeners), StreamRoutes(streams: streams), ConnectionRoutes(sessions: sessions),
            PullRoutes(agents: agents, relays: relays), RTMPRelayRoutes(relays: relays), RTSPRoutes(pulls: pulls), RoomRoutes(rooms: rooms, streams: streams),
            SnapshotRoutes(snapshots: snapshots), RecordingRoutes(streams: streams, recordings: recordings),
            MultipleRecorderRoutes(streams: streams, recordings: recordings),
        ]
        return providers.flatMap(\.restRoutes)
    }

    private static func run(_ services: [any Service], until end: EndOfService) async throws {
        // The service group speaks of its own inner life at info; what matters is said by the services.
        var quiet = Logger(label: "martlet.lifecycle")
        quiet.logLevel = max(quiet.logLevel, .error)
        var configuration = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet)
        // Whoever still holds a connection then is cut off; the process has to be gone within five seconds.
        configuration.maximumGracefulShutdownDuration = .seconds(3)
        do {
            try await ServiceGroup(configuration: configuration).run()
        } catch where end.hasBegun {
            // Services that were cut off may say so by an error; the end was asked for all the same.
        }
    }

    // MARK: Parts

    /// Host names into addresses, so that candidates hold addresses only.
    private static func resolved(_ hosts: [String]) throws(SettingsError) -> [String] {
        var addresses: [String] = []
        for host in hosts {
            let found = NetworkAddress.resolve(host)
            guard !found.isEmpty else { throw SettingsError(problems: ["ip: the host name \(host) has no address"]) }
            addresses += found.filter { !addresses.contains($0) }
        }
        return addresses
    }

    private static func makeFolder(_ path: String) throws(SettingsError) {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw SettingsError(problems: ["state_dir: the folder \(path) can't be made: \(error.localizedDescription)"])
        }
    }

    private func tlsConfiguration(_ settings: Settings) throws(SettingsError) -> TLSConfiguration? {
        guard settings.secureWebsocketPort >= 0 || settings.httpsPort >= 0 || settings.rtmpsPort >= 0 else { return nil }
        return try TLSIdentity.load(settings: settings, logger: logger).serverConfiguration
    }

    /// Better at the start than at the first push.
    private static func checkAuthorities(_ settings: Settings) throws(SettingsError) {
        guard !settings.agentCAFile.isEmpty else { return }
        do {
            guard try !NIOSSLCertificate.fromPEMFile(settings.agentCAFile).isEmpty else {
                throw NIOSSLError.failedToLoadCertificate
            }
        } catch {
            throw SettingsError(problems: ["wcs_agent_ca_file: \(settings.agentCAFile) can't be read as PEM certificates: \(error)"])
        }
    }

    private func pages(_ settings: Settings) throws(SettingsError) -> StaticFiles? {
        guard let root = WebRoot.locate(setting: settings.webRoot) else {
            logger.notice("There are no pages to serve: no folder Web was found; web_root can name one")
            return nil
        }
        logger.debug("Serving pages", metadata: ["folder": "\(root)"])
        return try StaticFiles(root: root)
    }

    private static func records(_ settings: Settings) throws -> (folder: String, lock: RecordFolderLock?) {
        let folder = StreamRecordings.folder(settings)
        do { try RecordFolder(path: folder).prepare() } catch {
            throw SettingsError(problems: ["record_folder: the folder \(folder) can't be made: \(error.localizedDescription)"])
        }
        do throws(RecordFolder.Taken) {
            let lock = try RecordFolder(path: folder).lock()
            return (folder, lock)
        } catch {
            throw StartError([
                "record_folder: another server records into \(folder), and would lose what it records; give each a state_dir, or a record_folder, of its own",
            ])
        }
    }

    private static func makeEngine(_ settings: Settings, memory: MemoryBudget) throws -> ReactorEngine {
        do {
            var configuration = settings.mediaEngineConfiguration(announcedAddresses: settings.publicAddresses)
            configuration.memory = memory
            return try ReactorEngine(configuration: configuration)
        } catch let error as SystemError {
            throw StartError([mediaPortProblem(error, settings)])
        } catch EngineError.limit(let sentence) {
            throw StartError([sentence])
        }
    }

    private static func mediaPortProblem(_ error: SystemError, _ settings: Settings) -> String {
        guard error.code == EADDRINUSE else {
            return "media_port_from: the media ports from \(settings.mediaPortFrom) can't be opened: \(error)"
        }
        return "media_port_from: could not \(error.call), which is in use by another program; stop that one (`ss -lunpt` names it) or set "
            + "media_port_from and media_port_to to free ports (media_port_from=0: any)"
    }

    private static func signallingConfiguration(_ settings: Settings, tls: TLSConfiguration?, memory: MemoryBudget) throws -> WebSocketServiceConfiguration {
        var configuration = WebSocketServiceConfiguration()
        configuration.memory = memory
        configuration.host = settings.bindHost
        configuration.port = settings.websocketPort >= 0 ? settings.websocketPort : nil
        configuration.securePort = settings.secureWebsocketPort >= 0 ? settings.secureWebsocketPort : nil
        configuration.tls = try configuration.securePort == nil ? nil : tls.map { try NIOSSLContext(configuration: $0) }
        configuration.limits = SessionLimits(settings)
        configuration.serverVersion = "martlet/\(Version.current)"
        return configuration
    }
}
