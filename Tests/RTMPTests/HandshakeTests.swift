// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing
@testable import RTMP

struct HandshakeTests {
    private func run(_ handshake: inout RTMPHandshake, _ bytes: [UInt8], _ rest: inout [UInt8]) throws(RTMPError) -> [UInt8] {
        try bytes.withBytes { raw throws(RTMPError) in try handshake.receive(raw, rest: &rest) }
    }

    @Test("a plain client gets its own bytes back")
    func plain() throws {
        var server = RTMPHandshake(role: .server, random: .seeded(1))
        var rest: [UInt8] = []
        let c1 = [0, 0, 0, 9, 0, 0, 0, 0] + (0..<1528).map { UInt8(truncatingIfNeeded: $0) }
        let answer = try run(&server, [3] + c1, &rest)
        #expect(answer.count == 1 + 3072 && answer.first == 3)
        #expect(Array(answer.suffix(1536)) == c1)
        #expect(!server.isDone)
        #expect(try run(&server, Array(answer[1..<1537]) + [42], &rest).isEmpty)
        #expect(server.isDone && rest == [42])
    }

    @Test("a client with digests gets an answer that only its digest can have given")
    func digest() throws {
        var client = RTMPHandshake(role: .client, usesDigest: true, random: .seeded(3))
        var server = RTMPHandshake(role: .server, random: .seeded(1))
        var rest: [UInt8] = []
        let first = client.begin()
        let c1 = Array(first.dropFirst())
        let found = try #require(HandshakeDigest.find(in: c1, key: HandshakeDigest.clientText))
        let answer = try run(&server, first, &rest)
        let s1 = Array(answer[1..<1537]), s2 = Array(answer.suffix(1536))
        #expect(HandshakeDigest.find(in: s1, key: HandshakeDigest.serverText) != nil)
        let key = HandshakeDigest.hmac(key: HandshakeDigest.serverText + HandshakeDigest.crud, found.digest)
        #expect(HandshakeDigest.hmac(key: key, s2[..<1504]) == Array(s2[1504...]))
        let c2 = try run(&client, answer, &rest)
        #expect(client.isDone && c2.count == 1536 && c2 != s1)
        _ = try run(&server, c2, &rest)
        #expect(server.isDone)
    }

    @Test("both places of the digest are found")
    func schemes() {
        for scheme in DigestScheme.allCases {
            var random = RandomSource.seeded(7)
            var packet = random.bytes(1536)
            HandshakeDigest.sign(&packet, scheme: scheme, key: HandshakeDigest.clientText)
            #expect(HandshakeDigest.find(in: packet, key: HandshakeDigest.clientText)?.scheme == scheme)
        }
    }

    @Test("HMAC-SHA256 by the vector of RFC 4231 §4.3")
    func hmac() {
        let digest = HandshakeDigest.hmac(key: Array("Jefe".utf8), Array("what do ya want for nothing?".utf8))
        #expect(digest.prefix(4) == [0x5b, 0xdc, 0xc1, 0x46])
    }

    @Test("encryption and other protocols are refused in words")
    func versions() {
        for (byte, word) in [(6, "RTMPE"), (UInt8(ascii: "G"), "version 3")] as [(UInt8, String)] {
            var server = RTMPHandshake(role: .server, random: .seeded(1))
            var rest: [UInt8] = []
            do {
                _ = try run(&server, [byte], &rest)
                Issue.record("was taken")
            } catch {
                #expect("\(error)".contains(word))
            }
        }
    }
}
