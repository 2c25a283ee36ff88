// SPDX-License-Identifier: Apache-2.0
// A whole forwarding chain without sockets, clocks or threads: a client publishes to a server, clients play from it,
// over emulated links with a seed. Used by the emulated-network tests.
import DTLS
import Foundation
import NetworkEmulator
import Primitives
import RTP
import SDP
import Synchronization
import WebRTC

@testable import MediaGraph

/// Moves datagrams between endpoints by address, through one Link per direction.
final class VirtualNetwork {
    final class Host {
        let address: SocketAddress
        let arena: SendArena
        var endpoint: Endpoint?
        init(address: SocketAddress, arena: SendArena) {
            self.address = address
            self.arena = arena
        }
    }

    private(set) var hosts: [Int32: Host] = [:]
    private var links: [String: (link: Link, from: Host, to: Host)] = [:]
    var profile: LinkProfile
    /// Profiles of the links towards single hosts.
    var profilesTo: [SocketAddress: LinkProfile] = [:]
    private let seed: UInt64
    var now = Instant(milliseconds: 1000)

    init(profile: LinkProfile, seed: UInt64) {
        self.profile = profile
        self.seed = seed
    }

    /// A host with one endpoint; its number stands for the socket.
    func makeHost(_ number: Int32) -> Host {
        let address = SocketAddress(ipv4: 0x0a00_0000 | UInt32(number), port: 5000)
        let arena = SendArena(capacity: 256 * 1024, maximumRuns: 256) { [unowned self] arena in
            for run in arena.runs { self.send(run, arena) }
        }
        let host = Host(address: address, arena: arena)
        hosts[number] = host
        return host
    }

    private func send(_ run: SendRun, _ arena: SendArena) {
        guard let from = hosts[run.destination.socket], let to = hosts.values.first(where: { $0.address == run.destination.address })
        else { return }
        let key = "\(from.address)>\(to.address)"
        var entry = links[key] ?? (Link(profile: profile, seed: seed ^ UInt64(truncatingIfNeeded: from.address.low &* 7919 &+ to.address.low)), from, to)
        entry.link.profile = profilesTo[to.address] ?? profile
        var offset = run.offset
        while offset < run.offset + run.length {
            let length = min(run.segmentLength, run.offset + run.length - offset)
            entry.link.send(
                Array(UnsafeRawBufferPointer(start: arena.memory + offset, count: length)), at: now)
            offset += length
        }
        links[key] = entry
    }

    /// Lets a millisecond pass: deliveries, fan-out, timers.
    func step() {
        now += .milliseconds(1)
        for key in links.keys.sorted() {
            let arrived = links[key]!.link.deliver(at: now)
            let (from, to) = (links[key]!.from, links[key]!.to)
            for var datagram in arrived {
                datagram.withUnsafeMutableBytes {
                    to.endpoint?.receive($0, transport: 0, from: from.address, arena: to.arena, at: now)
                }
            }
        }
        for number in hosts.keys.sorted() {
            let host = hosts[number]!
            if let endpoint = host.endpoint {
                _ = endpoint.stream.flush(into: host.arena, at: now)
                if endpoint.deadline <= now { endpoint.advance(arena: host.arena, at: now) }
                endpoint.addressChanges.removeAll()
            }
            host.arena.flush()
        }
    }
}

/// A client that publishes generated VP8, a server stream, and players that check every byte they get.
final class Chain {
    final class Player {
        let endpoint: PublisherEndpoint
        let served: PlayerEndpoint
        let stream: MediaStream
        let address: SocketAddress
        /// Numbers of the frames that came completely and in order of their packets, with the first one's time.
        var packets: [UInt32: Instant] = [:]
        var corrupt = 0
        var firstPacket: UInt32?

        init(endpoint: PublisherEndpoint, served: PlayerEndpoint, stream: MediaStream, address: SocketAddress) {
            self.address = address
            self.endpoint = endpoint
            self.served = served
            self.stream = stream
        }
    }

    let network: VirtualNetwork
    private static let certificates = try! (DTLSCertificate.selfSigned(commonName: "a"), DTLSCertificate.selfSigned(commonName: "b"))
    let source = MediaStream(handle: StreamHandle(rawValue: 1))
    let server = MediaStream(handle: StreamHandle(rawValue: 2))
    let push: PlayerEndpoint
    let publisher: PublisherEndpoint
    private let serverTrackFormat: TrackFormat
    var players: [Player] = []
    let events = Events()
    private var nextHost: Int32 = 3
    private var frame: UInt32 = 0
    private var packet: UInt32 = 0
    private var sequence: UInt16 = 65_000
    var keyFrameRequests = 0
    private var keyFrameSource: KeyFrameSource!

    final class Events: Sendable {
        private let list = Mutex<[String]>([])
        func add(_ text: String) { list.withLock { $0.append(text) } }
        var all: [String] { list.withLock { $0 } }
    }

    private final class KeyFrameSource: StreamSource {
        unowned let chain: Chain
        init(chain: Chain) { self.chain = chain }
        func keyFrameWanted(of track: UplinkTrack, arena: SendArena, at now: Instant) {
            guard track.mayRequestKeyFrame(gap: .milliseconds(100), repeatAfter: .milliseconds(100), at: now) else { return }
            chain.keyFrameRequests += 1
            chain.wantsKeyFrame = true
        }
    }
    private var wantsKeyFrame = true

    init(profile: LinkProfile, seed: UInt64) throws {
        network = VirtualNetwork(profile: profile, seed: seed)
        let clientHost = network.makeHost(1), serverHost = network.makeHost(2)
        var codec = Codec(payloadType: 96, name: "VP8", clockRate: 90_000)
        codec.feedback = ["nack", "nack pli", "transport-cc"]
        serverTrackFormat = TrackFormat(kind: .video, codec: codec)
        source.setTracks([UplinkTrack(format: serverTrackFormat, codec: .vp8)])
        source.markReady()

        let now = network.now
        let connection = try PeerConnection.offerSending(
            tracks: [serverTrackFormat], streamID: "s", configuration: Self.configuration(clientHost, Self.certificates.0),
            random: .seeded(seed))
        let answered = try PeerConnection.answerPublisher(
            offer: connection.localDescription, configuration: Self.configuration(serverHost, Self.certificates.1),
            random: .seeded(seed &+ 1), at: now)
        let events = events
        publisher = PublisherEndpoint(
            id: EndpointID(rawValue: 1), stream: server, connection: answered.connection, options: EndpointOptions(),
            timing: PublisherEndpoint.Timing(), socket: 2, onEvent: { events.add("\($0)") })
        push = PlayerEndpoint(
            id: EndpointID(rawValue: 2), stream: source, connection: connection, options: EndpointOptions(), socket: 1,
            onEvent: { events.add("push: \($0)") })
        clientHost.endpoint = push
        serverHost.endpoint = publisher
        keyFrameSource = KeyFrameSource(chain: self)
        source.source = keyFrameSource
        publisher.begin(answered.actions, arena: serverHost.arena, at: network.now)
        let actions = try connection.setAnswer(answered.connection.localDescription, at: now)
        push.takeLines()
        push.begin(actions, arena: clientHost.arena, at: network.now)
    }

    private static func configuration(_ host: VirtualNetwork.Host, _ certificate: DTLSCertificate) -> PeerConnection.Configuration {
        PeerConnection.Configuration(
            certificate: certificate, candidates: [host.address], codecs: CodecPreferences(), connectTimeout: .seconds(15),
            consentTimeout: .seconds(30))
    }

    /// A client that plays the server's stream.
    func addPlayer(seed: UInt64) throws -> Player {
        let serverSide = network.makeHost(nextHost), clientSide = network.makeHost(nextHost + 1)
        let serverNumber = nextHost, clientNumber = nextHost + 1
        nextHost += 2
        let stream = MediaStream(handle: StreamHandle(rawValue: UInt64(100 + nextHost)))
        let connection = try PeerConnection.offerReceiving(
            kinds: [.video], configuration: Self.configuration(clientSide, Self.certificates.0), random: .seeded(seed))
        let answered = try PeerConnection.answerPlayer(
            offer: connection.localDescription, tracks: server.tracks.map(\.format), streamID: "x",
            configuration: Self.configuration(serverSide, Self.certificates.1), random: .seeded(seed &+ 9),
            at: network.now)
        let events = events
        let served = PlayerEndpoint(
            id: EndpointID(rawValue: UInt64(nextHost)), stream: server, connection: answered.connection, options: EndpointOptions(),
            socket: serverNumber, onEvent: { events.add("served: \($0)") })
        let receiving = PublisherEndpoint(
            id: EndpointID(rawValue: UInt64(nextHost + 1)), stream: stream, connection: connection, options: EndpointOptions(),
            timing: PublisherEndpoint.Timing(), socket: clientNumber, onEvent: { events.add("player: \($0)") })
        serverSide.endpoint = served
        clientSide.endpoint = receiving
        served.begin(answered.actions, arena: serverSide.arena, at: network.now)
        let actions = try connection.setAnswer(answered.connection.localDescription, at: network.now)
        receiving.takeLines()
        let player = Player(endpoint: receiving, served: served, stream: stream, address: clientSide.address)
        stream.tracks[0].addTap(id: 1) { [unowned self, unowned player] bytes, _ in self.check(bytes, player) }
        receiving.begin(actions, arena: clientSide.arena, at: network.now)
        players.append(player)
        return player
    }

    /// Body of packet number `n`: its number, then bytes that follow from it.
    private func body(_ n: UInt32, length: Int) -> [UInt8] {
        withUnsafeBytes(of: n.bigEndian, Array.init) + (0..<length).map { UInt8(truncatingIfNeeded: Int(n) &* 13 &+ $0) }
    }

    private func check(_ bytes: UnsafeRawBufferPointer, _ player: Player) {
        guard let view = RTPView(bytes), view.payload.count > 20 else { return player.corrupt += 1 }
        let content = Array(view.payload.dropFirst(11))
        let number = content.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        if content != body(number, length: content.count - 4) { player.corrupt += 1 }
        if player.firstPacket == nil { player.firstPacket = number }
        player.packets[number] = network.now
    }

    /// Sends one frame of `count` packets; a key frame when one was asked for.
    func sendFrame(packets count: Int = 4) {
        let isKey = wantsKeyFrame
        wantsKeyFrame = false
        let arena = network.hosts[1]!.arena
        for i in 0..<count {
            var bytes: [UInt8] = [0x80, (i == count - 1 ? 0x80 : 0) | 96]
            bytes += withUnsafeBytes(of: sequence.bigEndian, Array.init)
            bytes += withUnsafeBytes(of: (frame &* 3600).bigEndian, Array.init)
            bytes += withUnsafeBytes(of: UInt32(0x1234).bigEndian, Array.init)
            // VP8 payload descriptor (S bit on the first), frame tag with the P bit, start code and size.
            bytes += [i == 0 ? 0x10 : 0x00, isKey ? 0x10 : 0x11, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01]
            bytes += body(packet, length: 900 + i)
            sequence &+= 1
            packet += 1
            bytes.withUnsafeBytes { raw in
                guard let view = RTPView(raw) else { return }
                source.tracks[0].receive(
                    view, bytes: raw, isRetransmission: false, extensions: UplinkExtensions(), arena: arena, at: network.now)
            }
        }
        source.tracks[0].receiveReport(ntp: UInt64(network.now.nanoseconds) << 2, timestamp: frame &* 3600, at: network.now)
        frame += 1
    }

    var packetsSent: UInt32 { packet }

    /// Runs for `milliseconds`, with a frame every 40.
    func run(milliseconds: Int, sending: Bool = true, packetsPerFrame: Int = 4) {
        for i in 0..<milliseconds {
            if sending, i % 40 == 0 { sendFrame(packets: packetsPerFrame) }
            network.step()
        }
    }
}
