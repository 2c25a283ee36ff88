// SPDX-License-Identifier: Apache-2.0
// The handshake of both sides: version, a packet of random bytes, and its echo. Plain, or with digests where the client asks.
// Owned by RTMPLink.
import Primitives

/// The state machine of one side. Bytes in; bytes out; leftovers belong to the chunk stream.
struct RTMPHandshake {
    enum Role: Sendable { case server, client }

    private enum State {
        /// Waits for version and first packet.
        case first
        /// Waits for the echo.
        case second
        case done
    }

    private let role: Role
    /// A client's wish to be taken for a Flash player.
    private let usesDigest: Bool
    private var state = State.first
    private var pending: [UInt8] = []
    private var random: RandomSource
    /// What the client's first packet has to be answered with.
    private var ownFirst: [UInt8] = []

    private static let version: UInt8 = 3
    private static let size = HandshakeDigest.packetLength

    init(role: Role, usesDigest: Bool = false, random: RandomSource) {
        self.role = role
        self.usesDigest = usesDigest
        self.random = random
    }

    var isDone: Bool { state == .done }

    /// What a client says first.
    mutating func begin() -> [UInt8] {
        ownFirst = firstPacket()
        if usesDigest {
            ownFirst.replaceSubrange(4..<8, with: [128, 0, 7, 2])
            HandshakeDigest.sign(&ownFirst, scheme: .digestFirst, key: HandshakeDigest.clientText)
        }
        return [Self.version] + ownFirst
    }

    /// Takes bytes; returns what to send. `rest` gets what follows the handshake, once it is done.
    mutating func receive(_ bytes: UnsafeRawBufferPointer, rest: inout [UInt8]) throws(RTMPError) -> [UInt8] {
        // Twice the size is all that can be of use before the far side has been answered.
        guard pending.count + bytes.count <= 4 << 20 else { throw .limit("bytes behind an unfinished handshake") }
        pending += bytes
        if let first = pending.first, state == .first, first != Self.version {
            throw first == 6 || first == 8
                ? .unsupported("RTMPE (version \(first)); use rtmp:// or rtmps://")
                : .malformed("the first byte is \(first), not RTMP version 3")
        }
        var output: [UInt8] = []
        if state == .first, pending.count >= 1 + Self.size {
            let packet = Array(pending[1..<1 + Self.size])
            pending.removeFirst(1 + Self.size)
            output = role == .server ? serverAnswer(packet) : clientAnswer(packet)
            state = .second
        }
        // What the echo holds is nobody's business: many a client gets it wrong, and it proves nothing.
        if state == .second, pending.count >= Self.size {
            pending.removeFirst(Self.size)
            state = .done
            rest = pending
            pending = []
        }
        return output
    }

    private mutating func firstPacket() -> [UInt8] { [0, 0, 0, 0, 0, 0, 0, 0] + random.bytes(Self.size - 8) }

    private mutating func serverAnswer(_ packet: [UInt8]) -> [UInt8] {
        var own = firstPacket()
        var echo = packet
        let hasVersion = packet[4..<8].contains { $0 != 0 }
        if hasVersion, let (scheme, digest) = HandshakeDigest.find(in: packet, key: HandshakeDigest.clientText) {
            own.replaceSubrange(4..<8, with: [4, 5, 0, 1])
            HandshakeDigest.sign(&own, scheme: scheme, key: HandshakeDigest.serverText)
            echo = random.bytes(Self.size)
            HandshakeDigest.answer(digest, text: HandshakeDigest.serverText, in: &echo)
        }
        return [Self.version] + own + echo
    }

    private mutating func clientAnswer(_ packet: [UInt8]) -> [UInt8] {
        guard usesDigest, let (_, digest) = HandshakeDigest.find(in: packet, key: HandshakeDigest.serverText) else { return packet }
        var echo = random.bytes(Self.size)
        HandshakeDigest.answer(digest, text: HandshakeDigest.clientText, in: &echo)
        return echo
    }
}
