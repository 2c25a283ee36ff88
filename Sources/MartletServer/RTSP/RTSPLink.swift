// SPDX-License-Identifier: Apache-2.0
// One connection to an RTSP server, from the first request to its end: carries bytes between the socket, RTSPClientSession and RTSPInlet.
// Made and run by RTSPPull for each attempt.
import Clocks
import Foundation
import Logging
import MediaIO
import NIOCore
import NIOPosix
import Primitives
import RTP
import RTSP
import Signalling

actor RTSPLink {
    private let address: RTSPAddress
    private let settings: RTSPPullSettings
    private let logger: Logger
    /// The server has agreed to send these: where they go, or why they can't.
    private let onPlaying: @Sendable ([RTSPTrack]) async -> Result<RTSPInlet, RTSPPullEnd>
    private var session: RTSPClientSession
    private var parser = RTSPParser(.client)
    private var watch: RTSPLinkWatch
    private var inlet: RTSPInlet?
    /// What comes by UDP before there is an inlet.
    private var early = EarlyDatagrams()
    private var channel: (any Channel)?
    private var pairs: [RTPPortPair] = []
    /// Why it has been ended on this side.
    private var closing: RTSPPullEnd?
    /// What was said of packets that can't be used.
    private var remark: String?

    init(
        _ address: RTSPAddress, habits: RTSPClientSession.Habits, settings: RTSPPullSettings, logger: Logger,
        onPlaying: @escaping @Sendable ([RTSPTrack]) async -> Result<RTSPInlet, RTSPPullEnd>
    ) {
        self.address = address
        self.settings = settings
        self.logger = logger
        self.onPlaying = onPlaying
        session = RTSPClientSession(address, clientNonce: Self.nonce(), habits: habits)
        watch = RTSPLinkWatch(activityTimeout: TimeSpan(settings.activityTimeout), at: .now)
    }

    /// For what has come of messages and packets that are not complete.
    private func openAccount(_ channel: any Channel) -> MemoryAccount {
        settings.memory.account(for: AddressKey(channel.remoteAddress?.ipAddress ?? address.host)) { [weak self] refusal in
            Task { await self?.close(.unreachable("\(refusal)")) }
        }
    }

    private static func nonce() -> String { Identifier.uuid().filter { $0 != "-" } }

    /// What has been learnt about the server.
    var habits: RTSPClientSession.Habits { session.habits }
    /// How long something that can be used came; `nil`: nothing did.
    var media: TimeSpan? { watch.media }

    /// Says goodbye and hangs up; `run` returns with that reason, when there was no other before.
    func close(_ reason: RTSPPullEnd) {
        if closing == nil { closing = reason }
        guard let channel else { return }
        for case .send(let request) in session.end() { channel.writeAndFlush(ByteBuffer(bytes: request.bytes), promise: nil) }
        channel.close(promise: nil)
    }

    /// Until the connection has ended; returns why.
    func run() async -> RTSPPullEnd {
        let connection: NIOAsyncChannel<ByteBuffer, ByteBuffer>
        do { connection = try await connect() } catch {
            return closing ?? .unreachable(ConnectionReason.words(error))
        }
        channel = connection.channel
        if closing != nil { connection.channel.close(promise: nil) }
        // In the order in which they came; what nobody takes in time is lost, as it is in a network.
        let (datagrams, arrived) = AsyncStream<EarlyDatagrams.Datagram>.makeStream(bufferingPolicy: .bufferingNewest(4096))
        let reader = Task { for await one in datagrams { self.take(one) } }
        defer {
            arrived.finish()
            reader.cancel()
        }
        if session.habits.usesUDP ?? settings.usesUDP { await openPorts(connection.channel, arrived) }
        watch = RTSPLinkWatch(activityTimeout: TimeSpan(settings.activityTimeout), at: .now)
        var end = RTSPPullEnd.unreachable("the server closed the connection")
        do {
            end = try await connection.executeThenClose { inbound, outbound in try await self.talk(inbound, outbound) }
        } catch let error as RTSPError {
            end = .malformed("\(error)")
        } catch {
            end = .unreachable(ConnectionReason.words(error))
        }
        channel = nil
        for pair in pairs { await pair.close() }
        session.connectionEnded(at: .now)
        if parser.strayBytes > 0 {
            logger.notice("bytes between a camera's packets were skipped", metadata: ["bytes": "\(parser.strayBytes)"])
        }
        if early.lost > 0 {
            logger.notice("datagrams of a camera were lost: they came before its stream was ready", metadata: ["datagrams": "\(early.lost)"])
        }
        if let tooLong = inlet?.tooLong, tooLong > 0 {
            logger.notice("packets of a camera were too long to be passed on", metadata: ["packets": "\(tooLong)"])
        }
        return closing ?? end
    }

    // MARK: the connection

    private func connect() async throws -> NIOAsyncChannel<ByteBuffer, ByteBuffer> {
        var bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(.nanoseconds(settings.connectTimeout.inNanoseconds))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
        if !settings.clientAddress.isEmpty { bootstrap = bootstrap.bind(to: try SocketAddress(ipAddress: settings.clientAddress, port: 0)) }
        return try await bootstrap.connect(host: address.host, port: address.port) { channel in
            channel.eventLoop.makeCompletedFuture { try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel) }
        }
    }

    private func openPorts(_ channel: any Channel, _ arrived: AsyncStream<EarlyDatagrams.Datagram>.Continuation) async {
        guard let remote = channel.remoteAddress?.ipAddress, let own = channel.localAddress?.ipAddress else { return }
        for track in 0..<2 {
            let pair = try? await RTPPortPair.open(host: own, remote: remote, remotePort: 9) { bytes, isReport in
                arrived.yield(EarlyDatagrams.Datagram(track: track, isReport: isReport, bytes: bytes))
            }
            if let pair { pairs.append(pair) }
        }
        guard pairs.count == 2 else { return }
        session = RTSPClientSession(address, ports: pairs.map(\.port), clientNonce: Self.nonce(), habits: session.habits)
    }

    private func talk(
        _ inbound: NIOAsyncChannelInboundStream<ByteBuffer>, _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
    ) async throws -> RTSPPullEnd {
        let account = channel.map(openAccount)
        let watcher = Task { await watchOver(outbound) }
        defer { watcher.cancel() }
        if let end = try await perform(session.begin(), outbound) { return end }
        for try await buffer in inbound {
            Breadcrumb.begin(.rtsp, of: "\(address.host):\(address.port)")
            defer { Breadcrumb.end() }
            parser.append(buffer.readableBytesView)
            while let item = try parser.next() {
                if let end = try await perform(session.receive(item), outbound) { return end }
            }
            if let refusal = account?.set(parser.waiting) { return .unreachable("\(refusal)") }
        }
        return .unreachable("the server closed the connection")
    }

    private func perform(_ actions: [RTSPClientSession.Action], _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>) async throws -> RTSPPullEnd? {
        for action in actions {
            switch action {
            case .send(let request): try await outbound.write(ByteBuffer(bytes: request.bytes))
            case .answer(let response): try await outbound.write(ByteBuffer(bytes: response.bytes))
            case .described(_, let refused):
                if !refused.isEmpty { logger.warning("not all tracks of a camera can be used", metadata: ["left_out": "\(refused.joined(separator: ","))"]) }
            case .leftOut(let track, let failure):
                logger.warning("a track of a camera can't be had", metadata: ["left_out": "\(track.format.codec.name)", "reason": "\(failure)"])
            case .serverPort(let track, let port): if pairs.indices.contains(track) { pairs[track].aim(at: port) }
            case .source(let track, let host):
                if pairs.indices.contains(track), pairs[track].accept(host) {
                    logger.info("a camera's packets come from another address than its own", metadata: ["address": "\(host)"])
                }
            case .playing:
                parser.channels = session.agreedChannels
                switch await onPlaying(session.tracks) {
                case .success(let inlet):
                    self.inlet = inlet
                    for one in early.takeAll() { take(one) }
                case .failure(let end): return end
                }
            case .packet(let track, let isReport, let bytes): take(bytes, track: track, isReport: isReport)
            case .failed(let failure): return .client(failure)
            }
        }
        return nil
    }

    // MARK: media

    private func take(_ datagram: EarlyDatagrams.Datagram) {
        guard inlet != nil else { return early.keep(datagram) }
        take(datagram.bytes, track: datagram.track, isReport: datagram.isReport)
    }

    private func take(_ bytes: [UInt8], track: Int, isReport: Bool) {
        switch inlet?.take(bytes, track: track, isReport: isReport, at: .now) {
        case .media: watch.noteMedia(at: .now)
        case .remark(let text):
            remark = text
            logger.warning("a camera sends other packets than it should", metadata: ["reason": "\(text)"])
        case .nothing, nil: break
        }
    }

    private func watchOver(_ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>) async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(500))
            if Task.isCancelled { return }
            for action in watch.tick(at: .now, signOfLifeInterval: session.signOfLifeInterval) {
                switch action {
                case .signOfLife:
                    for case .send(let request) in session.keepAlive(at: .now) { try? await outbound.write(ByteBuffer(bytes: request.bytes)) }
                case .receiverReport:
                    let report = RTCP.serialize([.receiverReport(ReceiverReport(senderSSRC: 1, reports: []))])
                    for pair in pairs { pair.send(report, isReport: true) }
                case .giveUp:
                    if watch.media == nil { session.noteSilence() }
                    return close(.silent(watch.media == nil ? remark : nil))
                }
            }
        }
    }
}

extension Instant {
    /// Of the server's monotonic clock.
    fileprivate static var now: Instant { MonotonicClock.now() }
}
