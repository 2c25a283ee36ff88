// SPDX-License-Identifier: Apache-2.0
import Glibc
import ICE
import MediaGraph
import Primitives
import Testing

@testable import MediaIO

@Suite("ReactorCore's demultiplexer") struct RoutingTests {
    /// A peer's UDP socket on loopback.
    private final class Peer {
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        deinit { close(descriptor) }

        func send(_ bytes: [UInt8], to port: UInt16) {
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
            withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    _ = sendto(descriptor, bytes, bytes.count, 0, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        }

        /// Waits for one datagram, at most five seconds.
        func receive() -> [UInt8]? {
            var time = timeval(tv_sec: 5, tv_usec: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
            var buffer = [UInt8](repeating: 0, count: 1500)
            let count = recv(descriptor, &buffer, buffer.count, 0)
            return count > 0 ? Array(buffer.prefix(count)) : nil
        }
    }

    static let offer = [
        "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0", "m=audio 9 UDP/TLS/RTP/SAVPF 111", "c=IN IP4 0.0.0.0",
        "a=ice-ufrag:abcd", "a=ice-pwd:0123456789012345678901",
        "a=fingerprint:sha-256 " + [String](repeating: "AB", count: 32).joined(separator: ":"), "a=setup:actpass", "a=mid:0",
        "a=sendonly", "a=rtcp-mux", "a=rtpmap:111 opus/48000/2", "",
    ].joined(separator: "\r\n")

    static func value(_ attribute: String, in sdp: String) -> String {
        sdp.split(separator: "\r\n").first { $0.hasPrefix("a=\(attribute):") }.map { String($0.dropFirst(attribute.count + 3)) } ?? ""
    }

    @Test("media from an address whose check was right is taken, whether it is nominated or not; from others it is not")
    func takesVerified() async throws {
        var configuration = MediaEngineConfiguration()
        configuration.reactors = 1
        configuration.portFrom = 0
        // However long this test is kept waiting for a core, the publisher is still expected.
        configuration.iceTimeout = .seconds(600)
        let engine = try ReactorEngine(configuration: configuration)
        let port = try #require(engine.candidateAddresses.first?.port)
        let stream = try engine.createStream()
        let answer = try await engine.addPublisher(to: stream, offer: Self.offer, options: EndpointOptions()) { _ in }.answer
        let (ufrag, password) = (Self.value("ice-ufrag", in: answer), Self.value("ice-pwd", in: answer))

        func check(_ number: UInt64, nominating: Bool) -> [UInt8] {
            var request = STUNMessage(.request, transactionID: .init(high: 1, low: number))
            request.attributes = [.username("\(ufrag):abcd"), .priority(1), .iceControlling(7)] + (nominating ? [.useCandidate] : [])
            return request.serialized(integrityKey: Array(password.utf8))
        }
        let media: [UInt8] = [0x80, 111] + [UInt8](repeating: 1, count: 40)
        let nominated = Peer(), other = Peer(), stranger = Peer()
        nominated.send(check(1, nominating: true), to: port)
        #expect(nominated.receive() != nil)
        other.send(check(2, nominating: false), to: port)
        #expect(other.receive() != nil)
        for _ in 0..<5 { other.send(media, to: port) }
        for _ in 0..<3 { stranger.send(media, to: port) }
        // The answer to one more check tells that what was sent before it has been looked at.
        stranger.send(check(3, nominating: false), to: port)
        #expect(stranger.receive() != nil)
        let counted = await engine.reactorStatistics().reduce(0) { $0 + $1.unroutable }
        #expect(counted == 3)
        await engine.shutdown()
    }
}
