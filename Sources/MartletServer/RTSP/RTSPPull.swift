// One stream fetched from an RTSP server: connected, filled, brought back when the link breaks. Made and run by RTSPPulls.
import Foundation
import Logging
import MediaIO
import NIOCore
import NIOPosix
import Primitives
import RTP
import RTSP
import SDP
import Signalling
import Synchronization

struct RTSPPullSettings: Sendable {
    var usesUDP = false
    var connectTimeout = Duration.seconds(5)
    /// No packet for this long: the link is broken.
    var activityTimeout = Duration.seconds(10)
    /// A stream that nobody plays any more, begun by the first who did, ends after this.
    var idleTimeout = Duration.seconds(10)
    /// A broken link is given up after this long.
    var longestGap = Duration.seconds(600)
    /// Own address for outgoing connections; empty = the system's choice.
    var clientAddress = ""
    var isByName = true
    /// What is fetched is recorded.
    var recordsStreams = false
}

/// Why a pull, or an attempt, ended.
enum RTSPPullEnd: Error, Sendable, Equatable {
    case unreachable(String)
    case silent
    case client(RTSPClientFailure)
    case malformed(String)
    case local(StreamRefusal)
    case terminated, idle

    var info: StreamStatusInfo {
        switch self {
        case .unreachable, .silent, .client(.unauthorized), .client(.refused), .client(.redirected): .rtspConnectFailed
        case .client(.notFound): .rtspNotFound
        case .client(.noUsableCodec), .client(.badDescription), .malformed: .rtspWrongFormat
        case .local(.refused(let info, _)): info
        case .local(.alreadyEnded), .terminated, .idle: .rtspAgentShutdown
        }
    }

    var reason: String {
        switch self {
        case .unreachable(let reason): "the server can't be reached: \(reason)"
        case .silent: "the server sends no media"
        case .client(let failure): "\(failure)"
        case .malformed(let reason): reason
        case .local(.refused(_, let reason)): reason
        case .local(.alreadyEnded), .terminated: "the stream has been ended"
        case .idle: "nobody plays it any more"
        }
    }

    /// Trying again may help: cameras restart.
    var isWorthRetrying: Bool {
        switch self {
        case .unreachable, .silent, .client(.refused), .client(.notFound), .malformed: true
        case .client, .local, .terminated, .idle: false
        }
    }
}

actor RTSPPull {
    enum Status: String, Sendable { case new = "NEW", playing = "PLAYING", reconnecting = "RECONNECTING" }

    nonisolated let uri: String
    nonisolated let name: String
    /// Begun by a player who asked for the address.
    nonisolated let isOnDemand: Bool
    nonisolated let mediaSessionID = Identifier.uuid()
    private let settings: RTSPPullSettings
    private let registry: StreamRegistry
    private let logger: Logger
    private var address: RTSPAddress
    private(set) var status = Status.new
    private var local: (any LocalSource)?
    private var formats: [TrackFormat] = []
    private var isOver = false
    private var outcome: Result<Void, RTSPPullEnd>?
    private var waiters: [CheckedContinuation<Result<Void, RTSPPullEnd>, Never>] = []
    private var lastPacket = ContinuousClock.now
    private var idleSince: ContinuousClock.Instant?
    private var breakLink: (@Sendable () -> Void)?
    private(set) var reconnects = 0

    init(uri: String, address: RTSPAddress, name: String, isOnDemand: Bool, settings: RTSPPullSettings, registry: StreamRegistry, logger: Logger) {
        self.uri = uri
        self.address = address
        self.name = name
        self.isOnDemand = isOnDemand
        self.settings = settings
        self.registry = registry
        var logger = logger
        logger[metadataKey: "camera"] = "\(address)"
        self.logger = logger
    }

    private var ownerID: String { "/rtsp/pull/\(mediaSessionID)" }
    private var owner: StreamOwner {
        StreamOwner(id: ownerID, appKey: "defaultApp") { [weak self] notice in
            if case .ended = notice { Task { await self?.terminate() } }
        }
    }

    nonisolated var shownURI: String { RTSPAddress(uri)?.description ?? uri }

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

    func terminate() {
        isOver = true
        breakLink?()
    }

    // MARK: life

    /// Until it is ended; returns why.
    func run() async -> RTSPPullEnd {
        do throws(StreamRefusal) {
            var request = SourceRequest(name: name, mediaProvider: "RTSP")
            request.mediaSessionID = mediaSessionID
            request.record = settings.recordsStreams
            _ = try await registry.openSource(request, owner: owner)
        } catch {
            settle(.failure(.local(error)))
            return .local(error)
        }
        let end = await live()
        settle(.failure(end))
        isOver = true
        logger.info("RTSP pull ended", metadata: ["reason": "\(end.reason)"])
        await registry.end(mediaSessionID, ownerID: ownerID, end == .idle ? .user : .rtspEnded)
        return end
    }

    private func live() async -> RTSPPullEnd {
        var pause = Duration.milliseconds(500), brokenSince: ContinuousClock.Instant?
        while true {
            let begun = ContinuousClock.now
            let end = await attempt()
            if isOver { return end == .idle ? .idle : .terminated }
            guard local != nil, end.isWorthRetrying else { return end }
            if status == .playing {
                brokenSince = .now
                pause = .milliseconds(500)
            } else if begun - (brokenSince ?? begun) > settings.longestGap {
                return end
            }
            if status != .reconnecting { logger.notice("the link to a camera is broken, reconnecting", metadata: ["reason": "\(end.reason)"]) }
            status = .reconnecting
            reconnects += 1
            try? await Task.sleep(for: pause)
            if await isIdle() { return .idle }
            if isOver { return .terminated }
            pause = min(pause * 2, .seconds(10))
        }
    }

    private func isIdle() async -> Bool {
        guard isOnDemand, await registry.playerCount(ofStream: name) == 0 else {
            idleSince = nil
            return false
        }
        let since = idleSince ?? .now
        idleSince = since
        return ContinuousClock.now - since >= settings.idleTimeout
    }

    // MARK: one connection

    private func attempt() async -> RTSPPullEnd {
        guard !address.isSecure else { return .unreachable("rtsps:// is not possible") }
        for _ in 0..<4 {
            let end = await connect()
            guard case .client(.redirected(let location)) = end else { return end }
            guard var next = RTSPAddress(location) else { return end }
            if next.user == nil { (next.user, next.password) = (address.user, address.password) }
            logger.info("the stream is somewhere else", metadata: ["address": "\(next)"])
            address = next
        }
        return .client(.redirected(address.description))
    }

    private func connect() async -> RTSPPullEnd {
        let channel: NIOAsyncChannel<ByteBuffer, ByteBuffer>
        do {
            var bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connectTimeout(.nanoseconds(Int64(settings.connectTimeout / .nanoseconds(1))))
                .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            if !settings.clientAddress.isEmpty { bootstrap = bootstrap.bind(to: try SocketAddress(ipAddress: settings.clientAddress, port: 0)) }
            channel = try await bootstrap.connect(host: address.host, port: address.port) { channel in
                channel.eventLoop.makeCompletedFuture { try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel) }
            }
        } catch {
            return .unreachable("\(error)".components(separatedBy: "\n")[0].prefix(200).description)
        }
        let raw = channel.channel
        breakLink = { raw.close(promise: nil) }
        if isOver { raw.close(promise: nil) }
        var ports: [RTPPortPair] = []
        // In the order in which they came; what nobody takes in time is lost, as it is in a network.
        let (datagrams, arrived) = AsyncStream<Datagram>.makeStream(bufferingPolicy: .bufferingNewest(4096))
        let reader = Task { for await one in datagrams { self.take(one.bytes, track: one.track, isReport: one.isReport) } }
        defer {
            arrived.finish()
            reader.cancel()
        }
        if settings.usesUDP, let remote = raw.remoteAddress?.ipAddress, let own = raw.localAddress?.ipAddress {
            for track in 0..<2 {
                let pair = try? await RTPPortPair.open(host: own, remote: remote, remotePort: 9) { bytes, isReport in
                    arrived.yield(Datagram(track: track, isReport: isReport, bytes: bytes))
                }
                if let pair { ports.append(pair) }
            }
        }
        lastPacket = .now
        var end = RTSPPullEnd.unreachable("the server closed the connection")
        let pairs = ports
        do {
            end = try await channel.executeThenClose { inbound, outbound in
                try await self.talk(inbound, outbound, pairs)
            }
        } catch let error as RTSPError {
            end = .malformed("\(error)")
        } catch let error as RTSPPullEnd {
            end = error
        } catch {
            end = .unreachable("\(error)".prefix(200).description)
        }
        for pair in ports { await pair.close() }
        breakLink = nil
        inserters = [:]
        if let linkEnd {
            self.linkEnd = nil
            return linkEnd
        }
        return end
    }

    private struct Datagram: Sendable {
        var track: Int
        var isReport: Bool
        var bytes: [UInt8]
    }

    /// Why the link was broken by ourselves.
    private var linkEnd: RTSPPullEnd?
    private var inserters: [Int: ParameterSetInserter] = [:]

    private func talk(
        _ inbound: NIOAsyncChannelInboundStream<ByteBuffer>, _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>, _ pairs: [RTPPortPair]
    ) async throws -> RTSPPullEnd {
        let talk = RTSPTalk(RTSPClientSession(
            address, ports: pairs.count == 2 ? pairs.map(\.port) : nil, clientNonce: Identifier.uuid().filter { $0 != "-" }))
        let watch = Task { await watchOver(talk, outbound, pairs) }
        defer { watch.cancel() }
        var parser = RTSPParser()
        if let end = try await perform(talk.with { $0.begin() }, talk, outbound, pairs) { return end }
        for try await buffer in inbound {
            parser.append(buffer.readableBytesView)
            while let item = try parser.next() {
                if let end = try await perform(talk.with { $0.receive(item) }, talk, outbound, pairs) { return end }
            }
        }
        return .unreachable("the server closed the connection")
    }

    private func perform(
        _ actions: [RTSPClientSession.Action], _ talk: RTSPTalk, _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>, _ pairs: [RTPPortPair]
    ) async throws -> RTSPPullEnd? {
        for action in actions {
            switch action {
            case .send(let request): try await outbound.write(ByteBuffer(bytes: request.bytes))
            case .described(let tracks, let refused):
                if !refused.isEmpty { logger.warning("not all tracks of a camera can be used", metadata: ["left_out": "\(refused.joined(separator: ","))"]) }
                noteSets(tracks)
            case .serverPort(let track, let port): if pairs.indices.contains(track) { pairs[track].aim(at: port) }
            case .playing:
                if let end = await begin(talk.with { $0.tracks }) { return end }
            case .packet(let track, let isReport, let bytes): take(bytes, track: track, isReport: isReport)
            case .failed(let failure): return .client(failure)
            }
        }
        return nil
    }

    private func noteSets(_ tracks: [RTSPTrack]) {
        for (index, track) in tracks.enumerated() where CodecKind(encodingName: track.format.codec.name) == .h264 {
            inserters[index] = ParameterSetInserter(
                parameterSets: Base64.parameterSets(track.format.codec.parameters["sprop-parameter-sets"] ?? ""), payloadType: track.format.codec.payloadType)
        }
    }

    /// The stream begins, or goes on.
    private func begin(_ tracks: [RTSPTrack]) async -> RTSPPullEnd? {
        var found = tracks.map(\.format)
        for index in found.indices where CodecKind(encodingName: found[index].codec.name) == .h264 {
            let sets = Base64.parameterSets(found[index].codec.parameters["sprop-parameter-sets"] ?? "")
            if let sps = sets.first(where: { ($0.first ?? 0) & 0x1f == 7 }) {
                if found[index].codec.parameters["profile-level-id"] == nil {
                    found[index].codec.parameters["profile-level-id"] = H264Framing.profileLevelID(ofSPS: sps)
                }
                found[index].isReordered = H264Framing.reorders(sps: sps) ?? false
            }
            if found[index].codec.parameters["packetization-mode"] == nil { found[index].codec.parameters["packetization-mode"] = "1" }
        }
        if local != nil, formats.map(\.codec.name) == found.map(\.codec.name), formats.map(\.codec.clockRate) == found.map(\.codec.clockRate) {
            status = .playing
            logger.info("a camera is back")
            return nil
        }
        guard local == nil else { return .client(.noUsableCodec(["the camera came back with other codecs"])) }
        do throws(StreamRefusal) {
            local = try await registry.startSource(mediaSessionID, ownerID: ownerID, formats: found)
        } catch {
            return .local(error)
        }
        formats = found
        status = .playing
        settle(.success(()))
        return nil
    }

    private func take(_ bytes: [UInt8], track: Int, isReport: Bool) {
        guard let local, formats.indices.contains(track) else { return }
        if isReport {
            let packets = bytes.withUnsafeBytes { try? RTCP.parse($0, readsTransportFeedback: false) } ?? []
            for case .senderReport(let report) in packets { local.report(track: track, ntp: report.ntpTimestamp, timestamp: report.rtpTimestamp) }
            return
        }
        guard bytes.count > 12, bytes[1] & 0x7f == formats[track].codec.payloadType else { return }
        lastPacket = .now
        _ = local.write(track: track, packets: inserters[track]?.take(bytes) ?? [bytes])
    }

    private func watchOver(_ talk: RTSPTalk, _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>, _ pairs: [RTPPortPair]) async {
        var ticks = 0
        while !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(500))
            if Task.isCancelled { return }
            ticks += 1
            if await isIdle() {
                linkEnd = .idle
                isOver = true
                breakLink?()
                return
            }
            if ContinuousClock.now - lastPacket > settings.activityTimeout {
                linkEnd = .silent
                breakLink?()
                return
            }
            let interval = max(2, talk.with { $0.timeout } / 2)
            if ticks % (interval * 2) == 0 {
                for case .send(let request) in talk.with({ $0.keepAlive() }) { try? await outbound.write(ByteBuffer(bytes: request.bytes)) }
            }
            if ticks % 10 == 0 {
                let report = RTCP.serialize([.receiverReport(ReceiverReport(senderSSRC: 1, reports: []))])
                for pair in pairs { pair.send(report, isReport: true) }
            }
        }
    }
}

/// The session's state, shared by the reader and the one who gives signs of life.
private final class RTSPTalk: Sendable {
    private let session: Mutex<RTSPClientSession>
    init(_ session: RTSPClientSession) { self.session = Mutex(session) }
    func with<Result: Sendable>(_ body: (inout RTSPClientSession) -> sending Result) -> Result { session.withLock { body(&$0) } }
}
