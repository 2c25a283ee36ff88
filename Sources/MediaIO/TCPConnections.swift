// SPDX-License-Identifier: Apache-2.0
// The TCP half of a reactor's media port: accepts, reads, writes and ends ICE-TCP connections. They have an epoll of their
// own inside the reactor's, so that UDP is served without a look at them. Owned by ReactorCore; its thread only.
import CMartlet
import Glibc
import MediaGraph
import Primitives
import RTP

/// All TCP connections of one reactor.
final class TCPConnections {
    /// What happened to connections since the owner last looked; rare, so kept in a list.
    enum Change {
        case stalled(SocketAddress)
        case resumed(SocketAddress)
    }

    /// A connection has to show that it belongs to somebody within this time.
    static let firstCheckTimeout = TimeSpan.seconds(5)
    /// Browsers check an idle pair at least every 25 s.
    static let idleTimeout = TimeSpan.seconds(60)
    /// Connections that have not shown whose they are, in all and from one host. Above, the oldest of them goes.
    static let maximumUnbound = 512
    static let maximumUnboundPerHost = 64
    private static let acceptsPerTurn = 32
    private static let receiveSize = 64 * 1024

    /// The epoll: readable when something is to be done here.
    let descriptor: Int32
    private var listener: Int32
    private let limiter: ConnectionLimiter
    private let limits: FrameQueue.Limits
    private let memory: MemoryBudget
    private var slots: [TCPConnection?] = []
    private var freeSlots: [Int] = []
    private var generation: UInt32 = 0
    /// In the order of their arrival; bound and closed ones are left out when the list is next looked at.
    private var unbound: [TCPConnection] = []
    private var events = [epoll_event](repeating: epoll_event(), count: 64)
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: TCPConnections.receiveSize, alignment: 16)
    private var isListening = true
    private var nextSweep = Instant.zero
    private(set) var changes: [Change] = []
    private(set) var counters = TCPCounters()
    private(set) var count = 0

    /// - Parameter listener: a listening socket, which is owned from now on; -1 = none.
    init(listener: Int32, limiter: ConnectionLimiter, limits: FrameQueue.Limits, memory: MemoryBudget) throws(SystemError) {
        self.listener = listener
        self.limiter = limiter
        self.limits = limits
        self.memory = memory
        descriptor = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard descriptor >= 0 else { throw SystemError(call: "epoll_create1", code: errno) }
        if listener >= 0 { watch(listener, number: 0, EPOLLIN.rawValue, EPOLL_CTL_ADD) }
    }

    deinit {
        if listener >= 0 { Glibc.close(listener) }
        Glibc.close(descriptor)
        buffer.deallocate()
    }

    // MARK: numbers

    // A connection's number is what SocketAddress.via holds: the TCP mark, 15 bits that change with each use of a place,
    // and 16 bits of place + 1.

    private func slot(of number: UInt32) -> Int { Int(number & 0xffff) - 1 }

    private subscript(number: UInt32) -> TCPConnection? {
        let slot = slot(of: number)
        guard slots.indices.contains(slot), let connection = slots[slot], connection.address.via == number else { return nil }
        return connection
    }

    private func freshNumber() -> UInt32? {
        let slot: Int
        if let free = freeSlots.popLast() {
            slot = free
        } else {
            guard slots.count < 0xffff else { return nil }
            slots.append(nil)
            slot = slots.count - 1
        }
        generation = (generation + 1) & 0x7fff
        return SocketAddress.tcp | generation << 16 | UInt32(slot + 1)
    }

    // MARK: what epoll tells

    /// Does what is due. `receive` gets each packet with its connection and says whether the connection may stay.
    func poll(at now: Instant, _ receive: (UnsafeMutableRawBufferPointer, TCPConnection) -> Bool) {
        let ready = epoll_wait(descriptor, &events, Int32(events.count), 0)
        for i in 0..<Int(max(0, ready)) {
            let number = events[i].data.u32, mask = events[i].events
            if number == 0 {
                accept(at: now)
                continue
            }
            guard let connection = self[number] else { continue }
            if mask & EPOLLOUT.rawValue != 0 { write(connection) }
            if mask & (EPOLLIN.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 { read(connection, at: now, receive) }
        }
    }

    private func accept(at now: Instant) {
        for _ in 0..<Self.acceptsPerTurn {
            var from = martlet_address()
            let accepted = martlet_tcp_accept(listener, &from)
            if accepted < 0 {
                // Out of descriptors: the listener would wake the reactor again and again. The sweep tries anew.
                if [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(-accepted) { listen(false) }
                return
            }
            let peer = SocketAddress(high: from.high, low: from.low, port: from.port, isIPv6: from.is_ipv6 != 0)
            guard !DescriptorReserve.includes(accepted), memory.admit(AddressKey(peer)) == nil, limiter.enter(AddressKey(peer)) else {
                counters.refused &+= 1
                Glibc.close(accepted)
                continue
            }
            guard let number = freshNumber() else {
                counters.refused &+= 1
                limiter.leave(AddressKey(peer))
                Glibc.close(accepted)
                continue
            }
            makeRoom(for: peer)
            let connection = TCPConnection(descriptor: accepted, address: peer.via(number), limits: limits, memory: memory, at: now)
            slots[slot(of: number)] = connection
            unbound.append(connection)
            count += 1
            counters.accepted &+= 1
            watch(accepted, number: number, EPOLLIN.rawValue, EPOLL_CTL_ADD)
        }
    }

    /// Whoever opens connections and says nothing pushes out the oldest of such, not those who have business here.
    private func makeRoom(for peer: SocketAddress) {
        unbound.removeAll { $0.isBound || !$0.isOpen }
        var same: TCPConnection?, number = 0
        let host = AddressKey(peer)
        for one in unbound where AddressKey(one.address) == host {
            same = same ?? one
            number += 1
        }
        guard let oldest = number >= Self.maximumUnboundPerHost ? same : unbound.count >= Self.maximumUnbound ? unbound.first : nil
        else { return }
        counters.strangers &+= 1
        close(oldest)
    }

    private func read(_ connection: TCPConnection, at now: Instant, _ receive: (UnsafeMutableRawBufferPointer, TCPConnection) -> Bool) {
        let length = recv(connection.descriptor, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
        guard length > 0 else {
            if length == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) { close(connection) }
            return
        }
        connection.lastReceived = now
        var isWelcome = true
        do throws(FrameReader.TooLong) {
            try connection.reader.receive(UnsafeMutableRawBufferPointer(rebasing: buffer[..<length])) { packet in
                counters.receivedPackets &+= 1
                isWelcome = receive(packet, connection)
                return isWelcome && connection.isOpen
            }
        } catch {
            isWelcome = false
        }
        if !isWelcome {
            counters.strangers &+= 1
            close(connection)
        }
    }

    private func write(_ connection: TCPConnection) {
        if connection.sendWaiting() { changes.append(.resumed(connection.address)) }
        _ = account(for: connection)
        watchWrites(of: connection)
    }

    // MARK: send

    /// Sends one run of the arena to its TCP destination.
    func send(_ bytes: UnsafeRawPointer, _ run: SendRun, at now: Instant) {
        guard let connection = self[run.destination.address.via] else {
            counters.droppedPackets &+= UInt64(run.segments)
            return
        }
        let wasStalled = connection.queue.isStalled, dropped = connection.queue.dropped
        connection.send(bytes, run, at: now)
        let lost = connection.queue.dropped - dropped
        counters.droppedPackets &+= lost
        counters.sentPackets &+= UInt64(run.segments) &- min(lost, UInt64(run.segments))
        if !wasStalled, connection.queue.isStalled {
            counters.stalls &+= 1
            changes.append(.stalled(connection.address))
        }
        guard account(for: connection) else { return }
        watchWrites(of: connection)
    }

    /// Tells the budget what the connection's queue holds; false when that was too much and the connection is closed.
    private func account(for connection: TCPConnection) -> Bool {
        let held = connection.queue.heldMemory
        guard held != connection.accounted else { return true }
        connection.accounted = held
        guard connection.account.set(held) != nil else { return true }
        counters.evicted &+= 1
        close(connection)
        return false
    }

    private func watchWrites(of connection: TCPConnection) {
        let waits = connection.queue.count > 0 || connection.queue.isStalled
        guard waits != connection.isWaiting else { return }
        connection.isWaiting = waits
        watch(
            connection.descriptor, number: connection.address.via, EPOLLIN.rawValue | (waits ? EPOLLOUT.rawValue : 0), EPOLL_CTL_MOD)
    }

    // MARK: time and end

    func takeChanges() -> [Change] {
        let taken = changes
        changes.removeAll()
        return taken
    }

    /// Ends what has been silent for too long. Does something once a second, however often it is called.
    func sweep(at now: Instant) {
        guard now >= nextSweep else { return }
        nextSweep = now + .seconds(1)
        listen(true)
        unbound.removeAll { $0.isBound || !$0.isOpen }
        for case let connection? in slots {
            if !connection.isBound, now.span(since: connection.openedAt) > Self.firstCheckTimeout {
                counters.strangers &+= 1
                close(connection)
            } else if connection.isEvicted.isSet {
                counters.evicted &+= 1
                close(connection)
            } else if now.span(since: connection.lastReceived) > Self.idleTimeout {
                close(connection)
            }
        }
    }

    /// Ends the connection that an address is reached by; nothing happens for others.
    func close(_ address: SocketAddress) {
        if address.isTCP, let connection = self[address.via] { close(connection) }
    }

    private func close(_ connection: TCPConnection) {
        guard connection.isOpen else { return }
        connection.isOpen = false
        connection.account.close()
        epoll_ctl(descriptor, EPOLL_CTL_DEL, connection.descriptor, nil)
        Glibc.close(connection.descriptor)
        let slot = slot(of: connection.address.via)
        slots[slot] = nil
        freeSlots.append(slot)
        count -= 1
        limiter.leave(AddressKey(connection.address))
    }

    /// Ends everything, the listener too.
    func shutdown() {
        for case let connection? in slots { close(connection) }
        unbound.removeAll()
        guard listener >= 0 else { return }
        epoll_ctl(descriptor, EPOLL_CTL_DEL, listener, nil)
        Glibc.close(listener)
        listener = -1
    }

    private func listen(_ wanted: Bool) {
        guard listener >= 0, wanted != isListening else { return }
        isListening = wanted
        watch(listener, number: 0, wanted ? EPOLLIN.rawValue : 0, EPOLL_CTL_MOD)
    }

    private func watch(_ descriptor: Int32, number: UInt32, _ mask: UInt32, _ operation: Int32) {
        var event = epoll_event(events: mask, data: epoll_data_t(u32: number))
        epoll_ctl(self.descriptor, operation, descriptor, &event)
    }
}

/// What has happened on the TCP connections of a reactor so far.
public struct TCPCounters: Sendable {
    public var accepted: UInt64 = 0
    /// Closed at once: too many in all or from one address.
    public var refused: UInt64 = 0
    /// Closed because what came first was no check for a transport of ours, or did not come in time.
    public var strangers: UInt64 = 0
    /// Closed because the server's memory for remotes was short, or their address held too much of it.
    public var evicted: UInt64 = 0
    public var receivedPackets: UInt64 = 0
    public var sentPackets: UInt64 = 0
    /// Not sent, because their receiver was too slow or had gone.
    public var droppedPackets: UInt64 = 0
    /// How often a receiver was too slow.
    public var stalls: UInt64 = 0
}
