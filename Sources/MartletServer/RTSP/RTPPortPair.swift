// SPDX-License-Identifier: Apache-2.0
// Two UDP ports, one for RTP and the next for RTCP, of one track with one peer. Used by both roles of RTSP.
import NIOCore
import NIOPosix
import Synchronization

/// Sends from any thread; drops what the socket does not take.
final class RTPPortPair: Sendable {
    /// Of RTP, even; RTCP has the one above.
    let port: UInt16
    private let rtp: any Channel
    private let rtcp: any Channel
    private let remote: Mutex<Remote>
    private let senders: Senders
    private let sign = Mutex(ContinuousClock.now)

    static let attempts = 50
    /// Bytes; cameras on a local network may send fragments of IP, or jumbo frames.
    private static let largestDatagram = 65_535

    private init(rtp: any Channel, rtcp: any Channel, port: UInt16, remote: Remote, senders: Senders) {
        self.rtp = rtp
        self.rtcp = rtcp
        self.port = port
        self.remote = Mutex(remote)
        self.senders = senders
    }

    /// When the peer last sent something.
    var lastSign: ContinuousClock.Instant { sign.withLock { $0 } }

    /// - Parameters:
    ///   - remotePort: the peer's for RTP.
    ///   - onPacket: what comes from the peer's address, or another that was accepted; on an event loop.
    static func open(
        host: String, remote: String, remotePort: UInt16, onPacket: @escaping @Sendable (_ bytes: [UInt8], _ isReport: Bool) -> Void = { _, _ in }
    ) async throws -> RTPPortPair {
        let peer = try Remote(host: remote, port: remotePort)
        let senders = Senders(remote)
        for _ in 0..<attempts {
            let first = try await bind(host, 0, senders) { senders.receive($0, from: $1, isReport: false, onPacket) }
            guard let number = first.localAddress?.port, number % 2 == 0, number < 65535 else {
                try await first.close()
                continue
            }
            guard let second = try? await bind(host, number + 1, senders, { senders.receive($0, from: $1, isReport: true, onPacket) }) else {
                try await first.close()
                continue
            }
            let pair = RTPPortPair(rtp: first, rtcp: second, port: UInt16(number), remote: peer, senders: senders)
            senders.set(pair)
            return pair
        }
        throw ChannelError.operationUnsupported
    }

    private static func bind(
        _ host: String, _ port: Int, _ senders: Senders, _ onPacket: @escaping @Sendable (_ bytes: [UInt8], _ host: String) -> Void
    ) async throws -> any Channel {
        try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: Self.largestDatagram))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Receiver(senders: senders, onPacket: onPacket))
                }
            }
            .bind(host: host, port: port).get()
    }

    func send(_ bytes: [UInt8], isReport: Bool) {
        let channel = isReport ? rtcp : rtp
        guard channel.isWritable else { return }
        let address = remote.withLock { isReport ? $0.rtcp : $0.rtp }
        channel.writeAndFlush(AddressedEnvelope(remoteAddress: address, data: ByteBuffer(bytes: bytes)), promise: nil)
    }

    /// The peer's ports are known now.
    func aim(at port: UInt16) {
        remote.withLock { remote in
            remote.rtp.port = Int(port)
            remote.rtcp.port = Int(port) + 1
        }
    }

    /// The peer has said that its packets come from this address: they are taken too. What is sent goes there once some have come: nobody may name
    /// a third party to whom it would be sent.
    /// - Parameter host: in numbers.
    /// - Returns: false when it is known already, or nothing can come from there to these ports.
    func accept(_ host: String) -> Bool {
        let peer = remote.withLock { $0.host }
        // Nobody else may have something sent to this machine itself.
        return host.contains(":") == peer.contains(":") && Self.isLoopback(host) == Self.isLoopback(peer) && senders.add(host)
    }

    private static func isLoopback(_ host: String) -> Bool { host == "::1" || host.hasPrefix("127.") }

    func close() async {
        try? await rtp.close()
        try? await rtcp.close()
    }

    private func noteSign(of host: String) {
        sign.withLock { $0 = .now }
        remote.withLock { $0.move(to: host) }
    }

    /// Where packets go.
    private struct Remote {
        private(set) var host: String
        var rtp: SocketAddress
        var rtcp: SocketAddress

        init(host: String, port: UInt16) throws {
            self.host = host
            rtp = try SocketAddress(ipAddress: host, port: Int(port))
            rtcp = try SocketAddress(ipAddress: host, port: Int(port) + 1)
        }

        /// To another address, and the same ports there.
        mutating func move(to host: String) {
            guard host != self.host, let rtp = try? SocketAddress(ipAddress: host, port: self.rtp.port ?? 0),
                let rtcp = try? SocketAddress(ipAddress: host, port: self.rtcp.port ?? 0)
            else { return }
            (self.host, self.rtp, self.rtcp) = (host, rtp, rtcp)
        }
    }

    /// Who may send. The sockets' handlers have it, which are there before the pair.
    private final class Senders: Sendable {
        private struct State {
            var hosts: [String]
            weak var pair: RTPPortPair?
        }
        private let state: Mutex<State>

        init(_ host: String) { state = Mutex(State(hosts: [host])) }

        func set(_ pair: RTPPortPair) { state.withLock { $0.pair = pair } }

        /// - Returns: false when it is among them already.
        func add(_ host: String) -> Bool {
            state.withLock { state in
                guard !state.hosts.contains(host) else { return false }
                state.hosts.append(host)
                return true
            }
        }

        func contains(_ host: String) -> Bool { state.withLock { $0.hosts.contains(host) } }

        func receive(_ bytes: [UInt8], from host: String, isReport: Bool, _ onPacket: ([UInt8], Bool) -> Void) {
            state.withLock { $0.pair }?.noteSign(of: host)
            onPacket(bytes, isReport)
        }
    }

    private final class Receiver: ChannelInboundHandler {
        typealias InboundIn = AddressedEnvelope<ByteBuffer>
        private let senders: Senders
        private let onPacket: @Sendable (_ bytes: [UInt8], _ host: String) -> Void

        init(senders: Senders, onPacket: @escaping @Sendable (_ bytes: [UInt8], _ host: String) -> Void) {
            self.senders = senders
            self.onPacket = onPacket
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let envelope = unwrapInboundIn(data)
            // Nobody else has business here.
            guard let host = envelope.remoteAddress.ipAddress, senders.contains(host) else { return }
            onPacket(Array(envelope.data.readableBytesView), host)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {}
    }
}
