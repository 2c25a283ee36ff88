// SPDX-License-Identifier: Apache-2.0
import Glibc
import ICE
import MediaGraph
import Primitives
import RTP
import Testing

@testable import MediaIO

@Suite("ICE-TCP on the media port") struct TCPConnectionsTests {
    /// A peer's TCP connection to loopback, with packets behind their length.
    private final class Peer {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        deinit { close(descriptor) }

        init(to port: UInt16) {
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
            let result = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
            }
            #expect(result == 0)
            var time = timeval(tv_sec: 20, tv_usec: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        }

        func send(_ packet: [UInt8], piecewise: Bool = false) {
            let framed = [UInt8(packet.count >> 8), UInt8(packet.count & 255)] + packet
            for piece in piecewise ? framed.map({ [$0] }) : [framed] {
                _ = Glibc.send(descriptor, piece, piece.count, Int32(MSG_NOSIGNAL))
            }
        }

        /// The next packet; `nil` at the end of the connection.
        func receive() -> [UInt8]? {
            guard let length = read(2) else { return nil }
            return read(Int(length[0]) << 8 | Int(length[1]))
        }

        private func read(_ count: Int) -> [UInt8]? {
            var bytes = [UInt8](repeating: 0, count: count)
            var done = 0
            while done < count {
                let got = bytes.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress! + done, count - done, 0) }
                guard got > 0 else { return nil }
                done += got
            }
            return bytes
        }
    }

    private static let offer = RoutingTests.offer

    private static func value(_ attribute: String, in sdp: String) -> String { RoutingTests.value(attribute, in: sdp) }

    private static func engine(_ change: (inout MediaOverTCP) -> Void = { _ in }) throws -> ReactorEngine {
        var configuration = MediaEngineConfiguration()
        configuration.reactors = 1
        configuration.portFrom = 0
        configuration.iceTimeout = .seconds(600)
        change(&configuration.tcp)
        return try ReactorEngine(configuration: configuration)
    }

    private static func check(_ ufrag: String, _ password: String, _ number: UInt64) -> [UInt8] {
        var request = STUNMessage(.request, transactionID: .init(high: 1, low: number))
        request.attributes = [.username("\(ufrag):abcd"), .priority(1), .iceControlling(7), .useCandidate]
        return request.serialized(integrityKey: Array(password.utf8))
    }

    @Test("a check over TCP is answered over the same connection, however it is cut into pieces; UDP of the same port is untouched")
    func answers() async throws {
        let engine = try Self.engine()
        let port = try #require(engine.tcpCandidateAddresses.first?.port)
        let stream = try engine.createStream()
        let answer = try await engine.addPublisher(to: stream, offer: Self.offer, options: EndpointOptions()) { _ in }.answer
        let (ufrag, password) = (Self.value("ice-ufrag", in: answer), Self.value("ice-pwd", in: answer))
        let peer = Peer(to: port), second = Peer(to: port)
        for number in 1...3 {
            for one in [peer, second] {
                one.send(Self.check(ufrag, password, UInt64(number)), piecewise: number == 2)
                let reply = try #require(one.receive())
                let message = try reply.withUnsafeBytes { try STUNMessage(parsing: $0) }
                #expect(message.messageClass == .success && message.transactionID.low == UInt64(number))
            }
        }
        let reactor = try #require(await engine.reactorStatistics().first)
        #expect(reactor.tcpConnections == 2 && reactor.tcp.receivedPackets == 6 && reactor.tcp.sentPackets == 6)
        // With its endpoint the connections end.
        await engine.destroyStream(stream)
        #expect(peer.receive() == nil && second.receive() == nil)
        #expect(await engine.reactorStatistics().first?.tcpConnections == 0)
        await engine.shutdown()
    }

    @Test("a wrong password or a name nobody has ends the connection")
    func refuses() async throws {
        let engine = try Self.engine()
        let port = try #require(engine.tcpCandidateAddresses.first?.port)
        let stream = try engine.createStream()
        let answer = try await engine.addPublisher(to: stream, offer: Self.offer, options: EndpointOptions()) { _ in }.answer
        let ufrag = Self.value("ice-ufrag", in: answer)
        for name in [ufrag, "nobody"] {
            let peer = Peer(to: port)
            peer.send(Self.check(name, "a password that is not right", 1))
            #expect(peer.receive() == nil)
        }
        let reactor = try #require(await engine.reactorStatistics().first)
        #expect(reactor.tcpConnections == 0 && reactor.tcp.strangers == 2 && reactor.tcp.accepted == 2)
        await engine.shutdown()
    }

    @Test("connections beyond the limit are refused, and their places come back")
    func limits() async throws {
        let engine = try Self.engine { $0.maximumConnectionsPerAddress = 2 }
        let port = try #require(engine.tcpCandidateAddresses.first?.port)
        for _ in 0..<3 {
            let first = Peer(to: port), second = Peer(to: port), third = Peer(to: port)
            #expect(third.receive() == nil)
            // Rubbish ends the other two.
            first.send([0xff, 0xff])
            second.send([0x80, 0x60, 1, 2])
            #expect(first.receive() == nil && second.receive() == nil)
        }
        #expect(await engine.reactorStatistics().first?.tcp.refused == 3)
        await engine.shutdown()
    }

    @Test("what is offered follows the setting and the peer's wish")
    func offers() async throws {
        func transports(_ wish: MediaTransportKind?, _ change: (inout MediaOverTCP) -> Void = { _ in }) async throws -> Set<String> {
            let engine = try Self.engine(change)
            let stream = try engine.createStream()
            var options = EndpointOptions()
            options.transport = wish
            let answer = try await engine.addPublisher(to: stream, offer: Self.offer, options: options) { _ in }.answer
            await engine.shutdown()
            return Set(answer.split(separator: "\r\n").filter { $0.hasPrefix("a=candidate:") }.map { String($0.split(separator: " ")[2]) })
        }
        #expect(try await transports(nil) == ["udp", "tcp"])
        #expect(try await transports(.udp) == ["udp"])
        #expect(try await transports(.tcp) == ["tcp"])
        #expect(try await transports(nil) { $0.isDefault = true } == ["tcp"])
        #expect(try await transports(.udp) { $0.isDefault = true } == ["udp"])
        #expect(try await transports(.tcp) { $0.isOpen = false } == ["udp"])
    }
}
