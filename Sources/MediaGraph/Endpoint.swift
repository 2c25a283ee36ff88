// SPDX-License-Identifier: Apache-2.0
// A peer connection attached to a stream: what publishers and players have in common. Carries datagrams into the
// transports, their actions out, and tells the owner what happened. Lives on the stream's reactor.
import Glibc
import Primitives
import RTP
import WebRTC

/// Base of `PublisherEndpoint` and `PlayerEndpoint`. Not thread-safe: its reactor's only.
public class Endpoint {
    public let id: EndpointID
    public let stream: MediaStream
    public let connection: PeerConnection
    public let options: EndpointOptions
    /// File descriptor that this endpoint's datagrams leave by.
    public let socket: Int32
    public private(set) var isFailed = false
    public private(set) var isConnected = false
    /// When the last of the transports came up.
    public private(set) var connectedAt = Instant.zero
    /// When `advance` wants to be called next.
    public internal(set) var deadline = Instant.zero {
        didSet { deadlinePlace?.cell.pointee = deadline }
    }
    /// Where the driver reads `deadline`, beside those of its other endpoints.
    public var deadlinePlace: (cell: UnsafeMutablePointer<Instant>, index: Int)? {
        didSet { deadlinePlace?.cell.pointee = deadline }
    }
    /// Addresses that the transports have chosen since the driver last looked, for its demultiplexer.
    public var addressChanges: [(transport: Int, address: SocketAddress)] = []
    /// Addresses that the driver routes to this endpoint; its own note, so that they can be forgotten with it.
    public var routedAddresses: [SocketAddress] = []
    public internal(set) var roundTripMilliseconds: Double?
    /// Packets to the peer that could not leave as they were meant to.
    public private(set) var sendFailures = SendFailures()

    /// `options.label` as a C string, for the last line of a process that crashes while it handles this peer's input.
    public let crumbLabel: UnsafeMutablePointer<CChar>
    private let onEvent: EndpointEventHandler
    private var actions: [TransportAction] = []

    init(
        id: EndpointID, stream: MediaStream, connection: PeerConnection, options: EndpointOptions, socket: Int32,
        onEvent: @escaping EndpointEventHandler
    ) {
        self.id = id
        self.stream = stream
        self.connection = connection
        self.options = options
        self.socket = socket
        self.onEvent = onEvent
        crumbLabel = strdup(options.label)
    }

    deinit { free(crumbLabel) }

    // MARK: what subclasses add

    /// A transport's keys are there.
    func transportConnected(_ index: Int, arena: SendArena, at now: Instant) {}
    func transportMoved(_ index: Int, to address: SocketAddress) {}
    /// The way to the peer takes no more media, or takes some again (a slow TCP connection).
    func transportStalled(_ index: Int, _ isStalled: Bool, arena: SendArena, at now: Instant) {}
    func receiveRTP(_ packet: UnsafeMutableRawBufferPointer, transport: Int, arena: SendArena, at now: Instant) {}
    func receiveRTCP(_ packets: [RTCPPacket], transport: Int, arena: SendArena, at now: Instant) {}
    /// Transport-wide feedback, read in place; it is not among the packets of `receiveRTCP`.
    func receiveFeedback(_ feedback: TransportFeedbackView, transport: Int, at now: Instant) {}
    /// Periodic work: reports and feedback. Sets `deadline`.
    func periodic(arena: SendArena, at now: Instant) {}
    /// Leaves the stream. Called once, before the endpoint is forgotten.
    public func detach() {}
    public func statistics() -> EndpointStatistics {
        var result = EndpointStatistics(endpoint: id)
        result.remoteAddress = connection.transports.first?.remote
        result.roundTripMilliseconds = roundTripMilliseconds
        result.sendFailures = sendFailures
        return result
    }

    // MARK: driving

    /// Carries out what offer and answer asked for.
    public func begin(_ initial: [(transport: Int, action: TransportAction)], arena: SendArena, at now: Instant) {
        for (index, action) in initial { perform(action, transport: index, arena: arena, at: now) }
        scheduleTransports(at: now)
    }

    /// One datagram for transport `index`.
    @inline(__always)
    public func receive(
        _ datagram: UnsafeMutableRawBufferPointer, transport index: Int, from source: SocketAddress, arena: SendArena,
        at now: Instant
    ) {
        let transport = connection.transports[index]
        switch transport.receive(datagram, from: source, at: now, actions: &actions) {
        case .rtp(let length):
            receiveRTP(UnsafeMutableRawBufferPointer(rebasing: datagram[..<length]), transport: index, arena: arena, at: now)
        case .rtcp(let length):
            let compound = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(datagram)[..<length])
            RTCP.forEachTransportFeedback(in: compound) { receiveFeedback($0, transport: index, at: now) }
            if let packets = try? RTCP.parse(compound, readsTransportFeedback: false), !packets.isEmpty {
                receiveRTCP(packets, transport: index, arena: arena, at: now)
            }
        case .nothing:
            performPending(transport: index, arena: arena, at: now)
        }
    }

    /// The driver's word on the connection to `remote`: it takes no more media, or takes some again.
    public func setStalled(_ isStalled: Bool, remote: SocketAddress, arena: SendArena, at now: Instant) {
        for (index, transport) in connection.transports.enumerated() where transport.remote == remote {
            transportStalled(index, isStalled, arena: arena, at: now)
        }
    }

    /// The driver could not send packets to the peer as they were meant to leave. The owner is told once of a path that is too narrow.
    public func note(_ failures: SendFailures, packetLength: Int) {
        let wasNarrow = sendFailures.isPathNarrow
        sendFailures += failures
        if !wasNarrow, failures.isPathNarrow { tell(.pathTooNarrow(packetLength: packetLength, isFragmented: failures.fragmented > 0)) }
    }

    /// Connectivity checks of this peer connection that were not looked at, because too many came.
    public var checksIgnored: UInt64 { connection.transports.reduce(0) { $0 &+ $1.checksIgnored } }

    /// Runs everything that is due at `now`.
    public func advance(arena: SendArena, at now: Instant) {
        guard !isFailed else { return }
        deadline = .distantFuture
        for (index, transport) in connection.transports.enumerated() {
            for action in transport.advance(to: now) {
                perform(action, transport: index, arena: arena, at: now)
            }
        }
        guard !isFailed else { return }
        periodic(arena: arena, at: now)
        scheduleTransports(at: now)
    }

    /// Says goodbye to the peer; the endpoint is to be forgotten afterwards.
    public func close(arena: SendArena, at now: Instant) {
        for (index, transport) in connection.transports.enumerated() {
            for action in transport.close(at: now) {
                perform(action, transport: index, arena: arena, at: now)
            }
        }
    }

    /// Tells the owner; the driver removes a failed endpoint when it next looks.
    public func fail(_ reason: EndpointFailure) {
        guard !isFailed else { return }
        isFailed = true
        deadline = .zero
        onEvent(.failed(reason))
    }

    func tell(_ event: EndpointEvent) { if !isFailed { onEvent(event) } }

    /// Encrypts a compound RTCP packet and sends it over transport `index`.
    func sendRTCP(_ packets: [RTCPPacket], transport index: Int, arena: SendArena) {
        sendRTCP(RTCP.serialize(packets), transport: index, arena: arena)
    }

    func sendRTCP(_ compound: [UInt8], transport index: Int, arena: SendArena) {
        let transport = connection.transports[index]
        guard let sender = transport.srtpSender, let remote = transport.remote else { return }
        compound.withUnsafeBytes { plain in
            let room = plain.count + 64
            let output = UnsafeMutableRawBufferPointer(start: arena.reserve(room), count: room)
            let length = sender.protectRTCP(plain, into: output)
            if length > 0 { arena.commit(length, to: Destination(address: remote, socket: socket)) }
        }
    }

    private func performPending(transport index: Int, arena: SendArena, at now: Instant) {
        guard !actions.isEmpty else { return }
        let due = actions
        actions.removeAll(keepingCapacity: true)
        for action in due { perform(action, transport: index, arena: arena, at: now) }
        scheduleTransports(at: now)
    }

    private func scheduleTransports(at now: Instant) {
        for transport in connection.transports {
            if let next = transport.nextDeadline { deadline = min(deadline, next) }
        }
    }

    private func perform(_ action: TransportAction, transport index: Int, arena: SendArena, at now: Instant) {
        switch action {
        case .send(let bytes, let address):
            bytes.withUnsafeBytes { arena.append($0, to: Destination(address: address, socket: socket)) }
        case .remoteChanged(let address):
            addressChanges.append((index, address))
            transportMoved(index, to: address)
            if isConnected { tell(.moved(remote: address)) }
        case .connected(let address):
            addressChanges.append((index, address))
            transportConnected(index, arena: arena, at: now)
            // Unbundled: all transports that carry something must be up.
            let inUse = Set(connection.media.filter { $0.codec != nil }.map(\.transportIndex))
            if !isConnected, inUse.allSatisfy({ connection.transports[$0].state == .connected }) {
                isConnected = true
                connectedAt = now
                deadline = now
                tell(.connected(remote: address))
            }
        case .failed(let failure):
            switch failure {
            case .iceTimeout(let checks): fail(.iceTimeout(checks: checks))
            case .iceError(let text): fail(.iceError(text))
            case .iceConsentExpired: fail(.iceConsentExpired)
            case .dtlsFingerprint: fail(.dtlsFingerprint)
            case .dtlsError(let text): fail(.dtlsError(text))
            }
        case .closedByPeer:
            fail(.closedByPeer)
        }
    }
}
