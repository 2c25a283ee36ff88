// SPDX-License-Identifier: Apache-2.0
// One stream fetched from an RTSP server: published, filled over one connection after another, kept while the camera is away. Made and run by
// RTSPPulls; RTSPPullLife decides, RTSPLink is one connection.
import Clocks
import Logging
import MediaIO
import Primitives
import RTSP
import SDP
import Signalling

struct RTSPPullSettings: Sendable {
    var usesUDP = false
    var connectTimeout = Duration.seconds(5)
    /// No packet for this long: the link is broken.
    var activityTimeout = Duration.seconds(10)
    /// A stream that nobody plays any more, begun by the first who did, ends after this.
    var idleTimeout = Duration.seconds(10)
    /// A broken link is given up after this long; zero: never.
    var longestGap = Duration.zero
    /// Own address for outgoing connections; empty = the system's choice.
    var clientAddress = ""
    var isByName = true
    /// What is fetched is recorded.
    var recordsStreams = false
    /// What cameras' messages count in.
    var memory = MemoryBudget.unlimited
}

actor RTSPPull {
    nonisolated let uri: String
    nonisolated let name: String
    private let settings: RTSPPullSettings
    private let registry: StreamRegistry
    private let logger: Logger
    private let address: RTSPAddress
    private static let maximumRedirects = 4
    private var life: RTSPPullLife
    private var habits = RTSPClientSession.Habits()
    /// The stream's; another one after what the camera sent has ended it.
    private var mediaSessionID = Identifier.uuid()
    /// The registry has a stream of that media session.
    private var isOpen = false
    private var local: (any LocalSource)?
    private var formats: [TrackFormat] = []
    private var link: RTSPLink?
    private var pause: Task<Void, any Error>?
    private var outcome: Result<Void, RTSPPullEnd>?
    private var waiters: [CheckedContinuation<Result<Void, RTSPPullEnd>, Never>] = []

    /// - Parameter isOnDemand: begun by a player who asked for the address.
    init(uri: String, address: RTSPAddress, name: String, isOnDemand: Bool, settings: RTSPPullSettings, registry: StreamRegistry, logger: Logger) {
        self.uri = uri
        self.address = address
        self.name = name
        self.settings = settings
        self.registry = registry
        life = RTSPPullLife(
            longestGap: settings.longestGap == .zero ? nil : TimeSpan(settings.longestGap),
            idleTimeout: isOnDemand ? TimeSpan(settings.idleTimeout) : nil)
        var logger = logger
        logger[metadataKey: "camera"] = "\(address)"
        self.logger = logger
    }

    private var ownerID: String { "/rtsp/pull/\(mediaSessionID)" }
    private var owner: StreamOwner {
        StreamOwner(id: ownerID, appKey: "defaultApp") { [weak self, mediaSessionID] notice in
            if case .ended(_, let reason) = notice { Task { await self?.streamEnded(mediaSessionID, reason) } }
        }
    }

    nonisolated var shownURI: String { RTSPAddress(uri)?.description ?? uri }
    var status: RTSPPullLife.Status { life.status }
    var reconnects: Int { life.reconnects }

    /// Returns when the first attempt has come to something.
    func firstOutcome() async -> Result<Void, RTSPPullEnd> {
        if let outcome { return outcome }
        return await withCheckedContinuation { waiters.append($0) }
    }

    private func settle(_ result: Result<Void, RTSPPullEnd>) {
        guard outcome == nil else { return }
        outcome = result
        for waiter in waiters { waiter.resume(returning: result) }
        waiters = []
    }

    func terminate() async { await end(.terminated) }

    private func end(_ reason: RTSPPullEnd) async {
        life.end(reason)
        pause?.cancel()
        await link?.close(reason)
        // A camera that is being called isn't given up at once; the name is free all the same.
        await registry.end(mediaSessionID, ownerID: ownerID, reason == .idle ? .user : .rtspEnded)
    }

    /// Somebody has ended the stream itself; one that was given up for another doesn't count. A stream that failed by what the camera sent
    /// is still wanted: the camera is called again.
    private func streamEnded(_ id: String, _ reason: StreamEnd) async {
        guard id == mediaSessionID else { return }
        guard case .failed = reason, life.status != .new else { return await terminate() }
        (isOpen, local, mediaSessionID) = (false, nil, Identifier.uuid())
        await link?.close(.silent("its stream failed"))
    }

    // MARK: life

    /// Until it is ended; returns why.
    func run() async -> RTSPPullEnd {
        do throws(StreamRefusal) { try await openStream() } catch {
            settle(.failure(.local(error)))
            return .local(error)
        }
        let watcher = Task { await watchAudience() }
        let end = await live()
        watcher.cancel()
        life.end(end)
        settle(.failure(end))
        logger.info("RTSP pull ended", metadata: ["reason": "\(end.reason)"])
        await registry.end(mediaSessionID, ownerID: ownerID, end == .idle ? .user : .rtspEnded)
        return end
    }

    private func openStream() async throws(StreamRefusal) {
        var request = SourceRequest(name: name, mediaProvider: "RTSP")
        request.mediaSessionID = mediaSessionID
        request.record = settings.recordsStreams
        _ = try await registry.openSource(request, owner: owner)
        isOpen = true
    }

    private func live() async -> RTSPPullEnd {
        while true {
            if let ending = life.ending { return ending }
            let (end, media) = await attempt()
            let wasPlaying = life.status == .playing
            switch life.linkEnded(end, media: media, at: MonotonicClock.now()) {
            case .end(let end): return end
            case .callAgain(let wait):
                if wasPlaying { logger.notice("the link to a camera is broken, reconnecting", metadata: ["reason": "\(end.reason)"]) }
                let pause = Task { try await Task.sleep(for: wait.duration) }
                self.pause = pause
                _ = await pause.result
                self.pause = nil
            }
        }
    }

    /// Ends a stream that was begun for a player, some time after the last one.
    private func watchAudience() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(500))
            if Task.isCancelled { return }
            let players = await registry.playerCount(ofStream: name)
            if life.note(players: players, at: MonotonicClock.now()) { return await end(.idle) }
        }
    }

    // MARK: one connection

    /// One connection, or some in a row when the stream is elsewhere or is to come another way; always by the address that was given, which
    /// may lead elsewhere next time.
    private func attempt() async -> (RTSPPullEnd, media: TimeSpan?) {
        var target = address, media: TimeSpan?, hasSwitched = false
        for _ in 0..<Self.maximumRedirects {
            guard !target.isSecure else { return (.unreachable("rtsps:// is not possible"), media) }
            let link = RTSPLink(target, habits: habits, settings: settings, logger: logger) { [weak self] tracks in
                await self?.begin(tracks) ?? .failure(.terminated)
            }
            self.link = link
            if let ending = life.ending { return (ending, media) }
            let end = await link.run()
            self.link = nil
            habits = await link.habits
            media = await link.media ?? media
            if case .client(.refused(status: 461, _)) = end, let usesUDP = habits.usesUDP, !hasSwitched, life.ending == nil {
                hasSwitched = true
                logger.info("a camera refuses the transport, the other one is tried", metadata: ["transport": "\(usesUDP ? "UDP" : "TCP")"])
                continue
            }
            guard case .client(.redirected(let location)) = end, life.ending == nil, var next = RTSPAddress(location) else { return (end, media) }
            // A login is for the host that it was given for.
            if next.user == nil, next.host == target.host { (next.user, next.password) = (target.user, target.password) }
            logger.info("the stream is somewhere else", metadata: ["address": "\(next)"])
            target = next
        }
        return (.client(.redirected(target.description)), media)
    }

    /// The stream begins, or goes on.
    private func begin(_ found: [RTSPTrack]) async -> Result<RTSPInlet, RTSPPullEnd> {
        let completed = found.map(RTSPInlet.completed)
        if let local {
            life.plays()
            // Whatever its numbers are, nothing of what it sends belongs behind what it sent before.
            local.restart()
            if let targets = RTSPInlet.targets(of: completed, in: formats) {
                logger.info("a camera is back")
                return .success(RTSPInlet(into: local, found: found, targets: targets, formats: formats))
            }
            logger.notice(
                "a camera is back with other tracks", metadata: ["before": "\(Self.names(formats))", "now": "\(Self.names(completed))"])
            local.setTracks(completed)
            formats = completed
            return .success(RTSPInlet(into: local, found: found, targets: Array(completed.indices), formats: completed))
        }
        do throws(StreamRefusal) {
            if !isOpen { try await openStream() }
            let local = try await registry.startSource(mediaSessionID, ownerID: ownerID, formats: completed)
            (self.local, formats) = (local, completed)
            life.plays()
            settle(.success(()))
            return .success(RTSPInlet(into: local, found: found, targets: Array(completed.indices), formats: completed))
        } catch {
            return .failure(.local(error))
        }
    }

    private static func names(_ formats: [TrackFormat]) -> String {
        formats.map { "\($0.codec.name)/\($0.codec.clockRate)" }.joined(separator: ",")
    }
}
