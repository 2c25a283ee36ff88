// SPDX-License-Identifier: Apache-2.0
import DTLS
import Primitives
import RTP
import SDP
import Testing
import WebRTC

@testable import MediaGraph

@Suite("A publisher that chooses among the codecs of its answer") struct CodecChoiceTests {
    private static let offer = """
        v=0
        o=- 1 1 IN IP4 127.0.0.1
        s=-
        t=0 0
        m=video 9 UDP/TLS/RTP/SAVPF 102 103 96 97
        c=IN IP4 0.0.0.0
        a=ice-ufrag:abcd
        a=ice-pwd:abcdefghijklmnopqrstuvwx
        a=fingerprint:sha-256 00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00
        a=setup:actpass
        a=mid:0
        a=sendonly
        a=rtcp-mux
        a=rtpmap:102 H264/90000
        a=fmtp:102 packetization-mode=1;profile-level-id=42e01f
        a=rtpmap:103 rtx/90000
        a=fmtp:103 apt=102
        a=rtpmap:96 VP8/90000
        a=rtpmap:97 rtx/90000
        a=fmtp:97 apt=96

        """.replacing("\n", with: "\r\n")

    private final class Bench {
        let stream = MediaStream(handle: StreamHandle(rawValue: 1)), arena = SendArena(capacity: 64 * 1024, maximumRuns: 16) { _ in }
        let publisher: PublisherEndpoint
        private var number: UInt16 = 7
        private(set) var now = Instant(milliseconds: 1000)

        init() throws {
            let connection = try PeerConnection.answerPublisher(
                offer: CodecChoiceTests.offer, namesAll: true,
                configuration: PeerConnection.Configuration(
                    certificate: try .selfSigned(commonName: "a"), candidates: [SocketAddress(ipv4: 0x7f00_0001, port: 5000)], codecs: CodecPreferences(),
                    connectTimeout: .seconds(15), consentTimeout: .seconds(30)),
                random: .seeded(1), at: now
            ).connection
            publisher = PublisherEndpoint(
                id: EndpointID(rawValue: 1), stream: stream, connection: connection, options: EndpointOptions(),
                timing: PublisherEndpoint.Timing(), socket: 2, onEvent: { _ in })
        }

        func packet(_ payloadType: UInt8, ssrc: UInt32 = 77, after milliseconds: Int64 = 40) {
            now += .milliseconds(milliseconds)
            number &+= 1
            var bytes: [UInt8] = [0x80, 0x80 | payloadType, UInt8(number >> 8), UInt8(number & 255), 0, UInt8(number >> 8), UInt8(number & 255), 0]
            bytes += withUnsafeBytes(of: ssrc.bigEndian, Array.init)
            bytes += [0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00] + [UInt8](repeating: 3, count: 20)
            bytes.withUnsafeMutableBytes { publisher.receiveRTP($0, transport: 0, arena: arena, at: now) }
        }
    }

    @Test("what it sends is the track, whatever was named first")
    func second() throws {
        let bench = try Bench()
        for _ in 0..<5 { bench.packet(96) }
        let track = try #require(bench.stream.tracks.first)
        #expect(track.codec == .vp8 && track.packets == 5 && bench.publisher.unknownPackets == 0)
        // Retransmissions of a codec that nobody has named as its own yet are none of the track's packets.
        bench.packet(97, ssrc: 78)
        #expect(track.packets == 5)
    }

    @Test("it may change, and what it changes to and fro by every packet is left out")
    func changes() throws {
        let bench = try Bench()
        for _ in 0..<5 { bench.packet(102) }
        let first = try #require(bench.stream.tracks.first)
        for _ in 0..<30 { bench.packet(96) }
        let second = try #require(bench.stream.tracks.first)
        #expect(first.codec == .h264 && first.packets == 5 && second.codec == .vp8 && second.packets == 30)
        var tracks: [ObjectIdentifier] = []
        for number in 0..<100 {
            bench.packet(number % 2 == 0 ? 102 : 96)
            let now = try ObjectIdentifier(#require(bench.stream.tracks.first))
            if tracks.last != now { tracks.append(now) }
        }
        // After one second and two, in four.
        #expect(tracks.count <= 4)
        #expect(bench.publisher.unknownPackets >= 40)
    }
}
