// SPDX-License-Identifier: Apache-2.0
// Two machines against each other, and bytes in pieces.
import Primitives
@testable import RTMP

extension RTMPServerSession {
    mutating func receive(_ bytes: [UInt8], at now: Instant = .zero) throws(RTMPError) -> [Event] {
        try bytes.withBytes { raw throws(RTMPError) in try receive(raw, at: now) }
    }
}

extension RTMPClientSession {
    mutating func receive(_ bytes: [UInt8]) throws(RTMPError) -> [Event] {
        try bytes.withBytes { raw throws(RTMPError) in try receive(raw) }
    }
}

extension ChunkReader {
    mutating func receive(_ bytes: [UInt8], at now: Instant = .zero) throws(RTMPError) -> [RTMPMessage] {
        var messages: [RTMPMessage] = []
        try bytes.withBytes { raw throws(RTMPError) in try receive(raw, at: now, into: &messages) }
        return messages
    }

    /// In pieces of random size.
    mutating func receive(_ bytes: [UInt8], random: inout RandomSource) throws(RTMPError) -> [RTMPMessage] {
        var messages: [RTMPMessage] = []
        var offset = 0
        while offset < bytes.count {
            let count = min(Int.random(in: 1...97, using: &random), bytes.count - offset)
            messages += try receive(Array(bytes[offset..<offset + count]))
            offset += count
        }
        return messages
    }
}

/// A client and a server, wired by two byte queues.
struct Duel {
    var client: RTMPClientSession
    var server = RTMPServerSession(random: .seeded(1))
    var clientEvents: [RTMPClientSession.Event] = []
    var serverEvents: [RTMPServerSession.Event] = []
    /// Pieces of this size.
    var piece = 1000

    init(_ url: String, _ purpose: RTMPClientSession.Purpose, usesDigest: Bool = false) {
        client = RTMPClientSession(RTMPURL(url)!, purpose, usesDigest: usesDigest, random: .seeded(2))
    }

    /// Carries bytes until both are silent. The server says yes to everything, unless `answers` does it.
    mutating func run(_ answers: (RTMPServerSession.Event, inout RTMPServerSession) -> Void = Duel.accept) throws {
        while true {
            let up = client.takeOutput(), down = server.takeOutput()
            if up.isEmpty, down.isEmpty { return }
            for start in stride(from: 0, to: up.count, by: piece) {
                let events = try server.receive(Array(up[start..<min(start + piece, up.count)]))
                for event in events { answers(event, &server) }
                serverEvents += events
            }
            for start in stride(from: 0, to: down.count, by: piece) {
                clientEvents += try client.receive(Array(down[start..<min(start + piece, down.count)]))
            }
        }
    }

    static func accept(_ event: RTMPServerSession.Event, _ server: inout RTMPServerSession) {
        switch event {
        case .connect: server.acceptConnect()
        case .publish(let request): _ = server.acceptPublish(request.streamID, name: request.name)
        case .play(let request): _ = server.acceptPlay(request.streamID, name: request.name)
        default: break
        }
    }
}
