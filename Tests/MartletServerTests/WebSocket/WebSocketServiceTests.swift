// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import Signalling
import Testing

@testable import MartletServer

/// Writes bytes to a TCP port and collects what comes back until the other side closes.
private func exchange(_ port: Int, _ chunks: [[UInt8]], readFirst: Bool = false) async throws -> [UInt8] {
    let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .connect(host: "127.0.0.1", port: port) { channel in
            channel.eventLoop.makeCompletedFuture {
                try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
            }
        }
    return try await channel.executeThenClose { inbound, outbound in
        for chunk in chunks { try await outbound.write(ByteBuffer(bytes: chunk)) }
        var received: [UInt8] = []
        for try await part in inbound { received += part.readableBytesView }
        return received
    }
}

private let upgrade = Array(
    """
    GET /some/path?x=1 HTTP/1.1\r
    Host: x\r
    Origin: http://elsewhere.example\r
    Upgrade: websocket\r
    Connection: Upgrade\r
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
    Sec-WebSocket-Version: 13\r
    Sec-WebSocket-Protocol: chat\r
    \r

    """.utf8)

/// A masked client frame (mask 0, so the payload stays as it is).
private func frame(_ opcode: UInt8, _ payload: [UInt8], fin: Bool = true, masked: Bool = true) -> [UInt8] {
    var bytes: [UInt8] = [(fin ? 0x80 : 0) | opcode]
    let mask: UInt8 = masked ? 0x80 : 0
    if payload.count < 126 {
        bytes.append(mask | UInt8(payload.count))
    } else {
        bytes += [mask | 126, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
    }
    if masked { bytes += [0, 0, 0, 0] }
    return bytes + payload
}

private let goodbye = frame(8, [0x03, 0xe8])

@Suite("The WebSocket door", .timeLimit(.minutes(1)))
struct WebSocketServiceTests {
    @Test("any path and origin are welcome, and no subprotocol is promised")
    func upgrades() async throws {
        let server = try await WebSocketTestServer()
        let reply = String(decoding: try await exchange(server.port, [upgrade, goodbye]), as: UTF8.self)
        #expect(reply.hasPrefix("HTTP/1.1 101"))
        #expect(reply.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
        #expect(!reply.lowercased().contains("sec-websocket-protocol"))
        await server.stop()
    }

    @Test("a plain HTTP request learns what the port is for")
    func plainHTTP() async throws {
        let server = try await WebSocketTestServer()
        let reply = String(decoding: try await exchange(server.port, [Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8)]), as: UTF8.self)
        #expect(reply.hasPrefix("HTTP/1.1 426"))
        #expect(reply.contains("WebSocket"))
        await server.stop()
    }

    @Test("messages in fragments, with a ping between them, are put together")
    func fragments() async throws {
        let server = try await WebSocketTestServer()
        let message = Array(#"{"message":"connection","data":[{"appKey":"defaultApp"}]}"#.utf8)
        let reply = try await exchange(
            server.port,
            [
                upgrade, frame(1, Array(message[..<10]), fin: false), frame(9, [7, 7]), frame(0, Array(message[10..<20]), fin: false),
                frame(0, Array(message[20...])), frame(1, Array(#"{"message":"ping","data":[null]}"#.utf8)), goodbye,
            ])
        let text = String(decoding: reply, as: UTF8.self)
        #expect(text.contains("getUserData") || text.contains("HTTP/1.1 101"))
        // The pong with its payload.
        #expect(Array(reply).contains([0x8a, 0x02, 7, 7]))
        await server.stop()
    }

    @Test(
        "what breaks the rules is closed with the right code",
        arguments: [
            ("unmasked", 1002), ("not UTF-8", 1007), ("too large", 1009), ("fragments too large", 1009), ("lone continuation", 1002),
            ("reserved bit", 1002), ("message inside message", 1002),
        ])
    func violations(what: String, code: Int) async throws {
        var limits = SessionLimits()
        limits.websocket.maximumMessageSize = 1000
        let server = try await WebSocketTestServer(limits: limits)
        let frames: [[UInt8]] =
            switch what {
            case "unmasked": [frame(1, [0x7b], masked: false)]
            case "not UTF-8": [frame(1, [0xff, 0xfe])]
            case "too large": [frame(1, Array(repeating: 0x20, count: 1001))]
            case "fragments too large":
                [frame(1, Array(repeating: 0x20, count: 600), fin: false), frame(0, Array(repeating: 0x20, count: 600))]
            case "lone continuation": [frame(0, [0x20])]
            case "message inside message": [frame(1, [0x20], fin: false), frame(1, [0x20])]
            default: [[0xc1, 0x80, 0, 0, 0, 0]]
            }
        // The client never answers the close frame: the server closes by itself all the same.
        let reply = try await exchange(server.port, [upgrade] + frames + [goodbye])
        #expect(reply.contains([UInt8(code >> 8), UInt8(code & 255)]), "\(what)")
        await server.stop()
    }

    @Test("no more connections of one address than allowed")
    func connectionLimit() async throws {
        var limits = SessionLimits()
        limits.maximumSessionsPerAddress = 1
        let server = try await WebSocketTestServer(limits: limits)
        let first = try await WCSClient.connect(to: server.address())
        await #expect(throws: WCSClientError.self) { try await WCSClient.connect(to: server.address()) }
        await first.shutdown()
        #expect(await eventually { (try? await WCSClient.connect(to: server.address()).shutdown()) != nil })
        await server.stop()
    }

    @Test("a client sees its session, publishes, plays and stops over a real socket")
    func wholeCycle() async throws {
        let server = try await WebSocketTestServer()
        let client = try await WCSClient.connect(to: server.address("/websocket"))
        #expect(client.userData["status"] == "ESTABLISHED")
        let published = try await client.publish(name: "one", offer: "offer")
        #expect(published.answer == "answer to offer")
        try await published.started()
        let played = try await client.play(name: "one", offer: "offer")
        try await played.started()
        #expect(server.service.sessions.find(.all).count == 1)
        client.stop(published)
        var last: StreamStatusMessage?
        for await status in published.statuses { last = status }
        #expect(last?.known == .unpublished)
        for await status in played.statuses { last = status }
        #expect(last?.info == "Stopped by publisher stop")
        await client.shutdown()
        #expect(await eventually { server.service.sessions.counts.webSocket == 0 })
        #expect(await eventually { server.engine.openStreams == 0 })
        await server.stop()
    }

    @Test("a terminated connection is closed and its streams are gone")
    func terminateConnection() async throws {
        let server = try await WebSocketTestServer()
        let client = try await WCSClient.connect(to: server.address())
        let stream = try await client.publish(name: "one", offer: "offer")
        try await stream.started()
        let routes = ConnectionRoutes(sessions: server.service.sessions).restRoutes
        let terminate = try #require(routes.first { $0.path == "connection/terminate" })
        await #expect(throws: RESTFailure.self) { try await terminate.handle(["sessionId": "nobody"]) }
        await #expect(throws: RESTFailure.self) { try await terminate.handle([:]) }
        let id = try #require(server.service.sessions.find(.all).first?.id)
        #expect(try await terminate.handle(["sessionId": .string(id)]).status == 200)
        #expect(await eventually { client.isClosed })
        #expect(await eventually { server.engine.openStreams == 0 })
        await server.stop()
    }
}

extension [UInt8] {
    fileprivate func contains(_ other: [UInt8]) -> Bool {
        guard count >= other.count else { return false }
        return (0...(count - other.count)).contains { self[$0..<($0 + other.count)].elementsEqual(other) }
    }
}
