// SPDX-License-Identifier: Apache-2.0
// A peer connection of the load generator on a socket of its own: ICE, DTLS and SRTP as any client does them.
// Base of LoadPlayer and LoadPublisher; lives on a LoadReactor's thread.
import CBenchmarks
import CMartlet
import DTLS
import Glibc
import Primitives
import RTP
import WebRTC

/// Names a client towards other threads.
struct LoadClientID: Hashable, Sendable {
    let rawValue: UInt64
}

class LoadClient {
    let id: LoadClientID
    let socket: Int32
    let connection: PeerConnection
    /// ns when `sendMedia` wants to be called next.
    var mediaDeadline: Int64 = .max
    private(set) var isConnected = false
    private(set) var failure: String?
    private var actions: [TransportAction] = []
    private var scratch = [UInt8](repeating: 0, count: 2048)

    init(id: LoadClientID, socket: Int32, connection: PeerConnection) {
        self.id = id
        self.socket = socket
        self.connection = connection
    }

    deinit { close(socket) }

    /// A socket, and what a peer connection over it is made with.
    static func open(
        _ certificate: DTLSCertificate, gro: Bool
    ) throws -> (socket: Int32, configuration: PeerConnection.Configuration) {
        var port: UInt16 = 0
        let socket = bench_udp_open(gro ? 1 : 0, &port)
        guard socket >= 0 else { throw BenchmarkError("The load generator gets no socket: \(String(cString: strerror(-socket)))") }
        return (
            socket,
            PeerConnection.Configuration(
                certificate: certificate, candidates: [SocketAddress(ipv4: 0x7f00_0001, port: port)], codecs: .init(),
                connectTimeout: .seconds(30), consentTimeout: .seconds(60))
        )
    }

    var transport: MediaTransport? { connection.transports.first }

    // MARK: what the two kinds add

    func connected(_ core: LoadCore) {}
    func receiveRTP(_ packet: UnsafeMutableRawBufferPointer, at arrival: Int64, _ core: LoadCore) {}
    func receiveRTCP(_ packets: [RTCPPacket], _ core: LoadCore) {}
    func sendMedia(_ core: LoadCore) {}
    /// Reports and the like; every few milliseconds.
    func periodic(_ core: LoadCore) {}

    // MARK: driving

    func setAnswer(_ answer: String, _ core: LoadCore) throws {
        let initial = try connection.setAnswer(answer, at: Instant(nanoseconds: core.now))
        guard connection.transports.count == 1 else { throw BenchmarkError("The server did not bundle its answer") }
        for (_, action) in initial { perform(action, core) }
    }

    func receive(_ datagram: UnsafeMutableRawBufferPointer, from source: SocketAddress, at arrival: Int64, _ core: LoadCore) {
        guard let transport else { return }
        switch transport.receive(datagram, from: source, at: Instant(nanoseconds: arrival), actions: &actions) {
        case .rtp(let length): receiveRTP(UnsafeMutableRawBufferPointer(rebasing: datagram[..<length]), at: arrival, core)
        case .rtcp(let length):
            if let packets = try? RTCP.parse(UnsafeRawBufferPointer(rebasing: datagram[..<length])) { receiveRTCP(packets, core) }
        case .nothing: break
        }
        performAll(core)
    }

    func advance(_ core: LoadCore) {
        guard let transport else { return }
        let now = Instant(nanoseconds: core.now)
        if let next = transport.nextDeadline, next <= now { actions += transport.advance(to: now) }
        performAll(core)
        if isConnected { periodic(core) }
    }

    /// Says goodbye as a closing browser tab does.
    func hangUp(_ core: LoadCore) {
        for action in transport?.close(at: Instant(nanoseconds: core.now)) ?? [] { perform(action, core) }
        core.remove(self)
    }

    private func performAll(_ core: LoadCore) {
        guard !actions.isEmpty else { return }
        let due = actions
        actions.removeAll(keepingCapacity: true)
        for action in due { perform(action, core) }
    }

    private func perform(_ action: TransportAction, _ core: LoadCore) {
        switch action {
        case .send(let bytes, let address): bytes.withUnsafeBytes { send($0, to: address) }
        case .remoteChanged: break
        case .connected:
            isConnected = true
            connected(core)
        case .failed(let reason): failure = "\(reason)"
        case .closedByPeer: failure = "closed by the server"
        }
    }

    /// One datagram, one system call, as browsers send.
    func send(_ bytes: UnsafeRawBufferPointer, to address: SocketAddress) {
        guard let base = bytes.baseAddress else { return }
        let to = martlet_address(high: address.high, low: address.low, port: address.port, is_ipv6: address.isIPv6 ? 1 : 0)
        _ = martlet_send(socket, 0, base, bytes.count, 0, to)
    }

    func sendRTCP(_ packets: [RTCPPacket]) {
        guard let sender = transport?.srtpSender, let remote = transport?.remote else { return }
        let plain = RTCP.serialize(packets)
        let length = scratch.withUnsafeMutableBytes { output in plain.withUnsafeBytes { sender.protectRTCP($0, into: output) } }
        if length > 0 { scratch.withUnsafeBytes { send(UnsafeRawBufferPointer(rebasing: $0[..<length]), to: remote) } }
    }
}

/// What went wrong in a benchmark, in a sentence.
public struct BenchmarkError: Error, CustomStringConvertible, Sendable {
    public let description: String
    init(_ description: String) { self.description = description }
}
