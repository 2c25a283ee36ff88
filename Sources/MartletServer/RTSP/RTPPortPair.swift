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
    private let remote: Mutex<(rtp: SocketAddress, rtcp: SocketAddress)>
    private let sign = Mutex(ContinuousClock.now)

    static let attempts = 50
    /// Bytes; cameras on a local network may send fragments of IP, or jumbo frames.
    private static let largestDatagram = 65_535

    private init(rtp: any Channel, rtcp: any Channel, port: UInt16, remote: (SocketAddress, SocketAddress)) {
        self.rtp = rtp
        self.rtcp = rtcp
        self.port = port
        self.remote = Mutex((remote.0, remote.1))
    }

    /// When the peer last sent something.
    var lastSign: ContinuousClock.Instant { sign.withLock { $0 } }

    /// - Parameters:
    ///   - remotePort: the peer's for RTP.
    ///   - onPacket: what comes from the peer's address; on an event loop.
    static func open(
        host: String, remote: String, remotePort: UInt16, onPacket: @escaping @Sendable (_ bytes: [UInt8], _ isReport: Bool) -> Void = { _, _ in }
    ) async throws -> RTPPortPair {
        let peer = (try SocketAddress(ipAddress: remote, port: Int(remotePort)), try SocketAddress(ipAddress: remote, port: Int(remotePort) + 1))
        let holder = Holder()
        for _ in 0..<attempts {
            let first = try await bind(host, 0, remote: remote) { holder.receive($0, isReport: false, onPacket) }
            guard let number = first.localAddress?.port, number % 2 == 0, number < 65535 else {
                try await first.close()
                continue
            }
            guard let second = try? await bind(host, number + 1, remote: remote, { holder.receive($0, isReport: true, onPacket) }) else {
                try await first.close()
                continue
            }
            let pair = RTPPortPair(rtp: first, rtcp: second, port: UInt16(number), remote: peer)
            holder.set(pair)
            return pair
        }
        throw ChannelError.operationUnsupported
    }

    private static func bind(_ host: String, _ port: Int, remote: String, _ onPacket: @escaping @Sendable ([UInt8]) -> Void) async throws -> any Channel {
        try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: Self.largestDatagram))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Receiver(remote: remote, onPacket: onPacket))
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

    func close() async {
        try? await rtp.close()
        try? await rtcp.close()
    }

    private func noteSign() { sign.withLock { $0 = .now } }

    private final class Holder: Sendable {
        private let pair = Mutex<Weak>(Weak())
        private struct Weak { weak var value: RTPPortPair? }
        func set(_ value: RTPPortPair) { pair.withLock { $0.value = value } }
        func receive(_ bytes: [UInt8], isReport: Bool, _ onPacket: ([UInt8], Bool) -> Void) {
            pair.withLock { $0.value }?.noteSign()
            onPacket(bytes, isReport)
        }
    }

    private final class Receiver: ChannelInboundHandler {
        typealias InboundIn = AddressedEnvelope<ByteBuffer>
        private let remote: String
        private let onPacket: @Sendable ([UInt8]) -> Void

        init(remote: String, onPacket: @escaping @Sendable ([UInt8]) -> Void) {
            self.remote = remote
            self.onPacket = onPacket
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let envelope = unwrapInboundIn(data)
            // Nobody else has business here.
            guard envelope.remoteAddress.ipAddress == remote else { return }
            onPacket(Array(envelope.data.readableBytesView))
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {}
    }
}
