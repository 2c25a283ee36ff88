// SPDX-License-Identifier: Apache-2.0
// What lives on a reactor's thread: sockets, the demultiplexer, streams, endpoints and timers. The way of a datagram
// reads top to bottom: receive → route → endpoint → stream's ring → flush to the players → arena → send.
import CMartlet
import Clocks
import Glibc
import ICE
import MediaGraph
import Primitives
import RTP
import WebRTC

/// A reactor's state and loop. Not Sendable: created by `Reactor`, then only used on its thread.
final class ReactorCore {
    struct Counters: Sendable {
        var receivedDatagrams: UInt64 = 0
        var receivedBytes: UInt64 = 0
        var sentDatagrams: UInt64 = 0
        var sentRuns: UInt64 = 0
        var sentBytes: UInt64 = 0
        /// Nobody waits for this: no such ufrag, no such address.
        var unroutable: UInt64 = 0
        /// Checks not looked at, because too many came from one network.
        var checksIgnored: UInt64 = 0
        /// The same by the transports of endpoints that are gone.
        var checksIgnoredBefore: UInt64 = 0
        var wakeUps: UInt64 = 0
        /// Of the sockets of connections that we opened.
        var clientFailures = SendFailures()
    }

    private struct Route {
        let endpoint: Endpoint
        let transport: Int
    }

    let index: Int
    let configuration: MediaEngineConfiguration
    private let mailbox: Mailbox
    private let poller: Int32
    private let socket: UDPSocket
    /// Sockets of connections that we opened ourselves: a server at the other end has one address for all of them.
    private var clientSockets: [Int32: (socket: UDPSocket, endpoint: Endpoint?)] = [:]
    private let receiver: OpaquePointer
    private(set) var arena: SendArena!
    let tcp: TCPConnections
    /// What this thread is at, for the last line of a process that crashes; its thread's own once `run` has begun.
    private var crumb = martlet_breadcrumb_here()!

    private var routesByAddress: [SocketAddress: Route] = [:]
    /// By `ICECredentials.routingKey`.
    private var routesByUfrag: [UInt64: Route] = [:]
    private var checkLimiter = CheckLimiter()
    private(set) var streams: [UInt64: MediaStream] = [:]
    private(set) var endpoints: [UInt64: Endpoint] = [:]
    private let deadlines = DeadlineTable()
    /// What the rings of all streams and the peer connections here hold of the server's memory.
    private let account: MemoryAccount
    private var nextAccounting = Instant.zero
    /// Bytes that a peer connection takes beside its stream's ring, roughly.
    private static let endpointMemory = 32_768
    private(set) var localSources: [UInt64: LocalSourceCore] = [:]
    /// What fills the streams here whose home is another reactor, by the handle of the mirror.
    var mirrorSources: [UInt64: MirrorSource] = [:]
    private(set) var taps: [UInt64: MediaStream] = [:]
    /// All reactors of the engine, by index: where mirrors of streams here live.
    var peers: [Reactor] = []
    /// What bridges make of tracks of streams here.
    private(set) var conversions: [UInt64: ConversionCore] = [:]
    private var touched: ContiguousArray<MediaStream> = []
    private(set) var counters = Counters()
    private var nextTick = Instant.zero
    /// When a stream on the list must be fanned out at the latest.
    private var nextFlush = Instant.distantFuture
    /// epoll_pwait2 is there (Linux 5.11); without it a wait of less than a millisecond takes one.
    private var hasFineTimeout = true
    private(set) var isStopped = false
    private(set) var now = MonotonicClock.now()

    static let tick = TimeSpan.milliseconds(10)
    /// Receives of 16 buffers before the fan-out has its turn, so that a flood can't starve the players.
    static let receivesPerTurn = 8
    /// A peer that moves from network to network leaves its old addresses behind.
    static let addressesPerEndpoint = 8

    init(
        index: Int, socket: UDPSocket, tcp: TCPConnections, mailbox: Mailbox, configuration: MediaEngineConfiguration
    ) throws(SystemError) {
        self.index = index
        self.socket = socket
        self.tcp = tcp
        self.mailbox = mailbox
        self.configuration = configuration
        account = configuration.memory.account(for: nil)
        poller = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard poller >= 0 else { throw SystemError(call: "epoll_create1", code: errno) }
        guard let receiver = martlet_receiver_create() else { throw SystemError(call: "receive buffers", code: ENOMEM) }
        self.receiver = receiver
        arena = SendArena { [unowned self] arena in self.send(arena) }
        watch(socket.descriptor)
        watch(mailbox.descriptor)
        watch(tcp.descriptor)
    }

    deinit {
        martlet_receiver_destroy(receiver)
        close(poller)
    }

    private func watch(_ descriptor: Int32) {
        var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data_t(fd: descriptor))
        epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event)
    }

    // MARK: the loop

    func run() {
        crumb = martlet_breadcrumb_here()
        var events = [epoll_event](repeating: epoll_event(), count: 64)
        while !isStopped {
            let count = wait(into: &events)
            now = MonotonicClock.now()
            counters.wakeUps &+= 1
            for i in 0..<Int(max(0, count)) {
                let descriptor = events[i].data.fd
                if descriptor == mailbox.descriptor { runJobs() } else if descriptor == tcp.descriptor { pollTCP() } else { receive(on: descriptor) }
            }
            flushStreams()
            if now >= nextTick, !hasNoTimers {
                nextTick = now + Self.tick
                advance()
            }
            arena.flush()
        }
        tcp.shutdown()
        // Whoever still waits is answered (with nothing).
        for job in mailbox.close() { job(self) }
    }

    /// Sleeps until something arrives or is due.
    private func wait(into events: inout [epoll_event]) -> Int32 {
        if hasNoTimers {
            settleMemory()
            return epoll_wait(poller, &events, Int32(events.count), -1)
        }
        let left = max(.zero, min(nextTick, nextFlush).span(since: now)).nanoseconds
        if hasFineTimeout {
            var timeout = timespec(tv_sec: Int(left / 1_000_000_000), tv_nsec: Int(left % 1_000_000_000))
            let count = epoll_pwait2(poller, &events, Int32(events.count), &timeout, nil)
            if count >= 0 || errno != ENOSYS { return count }
            hasFineTimeout = false
        }
        return epoll_wait(poller, &events, Int32(events.count), Int32((left + 999_999) / 1_000_000))
    }

    /// Fans out; streams of which half a picture has arrived stay on the list for a moment.
    private func flushStreams() {
        nextFlush = .distantFuture
        var kept = 0
        for index in touched.indices {
            let stream = touched[index]
            crumb.pointee.work = MARTLET_WORK_FANOUT
            crumb.pointee.number = stream.handle.rawValue
            let next = stream.flush(into: arena, at: now)
            if next < .distantFuture {
                nextFlush = min(nextFlush, next)
                touched[kept] = stream
                kept += 1
            } else {
                stream.isQueued = false
            }
        }
        touched.removeLast(touched.count - kept)
        crumb.pointee.work = MARTLET_WORK_NONE
    }

    /// Says what this thread is at, in case it dies of it.
    @inline(__always)
    func leaveCrumb(_ work: martlet_work, _ endpoint: Endpoint? = nil) {
        crumb.pointee.work = work
        crumb.pointee.label = endpoint.map { UnsafePointer($0.crumbLabel) }
    }

    /// The same for a packet of a connection.
    func leaveCrumb(_ work: martlet_work, peer: SocketAddress) {
        crumb.pointee.peer = martlet_address(high: peer.high, low: peer.low, port: peer.port, is_ipv6: peer.isIPv6 ? 1 : 0)
        crumb.pointee.work = work
    }

    private var hasNoTimers: Bool { endpoints.isEmpty && localSources.isEmpty && conversions.isEmpty && tcp.count == 0 }

    private func runJobs() {
        crumb.pointee.work = MARTLET_WORK_JOB
        for job in mailbox.drain() { job(self) }
        leaveCrumb(MARTLET_WORK_NONE)
        arena.flush()
    }

    // MARK: receive

    private func receive(on descriptor: Int32) {
        crumb.pointee.work = MARTLET_WORK_DATAGRAM
        defer { crumb.pointee.work = MARTLET_WORK_NONE }
        for _ in 0..<Self.receivesPerTurn {
            let count = martlet_receive(receiver, descriptor)
            guard count > 0 else { return }
            for i in 0..<count {
                let buffer = martlet_received(receiver, i)!.pointee
                let source = SocketAddress(
                    high: buffer.from.high, low: buffer.from.low, port: buffer.from.port, isIPv6: buffer.from.is_ipv6 != 0,
                    via: buffer.has_to != 0 ? socket.number(of: buffer.to) : 0)
                counters.receivedBytes &+= UInt64(buffer.length)
                crumb.pointee.peer = buffer.from
                var offset = 0
                while offset < Int(buffer.length) {
                    let length = min(Int(buffer.segment), Int(buffer.length) - offset)
                    counters.receivedDatagrams &+= 1
                    let datagram = UnsafeMutableRawBufferPointer(start: buffer.data + offset, count: length)
                    route(datagram, from: source, on: descriptor)
                    offset += length
                }
            }
            if count < 16 { return }
        }
    }

    /// Demultiplexing (design §3): by 4-tuple once a transport is known, by ufrag before.
    @inline(__always)
    func route(_ datagram: UnsafeMutableRawBufferPointer, from source: SocketAddress, on descriptor: Int32) {
        let isStun = PacketClass(UnsafeRawBufferPointer(datagram)) == .stun
        if descriptor != socket.descriptor { return routeToClient(datagram, from: source, on: descriptor, isStun: isStun) }
        if !isStun {
            guard let route = routesByAddress[source] else { return counters.unroutable &+= 1 }
            return hand(datagram, to: route, from: source)
        }
        guard let ufrag = STUNMessage.routingKey(of: UnsafeRawBufferPointer(datagram)), let route = routesByUfrag[ufrag]
        else { return counters.unroutable &+= 1 }
        if isRouted(source, to: route) { return hand(datagram, to: route, from: source) }
        guard checkLimiter.take(source, at: now) else { return counters.checksIgnored &+= 1 }
        hand(datagram, to: route, from: source)
        if !isRouted(source, to: route) { routeVerified(source, to: route) }
    }

    @inline(__always)
    private func isRouted(_ source: SocketAddress, to route: Route) -> Bool {
        guard let known = routesByAddress[source] else { return false }
        return known.endpoint === route.endpoint && known.transport == route.transport
    }

    func isRouted(_ address: SocketAddress) -> Bool { routesByAddress[address] != nil }
    func endpoint(at address: SocketAddress) -> Endpoint? { routesByAddress[address]?.endpoint }

    /// Whether a first check names a transport that lives here.
    func hasTransport(for check: UnsafeRawBufferPointer) -> Bool {
        STUNMessage.routingKey(of: check).map { routesByUfrag[$0] != nil } ?? false
    }

    /// A check from a new address: once it is known to be the peer's, media from there is taken, chosen or not.
    private func routeVerified(_ source: SocketAddress, to route: Route) {
        guard endpoints[route.endpoint.id.rawValue] === route.endpoint,
            route.endpoint.connection.transports[route.transport].hasVerified(source)
        else { return }
        add(source, to: route)
    }

    /// A client connection has a socket of its own; unbundled, its transports differ by the remote address.
    private func routeToClient(
        _ datagram: UnsafeMutableRawBufferPointer, from source: SocketAddress, on descriptor: Int32, isStun: Bool
    ) {
        guard let endpoint = clientSockets[descriptor]?.endpoint else { return counters.unroutable &+= 1 }
        let transports = endpoint.connection.transports
        if transports.count <= 1 { return hand(datagram, to: Route(endpoint: endpoint, transport: 0), from: source) }
        if let index = transports.firstIndex(where: { $0.remote == source || $0.remoteCandidates.contains(source) }) {
            hand(datagram, to: Route(endpoint: endpoint, transport: index), from: source)
        } else {
            counters.unroutable &+= 1
        }
    }

    @inline(__always)
    private func hand(_ datagram: UnsafeMutableRawBufferPointer, to route: Route, from source: SocketAddress) {
        let endpoint = route.endpoint
        guard route.transport < endpoint.connection.transports.count else { return }
        crumb.pointee.label = UnsafePointer(endpoint.crumbLabel)
        defer { crumb.pointee.label = nil }
        endpoint.receive(datagram, transport: route.transport, from: source, arena: arena, at: now)
        if !endpoint.addressChanges.isEmpty { noteAddresses(of: endpoint) }
        let stream = endpoint.stream
        if stream.hasOtherForms { settleTracks(of: endpoint) }
        if stream.hasPending, !stream.isQueued {
            stream.isQueued = true
            touched.append(stream)
        }
        if endpoint.isFailed { remove(endpoint) }
    }

    /// A publisher has brought another track, or another codec.
    @inline(never)
    private func settleTracks(of endpoint: Endpoint) {
        guard settleTracks(of: endpoint.stream) else { return }
        (endpoint as? PublisherEndpoint)?.tellTracks()
    }

    private func noteAddresses(of endpoint: Endpoint) {
        Breadcrumb.trap(at: "datagram")
        for (transport, address) in endpoint.addressChanges where endpoint.socket == socket.descriptor {
            add(address, to: Route(endpoint: endpoint, transport: transport))
        }
        endpoint.addressChanges.removeAll()
    }

    private func add(_ address: SocketAddress, to route: Route) {
        routesByAddress[address] = route
        let endpoint = route.endpoint
        guard !endpoint.routedAddresses.contains(address) else { return }
        endpoint.routedAddresses.append(address)
        guard endpoint.routedAddresses.count > Self.addressesPerEndpoint else { return }
        // The oldest goes, but never one in use.
        let inUse = endpoint.connection.transports.compactMap(\.remote)
        if let index = endpoint.routedAddresses.firstIndex(where: { !inUse.contains($0) && $0 != address }) {
            forget(endpoint.routedAddresses.remove(at: index), of: endpoint)
        }
    }

    private func forget(_ address: SocketAddress, of endpoint: Endpoint) {
        if routesByAddress[address]?.endpoint === endpoint { routesByAddress[address] = nil }
        tcp.close(address)
    }

    // MARK: send

    private func send(_ arena: SendArena) {
        for run in arena.runs {
            counters.sentRuns &+= 1
            counters.sentDatagrams &+= UInt64(run.segments)
            counters.sentBytes &+= UInt64(run.length)
            if run.destination.address.isTCP {
                tcp.send(arena.memory + run.offset, run, at: now)
            } else if run.destination.socket == socket.descriptor {
                if !socket.send(arena.memory + run.offset, run) { note(socket.lastFailures, of: run) }
            } else if let client = clientSockets[run.destination.socket], !client.socket.send(arena.memory + run.offset, run) {
                counters.clientFailures += client.socket.lastFailures
                client.endpoint?.note(client.socket.lastFailures, packetLength: run.segmentLength)
            }
        }
    }

    @inline(never)
    private func note(_ failures: SendFailures, of run: SendRun) {
        endpoint(at: run.destination.address)?.note(failures, packetLength: run.segmentLength)
    }

    /// Checks not looked at, here and by the transports, those of endpoints that are gone included.
    var checksIgnored: UInt64 {
        endpoints.values.reduce(counters.checksIgnored &+ counters.checksIgnoredBefore) { $0 &+ $1.checksIgnored }
    }

    var socketDrops: UInt64 { socket.drops }

    /// Packets that could not leave as they were meant to, of all sockets.
    var sendFailures: SendFailures {
        var all = socket.failures
        all += counters.clientFailures
        return all
    }

    // MARK: timers

    private func advance() {
        for endpoint in deadlines.due(at: now) {
            leaveCrumb(MARTLET_WORK_TIMER, endpoint)
            endpoint.advance(arena: arena, at: now)
            if !endpoint.addressChanges.isEmpty { noteAddresses(of: endpoint) }
            if endpoint.stream.hasOtherForms { settleTracks(of: endpoint) }
            if endpoint.isFailed { remove(endpoint) }
        }
        leaveCrumb(MARTLET_WORK_NONE)
        for source in localSources.values {
            source.advance(arena: arena, at: now)
            if source.stream.hasOtherForms, settleTracks(of: source.stream) { source.tellTracks() }
        }
        for conversion in conversions.values { conversion.advance(arena: arena, at: now) }
        for source in mirrorSources.values { source.advance(arena: arena, at: now) }
        settleTCP()
        if now >= nextAccounting {
            nextAccounting = now + .seconds(1)
            settleMemory()
        }
    }

    /// Tells the budget what is held here. Rings have asked before they grew, and give back here; the rest is there already, and when it
    /// is too much, new streams and players are refused.
    private func settleMemory() {
        account.note(streams.values.reduce(endpoints.count * Self.endpointMemory) { $0 + $1.memory })
    }

    // MARK: what jobs do

    func stream(_ handle: StreamHandle) -> MediaStream? { streams[handle.rawValue] }
    func endpoint(_ id: EndpointID) -> Endpoint? { endpoints[id.rawValue] }

    @discardableResult
    func addStream(_ handle: StreamHandle) -> MediaStream {
        let stream = MediaStream(handle: handle, allowance: account)
        streams[handle.rawValue] = stream
        return stream
    }

    /// Ends a stream with everything on it; returns how many endpoints were still alive.
    func removeStream(_ handle: StreamHandle) -> Int {
        guard let stream = streams.removeValue(forKey: handle.rawValue) else { return 0 }
        let own = endpoints.values.filter { $0.stream === stream }
        for endpoint in own { remove(endpoint) }
        for (id, source) in localSources where source.stream === stream { localSources[id] = nil }
        mirrorSources[handle.rawValue] = nil
        for (id, tapped) in taps where tapped === stream { taps[id] = nil }
        for (id, conversion) in conversions where conversion.stream === stream { conversions[id] = nil }
        stream.sourceLeft()
        return own.count { !$0.isFailed }
    }

    /// Registers an endpoint and carries out its first actions.
    func add(_ endpoint: Endpoint, initial: [(transport: Int, action: TransportAction)]) {
        endpoints[endpoint.id.rawValue] = endpoint
        deadlines.add(endpoint)
        if endpoint.socket == socket.descriptor {
            for (index, transport) in endpoint.connection.transports.enumerated() {
                routesByUfrag[transport.localCredentials.routingKey] = Route(endpoint: endpoint, transport: index)
            }
        } else {
            clientSockets[endpoint.socket]?.endpoint = endpoint
        }
        begin(endpoint, initial)
    }

    /// Carries out actions of the control plane's making, and sees to it that the timers run.
    func begin(_ endpoint: Endpoint, _ actions: [(transport: Int, action: TransportAction)]) {
        now = MonotonicClock.now()
        endpoint.begin(actions, arena: arena, at: now)
        if !endpoint.addressChanges.isEmpty { noteAddresses(of: endpoint) }
        nextTick = min(nextTick, now + Self.tick)
    }

    /// Restarts ICE; first checks are found under the new name from now on.
    func restart(_ endpoint: Endpoint, remote: ICECredentials) -> PeerConnection.Restart? {
        now = MonotonicClock.now()
        let old = endpoint.connection.transports.map(\.localCredentials.routingKey)
        guard endpoint.socket == socket.descriptor,
            let restart = endpoint.connection.restart(remote: remote, at: now)
        else { return nil }
        for ufrag in old { routesByUfrag[ufrag] = nil }
        for (index, transport) in endpoint.connection.transports.enumerated() {
            routesByUfrag[transport.localCredentials.routingKey] = Route(endpoint: endpoint, transport: index)
        }
        begin(endpoint, [])
        return restart
    }

    /// Says goodbye to the peer and forgets the endpoint.
    func remove(_ endpoint: Endpoint) {
        guard endpoints.removeValue(forKey: endpoint.id.rawValue) != nil else { return }
        deadlines.remove(endpoint)
        counters.checksIgnoredBefore &+= endpoint.checksIgnored
        crumb.pointee.label = nil
        endpoint.close(arena: arena, at: now)
        endpoint.detach()
        arena.flush()
        if endpoint.socket == socket.descriptor {
            for transport in endpoint.connection.transports { routesByUfrag[transport.localCredentials.routingKey] = nil }
            for address in endpoint.routedAddresses { forget(address, of: endpoint) }
        } else if let client = clientSockets.removeValue(forKey: endpoint.socket) {
            epoll_ctl(poller, EPOLL_CTL_DEL, client.socket.descriptor, nil)
        }
    }

    /// The shared media port's descriptor.
    var sharedSocket: Int32 { socket.descriptor }

    /// A socket of its own for a connection that we open.
    func openClientSocket() throws(SystemError) -> (descriptor: Int32, port: UInt16) {
        let socket = try UDPSocket(port: 0)
        clientSockets[socket.descriptor] = (socket, nil)
        watch(socket.descriptor)
        return (socket.descriptor, socket.port)
    }

    func closeClientSocket(_ descriptor: Int32) {
        guard let client = clientSockets.removeValue(forKey: descriptor) else { return }
        epoll_ctl(poller, EPOLL_CTL_DEL, client.socket.descriptor, nil)
    }

    func addLocalSource(_ source: LocalSourceCore) { localSources[source.id.rawValue] = source }
    func addConversion(_ conversion: ConversionCore) { conversions[conversion.id.rawValue] = conversion }
    /// false when it has to stay.
    func removeConversion(_ id: EndpointID) -> Bool {
        guard let conversion = conversions[id.rawValue] else { return true }
        guard conversion.end() else { return false }
        conversions[id.rawValue] = nil
        return true
    }
    func addTap(_ id: EndpointID, on stream: MediaStream) { taps[id.rawValue] = stream }

    /// A local source or sink goes; false when `id` is neither.
    func removeLocal(_ id: EndpointID) -> Bool {
        if let source = localSources.removeValue(forKey: id.rawValue) {
            if source.stream.source === source { source.stream.sourceLeft() }
            return true
        }
        guard let stream = taps.removeValue(forKey: id.rawValue) else { return false }
        for track in stream.forms { track.removeTap(id: id.rawValue) }
        return true
    }

    /// Puts a stream on the list of those that have something to send in this turn.
    func touch(_ stream: MediaStream) {
        guard stream.hasPending, !stream.isQueued else { return }
        stream.isQueued = true
        touched.append(stream)
    }

    func stop() {
        for endpoint in Array(endpoints.values) {
            endpoint.fail(.shutdown)
            remove(endpoint)
        }
        isStopped = true
    }
}
