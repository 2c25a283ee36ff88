// SPDX-License-Identifier: Apache-2.0
import ICE
import Primitives
import Testing

struct STUNMessageTests {
    /// The vectors of RFC 5769 §2.1–2.4.
    enum Vector {
        static let request = bytes(
            """
            00010058 2112a442 b7e7a701 bc34d686 fa87dfae 80220010 5354554e 20746573 7420636c 69656e74 00240004 6e0001ff
            80290008 932ff9b1 51263b36 00060009 6576746a 3a683676 59202020 00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249
            c1b571a2 80280004 e57a3bcf
            """)
        static let ipv4Response = bytes(
            """
            0101003c 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220 00200008 0001a147 e112a643
            00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7 80280004 c07d4c96
            """)
        static let ipv6Response = bytes(
            """
            01010048 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220 00200014 0002a147 0113a9fa
            a5d3f179 bc25f4b5 bed2b9d9 00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41 80280004 c8fb0b4c
            """)
        static let longTermRequest = bytes(
            """
            00010060 2112a442 78ad3433 c6ad72c0 29da412e 00060012 e3839ee3 8388e383 aae38383 e382afe3 82b90000 0015001c
            662f2f34 39396b39 35346436 4f4c3334 6f4c3946 53547679 36347341 0014000b 6578616d 706c652e 6f726700 00080014
            f6702465 6dd64a3e 02b8e071 2e85c9a2 8ca89666
            """)
        static let password = Array("VOkJxbRl1RmTxUk/WvJxBt".utf8)

        static func bytes(_ hex: String) -> [UInt8] {
            let digits = hex.filter { !$0.isWhitespace }.map { UInt8($0.hexDigitValue ?? 0) }
            return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
        }
    }

    private func parse(_ bytes: [UInt8]) throws -> STUNMessage {
        try bytes.withUnsafeBytes { try STUNMessage(parsing: $0) }
    }

    @Test("the sample request of RFC 5769 is read and authenticated")
    func sampleRequest() throws {
        try Vector.request.withUnsafeBytes { datagram in
            let message = try STUNMessage(parsing: datagram)
            #expect(message.messageClass == .request)
            #expect(message.method == STUNMessage.binding)
            #expect(message.transactionID == STUNTransactionID(high: 0xb7e7_a701, low: 0xbc34_d686_fa87_dfae))
            #expect(message.username == "evtj:h6vY")
            #expect(message.priority == 0x6e00_01ff)
            #expect(message.iceControlled == 0x932f_f9b1_5126_3b36)
            #expect(message.iceControlling == nil)
            #expect(!message.hasUseCandidate)
            #expect(message.hasFingerprint)
            #expect(message.hasValidIntegrity(in: datagram, key: Vector.password))
            #expect(!message.hasValidIntegrity(in: datagram, key: Vector.password + [1]))
            #expect(STUNMessage.usernameUfrag(of: datagram) == "evtj")
        }
    }

    @Test("the sample IPv4 and IPv6 responses of RFC 5769 are read and authenticated")
    func sampleResponses() throws {
        let samples = [
            (Vector.ipv4Response, SocketAddress("192.0.2.1", port: 32853)),
            (Vector.ipv6Response, SocketAddress("2001:db8:1234:5678:11:2233:4455:6677", port: 32853)),
        ]
        for (bytes, address) in samples {
            try bytes.withUnsafeBytes { datagram in
                let message = try STUNMessage(parsing: datagram)
                #expect(message.messageClass == .success)
                #expect(message.mappedAddress == address)
                #expect(message.hasFingerprint)
                #expect(message.hasValidIntegrity(in: datagram, key: Vector.password))
                #expect(STUNMessage.usernameUfrag(of: datagram) == nil)
            }
        }
    }

    @Test("the sample request with long-term credentials of RFC 5769 is authenticated by its MD5 key")
    func longTermRequest() throws {
        try Vector.longTermRequest.withUnsafeBytes { datagram in
            let message = try STUNMessage(parsing: datagram)
            #expect(message.username == "マトリックス")
            #expect(message.value(of: STUNAttribute.Kind.realm) == Array("example.org".utf8))
            #expect(!message.hasFingerprint)
            // MD5("マトリックス:example.org:TheMatrIX")
            #expect(message.hasValidIntegrity(in: datagram, key: Vector.bytes("e8ca7ad59d5eb0518e312911d2dab2a9")))
        }
    }

    @Test("what is built is what RFC 5769 shows, up to the padding bytes")
    func rebuildsSample() throws {
        // The RFC pads with spaces and this implementation with zeros, so only the protected end differs.
        let original = try parse(Vector.request)
        let rebuilt = original.serialized(integrityKey: Vector.password)
        #expect(rebuilt.count == Vector.request.count)
        let differing = rebuilt.indices.filter { rebuilt[$0] != Vector.request[$0] }
        let padding = 73...75
        #expect(differing.allSatisfy { padding.contains($0) || $0 >= 80 })
        let again = try parse(rebuilt)
        #expect(again == original)
    }

    @Test("every message type, address family and attribute survives building and parsing")
    func roundTrip() throws {
        var random = RandomSource.seeded(5769)
        for _ in 0..<500 {
            let id = STUNTransactionID.random(using: &random)
            let address =
                Bool.random(using: &random)
                ? SocketAddress(ipv4: .random(in: 0...(.max), using: &random), port: .random(in: 1...65535, using: &random))
                : SocketAddress(
                    ipv6High: .random(in: 1...(.max), using: &random), low: random.next(), port: .random(in: 1...65535, using: &random))
            let number = UInt8.random(in: 0...3, using: &random)
            let kind = try #require(STUNMessage.MessageClass(rawValue: number))
            let message = STUNMessage(
                kind, method: .random(in: 0...0xfff, using: &random), transactionID: id,
                attributes: [
                    .xorMappedAddress(address, for: id), .errorCode(487, reason: "Role Conflict"), .useCandidate,
                    .iceControlled(random.next()),
                    STUNAttribute(type: 0x8022, value: random.bytes(Int.random(in: 0...50, using: &random))),
                ])
            let key = random.bytes(24)
            let bytes = message.serialized(integrityKey: key)
            try bytes.withUnsafeBytes { datagram in
                let parsed = try STUNMessage(parsing: datagram)
                #expect(parsed.messageClass == message.messageClass)
                #expect(parsed.method == message.method)
                #expect(parsed.transactionID == id)
                #expect(parsed.attributes == message.attributes)
                #expect(parsed.mappedAddress == address)
                #expect(parsed.errorCode?.code == 487)
                #expect(parsed.errorCode?.reason == "Role Conflict")
                #expect(parsed.hasFingerprint)
                #expect(parsed.hasValidIntegrity(in: datagram, key: key))
            }
        }
    }

    @Test("no mutation of a message crashes the parser, and none passes as authentic")
    func mutation() throws {
        var random = RandomSource.seeded(8489)
        let seeds = [Vector.request, Vector.ipv4Response, Vector.ipv6Response, Vector.longTermRequest]
        var accepted = 0
        for round in 0..<60_000 {
            let original = seeds[round % seeds.count]
            var bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let position = Int.random(in: 0..<max(bytes.count, 1), using: &random)
                switch Int.random(in: 0..<6, using: &random) {
                case 0 where !bytes.isEmpty: bytes[position] ^= 1 << UInt8.random(in: 0...7, using: &random)
                case 1 where !bytes.isEmpty: bytes[position] = .random(in: 0...255, using: &random)
                case 2: bytes.removeLast(Int.random(in: 0...min(8, bytes.count), using: &random))
                case 3: bytes += random.bytes(Int.random(in: 0...8, using: &random))
                case 4 where bytes.count > 3:
                    let length = UInt16(truncatingIfNeeded: bytes.count - 20)
                    (bytes[2], bytes[3]) = (UInt8(length >> 8), UInt8(length & 0xff))
                default: bytes = random.bytes(Int.random(in: 0...120, using: &random))
                }
            }
            bytes.withUnsafeBytes { datagram in
                _ = STUNMessage.usernameUfrag(of: datagram)
                if let answer = STUNMessage.unauthenticatedResponse(to: datagram) {
                    #expect(answer.count <= datagram.count)
                }
                guard let message = try? STUNMessage(parsing: datagram) else { return }
                accepted += 1
                _ = (message.username, message.priority, message.errorCode?.code, message.mappedAddress)
                _ = (message.iceControlled, message.iceControlling, message.uncomprehendedTypes)
                if message.hasValidIntegrity(in: datagram, key: Vector.password) {
                    // Only what lies behind the protected part may differ.
                    let end = (message.integrityOffset ?? 0) + 24
                    #expect(bytes.prefix(2) == original.prefix(2))
                    #expect(bytes[4..<end].elementsEqual(original[4..<end]))
                }
            }
        }
        #expect(accepted > 0)
    }

    @Test("a flipped bit anywhere in a fingerprinted message is noticed")
    func fingerprintCoversEverything() {
        for position in Vector.request.indices {
            var bytes = Vector.request
            bytes[position] ^= 0x10
            let intact = (try? parse(bytes)).map { $0.hasFingerprint } ?? false
            #expect(!intact, "bit in byte \(position)")
        }
    }

    @Test("attributes behind the integrity are not believed")
    func nothingBehindIntegrity() throws {
        let request = STUNMessage(.request, transactionID: .init(high: 1, low: 2), attributes: [.username("a:b")])
        var bytes = request.serialized(integrityKey: [1, 2, 3])
        bytes.removeLast(8)  // the fingerprint
        bytes += [0x00, 0x25, 0, 0]
        bytes[3] = UInt8(bytes.count - 20)
        try bytes.withUnsafeBytes { datagram in
            let parsed = try STUNMessage(parsing: datagram)
            #expect(parsed.hasValidIntegrity(in: datagram, key: [1, 2, 3]))
            #expect(!parsed.hasUseCandidate)
        }
    }

    @Test("a message stuffed with attributes is refused")
    func boundedAttributes() {
        let crowd = [STUNAttribute](repeating: .priority(1), count: 200)
        let bytes = STUNMessage(.request, transactionID: .init(high: 1, low: 2), attributes: crowd).serialized()
        #expect(throws: STUNError.tooManyAttributes) { try parse(bytes) }
    }

    @Test("RTP, DTLS and noise are not taken for STUN")
    func otherProtocols() {
        var random = RandomSource.seeded(1)
        for first in [UInt8(0x80), 20, 22, 63, 0x16] {
            let bytes = [first] + random.bytes(60)
            #expect(throws: STUNError.self) { try parse(bytes) }
        }
        #expect(throws: STUNError.wrongLength) { try parse([]) }
    }
}
