// SPDX-License-Identifier: Apache-2.0
// A bad network between real programs: passes UDP on to one address through emulated links. Run by `martlet relay`.
import Glibc
import NetworkEmulator
import Primitives

/// Forwards datagrams between clients and one target; each client has a link of its own in each direction.
///
/// One thread, no locks; IPv4. To the target each client looks like a program on this machine with a port of its own.
public struct UDPRelay {
    public enum Direction: String, Sendable, CaseIterable {
        /// To the target; from it; both.
        case up, down, both
    }

    public struct SystemError: Error, CustomStringConvertible, Sendable {
        let call: String
        let code: Int32
        public var description: String { "\(call): \(String(cString: strerror(code)))" }
    }

    private struct Flow {
        let client: sockaddr_in
        let socket: Int32
        var up: Link
        var down: Link
    }

    /// Further clients are ignored.
    static let maximumFlows = 256

    /// The port that clients send to.
    public let port: UInt16
    private let socket: Int32
    private let target: sockaddr_in
    private let seed: UInt64
    private var profiles: (up: LinkProfile, down: LinkProfile) = (.perfect, .perfect)
    private var flows: [Flow] = []
    private var buffer = [UInt8](repeating: 0, count: 65_536)

    /// - Parameters:
    ///   - port: 0 = any free one.
    ///   - target: IPv4.
    ///   - seed: decides every loss and delay; client n has links of its own.
    public init(port: UInt16, target: SocketAddress, seed: UInt64) throws(SystemError) {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        guard socket >= 0 else { throw SystemError(call: "socket", code: errno) }
        self.socket = socket
        Self.enlarge(socket)
        var address = Self.address(0, port)
        guard Self.with(&address, { bind(socket, $0, $1) }) == 0 else { throw SystemError(call: "bind UDP port \(port)", code: errno) }
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutableBytes(of: &address) {
            getsockname(socket, $0.baseAddress?.assumingMemoryBound(to: sockaddr.self), &length)
        }
        self.port = UInt16(bigEndian: address.sin_port)
        self.target = Self.address(UInt32(truncatingIfNeeded: target.low), target.port)
        self.seed = seed
    }

    /// Changes the links, those in use as well.
    public mutating func change(_ direction: Direction, _ text: String) throws(LinkProfile.TextError) {
        var changed = profiles
        if direction != .down { try changed.up.apply(text) }
        if direction != .up { try changed.down.apply(text) }
        profiles = changed
        for i in flows.indices {
            flows[i].up.profile = changed.up
            flows[i].down.profile = changed.down
        }
    }

    /// What became of the datagrams of all clients.
    public var counters: (up: Link.Counters, down: Link.Counters) {
        flows.reduce(into: (Link.Counters(), Link.Counters())) { sum, flow in
            sum.0 += flow.up.counters
            sum.1 += flow.down.counters
        }
    }

    /// Passes on what is there and due; waits for at most `milliseconds` for something to be.
    ///
    /// - Returns: whether `input`, a descriptor of the caller's, can be read.
    public mutating func turn(milliseconds: Int64, input: Int32) -> Bool {
        let now = Self.now()
        let next = flows.flatMap { [$0.up.nextDeadline, $0.down.nextDeadline] }.compactMap(\.self).min()
        let wait = min(milliseconds * 1_000_000, max(0, next.map { $0.nanoseconds(since: now) } ?? .max))
        var polls = [pollfd(fd: socket, events: Int16(POLLIN), revents: 0), pollfd(fd: input, events: Int16(POLLIN), revents: 0)]
        polls += flows.map { pollfd(fd: $0.socket, events: Int16(POLLIN), revents: 0) }
        guard poll(&polls, nfds_t(polls.count), Int32((wait + 999_999) / 1_000_000)) >= 0 else { return false }
        if polls[0].revents != 0 { receiveFromClients() }
        for i in flows.indices where i + 2 < polls.count && polls[i + 2].revents != 0 { receiveFromTarget(i) }
        deliver()
        return polls[1].revents != 0
    }

    private mutating func receiveFromClients() {
        while true {
            var source = sockaddr_in()
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let count = withUnsafeMutableBytes(of: &source) { source in
                recvfrom(socket, &buffer, buffer.count, 0, source.baseAddress?.assumingMemoryBound(to: sockaddr.self), &length)
            }
            guard count > 0 else { return }
            guard let i = flow(of: source) else { continue }
            flows[i].up.send(Array(buffer[..<count]), at: Self.now())
        }
    }

    private mutating func receiveFromTarget(_ i: Int) {
        while true {
            let count = recv(flows[i].socket, &buffer, buffer.count, 0)
            guard count > 0 else { return }
            flows[i].down.send(Array(buffer[..<count]), at: Self.now())
        }
    }

    private mutating func deliver() {
        let now = Self.now()
        for i in flows.indices {
            for datagram in flows[i].up.deliver(at: now) { _ = send(flows[i].socket, datagram, datagram.count, 0) }
            var client = flows[i].client
            for datagram in flows[i].down.deliver(at: now) {
                _ = Self.with(&client) { sendto(socket, datagram, datagram.count, 0, $0, $1) }
            }
        }
    }

    private mutating func flow(of client: sockaddr_in) -> Int? {
        if let i = flows.firstIndex(where: { $0.client.sin_port == client.sin_port && $0.client.sin_addr.s_addr == client.sin_addr.s_addr }) {
            return i
        }
        guard flows.count < Self.maximumFlows else { return nil }
        let own = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        guard own >= 0 else { return nil }
        Self.enlarge(own)
        var to = target
        guard Self.with(&to, { connect(own, $0, $1) }) == 0 else {
            close(own)
            return nil
        }
        let number = UInt64(flows.count)
        flows.append(
            Flow(
                client: client, socket: own, up: Link(profile: profiles.up, seed: seed &+ 2 &* number),
                down: Link(profile: profiles.down, seed: seed &+ 2 &* number &+ 1)))
        return flows.count - 1
    }

    private static func now() -> Instant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    /// The losses are to be those of the links, not of the sockets.
    private static func enlarge(_ socket: Int32) {
        var size: Int32 = 4 << 20
        setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }

    private static func address(_ ipv4: UInt32, _ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = ipv4.bigEndian
        return address
    }

    private static func with<Result>(_ address: inout sockaddr_in, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }
}
