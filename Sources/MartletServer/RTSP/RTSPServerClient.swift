// SPDX-License-Identifier: Apache-2.0
// One client of the RTSP server: requests answered in order, media sent beside them. Made and run by RTSPServer.
import Clocks
import Foundation
import Glibc
import Logging
import MediaIO
import NIOCore
import Primitives
import RTP
import RTSP
import SDP
import Signalling

actor RTSPServerClient {
    static let appKey = "defaultApp"

    private let server: RTSPServer
    /// For what has come of messages that are not complete, and for media that is being written.
    private let account: MemoryAccount
    private var unread = 0
    private var unsent = 0
    private let address: String
    /// The same with the port, for `Breadcrumb`.
    private let peer: String
    private let localAddress: String?
    private let membersOnly: Bool
    private let idleTimeout: Duration
    private let writeTimeout: Duration
    private var session: RTSPServerSession
    /// Another one for each time that it plays.
    private var mediaSessionID = Identifier.uuid()
    private var tracks: [TrackFormat] = []
    private var payloadTypes: [UInt8] = []
    private var ports: [Int: RTPPortPair] = [:]
    private var media: Task<Void, Never>?
    /// What it knows the tracks by since it last played.
    private var numbering: [RTPForwarder.Numbering] = []
    /// What it last played, and when it began to.
    private var played: (stream: StreamHandle, at: ContinuousClock.Instant)?
    private var setUps = 0
    private var watch: Task<Void, Never>?
    private var lastSign = ContinuousClock.now
    private var writingSince: ContinuousClock.Instant?
    private var isPlaying = false
    private var logger: Logger

    init(server: RTSPServer, account: MemoryAccount, address: String, peer: String, localAddress: String?, membersOnly: Bool, idleTimeout: Duration, writeTimeout: Duration) {
        self.server = server
        self.account = account
        self.address = address
        self.peer = peer
        self.localAddress = localAddress
        self.membersOnly = membersOnly
        self.idleTimeout = idleTimeout
        self.writeTimeout = writeTimeout
        session = RTSPServerSession(id: Identifier.uuid().filter { $0 != "-" })
        var logger = server.logger
        logger[metadataKey: "peer"] = "\(address)"
        logger[metadataKey: "media_session"] = "\(mediaSessionID)"
        self.logger = logger
    }

    private var owner: StreamOwner {
        StreamOwner(id: ownerID, appKey: Self.appKey, address: AddressKey(address)) { [weak self, mediaSessionID] notice in
            switch notice {
            case .ended: Task { await self?.streamEnded(mediaSessionID) }
            case .tracksChanged(let formats): Task { await self?.tracksChanged(formats, of: mediaSessionID) }
            default: break
            }
        }
    }
    private var ownerID: String { "/rtsp/\(mediaSessionID)" }
    private var close: (@Sendable () -> Void)?
    /// From one PLAY of a client to its next.
    private static let playGap = Duration.seconds(1)
    /// Of a connection.
    private static let maximumSetUps = 64

    func run(
        _ inbound: NIOAsyncChannelInboundStream<ByteBuffer>, _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>, close: @escaping @Sendable () -> Void
    ) async throws {
        self.close = close
        watch = Task { await watchOver() }
        var parser = RTSPParser()
        for try await buffer in inbound {
            Breadcrumb.begin(.rtsp, of: peer)
            defer { Breadcrumb.end() }
            // A head that comes byte by byte is no sign of life.
            parser.append(buffer.readableBytesView)
            while true {
                let item: RTSPParser.Item?
                do throws(RTSPError) { item = try parser.next() } catch {
                    if case .tooLarge = error { try await outbound.write(ByteBuffer(bytes: session.refuse(413).bytes)) }
                    throw error
                }
                guard let item else { break }
                lastSign = .now
                guard case .request(let request) = item else { continue }
                guard try await answer(request, outbound) else { return }
            }
            unread = parser.waiting
            if let refusal = account.set(unread + unsent) {
                try await outbound.write(ByteBuffer(bytes: session.refuse(503, reason: "\(refusal)").bytes))
                return
            }
        }
    }

    /// Everything that it had goes.
    func end() async {
        watch?.cancel()
        media?.cancel()
        if isPlaying { server.notePlaying(-1) }
        isPlaying = false
        for pair in ports.values { await pair.close() }
        ports = [:]
        await server.streams.stop(mediaSessionID, ownerID: ownerID)
    }

    /// One that was ended for a pause is no longer this client's.
    private func streamEnded(_ id: String) {
        if id == mediaSessionID { close?() }
    }

    /// What was described to a client can't be changed. One for whom there is something new, or to whom nothing is left, is let go, so that it
    /// comes again and gets what there is; one that has merely lost a track goes on with the others.
    private func tracksChanged(_ formats: [TrackFormat], of id: String) {
        guard id == mediaSessionID else { return }
        let isNew = formats.contains { new in !tracks.contains { $0.isSameTrack(as: new) } }
        let hasAny = session.transports.keys.contains { index in
            tracks.indices.contains(index) && formats.contains { $0.isSameTrack(as: tracks[index]) }
        }
        guard isNew || !hasAny else { return }
        logger.notice("RTSP client let go: the stream has other tracks than were described to it", metadata: [
            "stream": "\(session.stream ?? "")", "tracks": "\(formats.map(\.codec.name).joined(separator: ","))",
        ])
        close?()
    }

    /// Drops who says nothing, and who takes nothing.
    private func watchOver() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(500))
            let now = ContinuousClock.now
            if let since = writingSince, now - since > writeTimeout {
                server.noteSlow()
                logger.notice("RTSP client dropped: it takes no media")
                close?()
                return
            }
            // Who pauses may be silent for as long as who plays.
            let isUp = isPlaying || session.isPaused
            for pair in ports.values where isUp { lastSign = max(lastSign, pair.lastSign) }
            let usesUDP = !ports.isEmpty
            let limit: Duration = isUp ? .seconds(RTSPServerSession.timeout * 3 / 2) : idleTimeout
            // Between the messages the connection itself is the sign of life.
            guard !isPlaying || usesUDP else { continue }
            if now - lastSign > limit {
                logger.debug("RTSP client dropped: it is silent")
                close?()
                return
            }
        }
    }

    // MARK: requests

    /// - Returns: false when that was the last one.
    private func answer(_ request: RTSPRequest, _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>) async throws -> Bool {
        var response: RTSPResponse, goesOn = true, plays = false
        switch session.receive(request) {
        case .answer(let answer): response = answer
        case .describe(let names): response = await describe(names)
        case .setUp(let track, let offers): response = await setUp(track, offers)
        case .play(let answer):
            response = answer
            plays = true
        case .pause(let answer):
            await halt()
            response = answer
        case .end(let answer):
            response = answer
            goesOn = false
        }
        var subscription: PacketSubscription?
        if plays {
            // Each begins with what the stream keeps for players, which is much.
            if let played { try await Task.sleep(until: played.at + Self.playGap) }
            do throws(StreamRefusal) {
                let opened = try await open()
                // The numbers of what was set up are those of the description.
                if let played, played.stream != opened.stream {
                    response = session.refuse(455, reason: "The stream has begun anew")
                    goesOn = false
                } else if opened.tracks.count == tracks.count, zip(opened.tracks, tracks).allSatisfy({ $0.isSameTrack(as: $1) }) {
                    subscription = opened
                    played = (opened.stream, .now)
                } else {
                    response = session.refuse(455, reason: "The stream has other tracks now than were described")
                    goesOn = false
                }
            } catch {
                response = Self.refusal(error, session)
                goesOn = false
            }
        }
        try await outbound.write(ByteBuffer(bytes: response.bytes))
        if let subscription { begin(subscription, outbound) }
        return goesOn
    }

    private func describe(_ names: [String]) async -> RTSPResponse {
        guard let (name, found) = await find(names) else { return session.refuse(404, reason: "No such stream") }
        if membersOnly, await server.streams.room(ofStream: name) != nil { return session.refuse(403, reason: "The stream belongs to a room") }
        guard !found.isEmpty else { return session.refuse(503, reason: "The stream has no media yet") }
        use(found)
        // Players wait for what is announced: a track that nothing has ever come of is not, when there are others.
        let silent = await server.streams.silentTracks(ofStream: name)
        let omitted = silent.isSuperset(of: tracks.indices) ? [] : silent
        return session.describe(RTSPDescription.text(name: name, tracks: tracks, payloadTypes: payloadTypes, omitting: omitted))
    }

    /// The first of the names that a stream has.
    private func find(_ names: [String]) async -> (String, [TrackFormat])? {
        for name in names {
            guard let found = await server.streams.forms(ofStream: name) else { continue }
            session.stream = name
            return (name, found)
        }
        return nil
    }

    private func use(_ formats: [TrackFormat]) {
        tracks = formats.filter { $0.converts == nil }
        payloadTypes = RTSPDescription.payloadTypes(tracks)
    }

    private func setUp(_ track: Int, _ offers: [RTSPTransport]) async -> RTSPResponse {
        if tracks.isEmpty, let (_, found) = await find(session.names) { use(found) }
        guard tracks.indices.contains(track) else { return session.refuse(404, reason: "No such track") }
        setUps += 1
        guard setUps <= Self.maximumSetUps else { return session.refuse(503, reason: "Too many SETUPs") }
        // What was sent the other way may never have come.
        if numbering.indices.contains(track) { numbering[track].source = nil }
        for offer in offers {
            switch offer.way {
            case .interleaved:
                await closePorts(of: track)
                return session.setUp(track: track, offer)
            case .udp(let client, _):
                // Media goes to where the request came from, whatever else is asked for.
                guard let pair = try? await RTPPortPair.open(host: localAddress ?? "0.0.0.0", remote: address, remotePort: client) else { continue }
                await closePorts(of: track)
                ports[track] = pair
                return session.setUp(track: track, RTSPTransport(.udp(client: client, server: pair.port)))
            }
        }
        return session.refuse(461)
    }

    /// The track travels otherwise from now on.
    private func closePorts(of track: Int) async { await ports.removeValue(forKey: track)?.close() }

    private static func refusal(_ refusal: StreamRefusal, _ session: RTSPServerSession) -> RTSPResponse {
        guard case .refused(let info, let reason) = refusal else { return session.refuse(404, reason: "The stream has ended") }
        switch info {
        case .sessionDoesNotExist, .publisherStop: return session.refuse(404, reason: "No such stream")
        case .publishNotReady: return session.refuse(503, reason: "The stream has no media yet")
        case .restrictedAccess: return session.refuse(403, reason: "The stream belongs to a room")
        default: return session.refuse(500, reason: reason)
        }
    }

    // MARK: media

    private func open() async throws(StreamRefusal) -> PacketSubscription {
        if membersOnly, await server.streams.room(ofStream: session.stream ?? "") != nil { throw .refused(.restrictedAccess, "the stream belongs to a room") }
        var request = SinkRequest(
            name: session.stream ?? "", mediaProvider: "RTSP", audio: [.opus, .aac, .pcmu, .pcma, .g722], video: [.h264, .h265, .vp8, .vp9, .av1])
        request.mediaSessionID = mediaSessionID
        request.takesReordered = true
        return try await server.streams.openPackets(request, owner: owner)
    }

    private func begin(_ subscription: PacketSubscription, _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>) {
        isPlaying = true
        server.notePlaying(1)
        logger.info("RTSP client plays", metadata: ["stream": "\(session.stream ?? "")", "agent": "\(session.userAgent)"])
        media = Task { await send(subscription, outbound) }
    }

    /// Nothing is sent any more once this has returned. To the stream the player is gone; when it plays again it is another one.
    private func halt() async {
        guard isPlaying else { return }
        isPlaying = false
        server.notePlaying(-1)
        let (ended, owner, task) = (mediaSessionID, ownerID, media)
        mediaSessionID = Identifier.uuid()
        logger[metadataKey: "media_session"] = "\(mediaSessionID)"
        media = nil
        task?.cancel()
        await server.streams.stop(ended, ownerID: owner)
        await task?.value
        (writingSince, unsent) = (nil, 0)
        logger.debug("RTSP client pauses", metadata: ["stream": "\(session.stream ?? "")"])
    }

    /// From 1970 to the zero of the monotonic clock.
    private static func wallOffset() -> TimeSpan {
        WallClock.now() - WallTime(nanoseconds: MonotonicClock.now().nanoseconds)
    }

    private func send(_ subscription: PacketSubscription, _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>) async {
        var random = RandomSource.system
        var forwarder = RTPForwarder(
            formats: subscription.tracks, payloadTypes: payloadTypes, wanted: Set(session.transports.keys), silent: subscription.silent,
            wallOffset: Self.wallOffset(), continuing: numbering, random: &random)
        // A task that was cancelled has been ended for a pause, or with the connection.
        defer {
            numbering = forwarder.numbering
            if !Task.isCancelled { close?() }
        }
        while let records = await subscription.next() {
            if Task.isCancelled { return }
            let packets = forwarder.take(records)
            guard !packets.isEmpty else { continue }
            var buffer = ByteBuffer()
            for packet in packets {
                switch session.transports[packet.track]?.way {
                case .interleaved(let rtp, let rtcp):
                    buffer.writeBytes(RTSPInterleaved.header(channel: packet.isReport ? rtcp : rtp, length: packet.bytes.count))
                    buffer.writeBytes(packet.bytes)
                case .udp: ports[packet.track]?.send(packet.bytes, isReport: packet.isReport)
                case nil: break
                }
            }
            guard buffer.readableBytes > 0 else { continue }
            writingSince = .now
            unsent = buffer.readableBytes
            if let refusal = account.set(unread + unsent) {
                logger.notice("RTSP client dropped: its media finds no room", metadata: ["reason": "\(refusal)"])
                return
            }
            do { try await outbound.write(buffer) } catch { return }
            (writingSince, unsent) = (nil, 0)
        }
    }
}
