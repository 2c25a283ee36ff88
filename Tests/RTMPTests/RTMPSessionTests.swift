// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing
@testable import RTMP

struct RTMPSessionTests {
    @Test("a client publishes to a server", arguments: [(1, false), (7, true), (100_000, false)])
    func publish(piece: Int, usesDigest: Bool) throws {
        var duel = Duel("rtmp://host/live?connectParam=1/cam?streamParam=2", .publish, usesDigest: usesDigest)
        duel.piece = piece
        try duel.run()
        #expect(duel.clientEvents == [.started])
        guard case .connect(let connect)? = duel.serverEvents.first, case .publish(let publish)? = duel.serverEvents.last else {
            Issue.record("\(duel.serverEvents)")
            return
        }
        #expect(connect.app == "live" && connect.parameters == ["connectParam": "1"])
        #expect(publish.name == "cam" && publish.parameters == ["streamParam": "2"] && !publish.wantsRecord)
        var random = RandomSource.seeded(5)
        let frames = (0..<50).map { RTMPMessage(type: 9, streamID: 1, timestamp: $0 * 40, payload: random.bytes(Int($0) * 700)) }
        duel.serverEvents = []
        for frame in frames { duel.client.send(frame) }
        duel.client.send(RTMPMessage(type: 18, payload: AMF0Writer.bytes(["@setDataFrame", "onMetaData", ["width": 640]])))
        try duel.run()
        #expect(duel.serverEvents == frames.map { .media($0) } + [.metadata(streamID: 1, ["width": 640])])
        duel.serverEvents = []
        duel.client.close()
        try duel.run()
        #expect(duel.serverEvents == [.closed(streamID: 1)])
    }

    @Test("a client plays from a server until the stream ends")
    func play() throws {
        var duel = Duel("rtmp://host/live/cam", .play)
        try duel.run()
        #expect(duel.clientEvents == [.started])
        duel.clientEvents = []
        let frame = RTMPMessage(type: 9, streamID: 1, timestamp: 40, payload: [23, 1, 0, 0, 0, 9])
        duel.server.send(RTMPMessage(type: 18, streamID: 1, payload: AMF0Writer.bytes(["onMetaData", ["width": 640]])))
        duel.server.send(frame)
        duel.server.endPlay(1, "over")
        try duel.run()
        #expect(duel.clientEvents == [
            .metadata(["width": 640]), .media(frame), .ended(code: "NetStream.Play.UnpublishNotify", description: "over"),
        ])
    }

    @Test("a name that is taken is told by NetStream.Publish.BadName")
    func badName() throws {
        var duel = Duel("rtmp://host/live/cam", .publish)
        let run = {
            try duel.run { event, server in
                if case .publish(let request) = event { server.refusePublish(request.streamID, "taken") } else { Duel.accept(event, &server) }
            }
        }
        #expect(throws: RTMPError.refused(code: "NetStream.Publish.BadName", description: "taken"), performing: run)
    }

    @Test("a refused connection is told why")
    func rejected() throws {
        var duel = Duel("rtmp://host/live/cam", .publish)
        #expect(throws: RTMPError.refused(code: "NetConnection.Connect.Rejected", description: "no")) {
            try duel.run { event, server in if case .connect = event { server.refuseConnect("no") } }
        }
        #expect(duel.server.state == .closed)
    }

    @Test("commands before connect and media before publish change nothing but the connection's life")
    func order() throws {
        var server = try Server()
        try server.connect()
        for type: UInt8 in [8, 9, 15, 18, 22] {
            server.write(RTMPMessage(type: type, streamID: 1, payload: [1]))
            let events = try server.deliver()
            #expect(events.count == 1 && events.allSatisfy { if case .ignored = $0 { true } else { false } })
        }
        var early = RTMPServerSession(random: .seeded(1))
        _ = try early.receive([3] + [UInt8](repeating: 0, count: 3072))
        var writer = ChunkWriter(), bytes: [UInt8] = []
        writer.append(RTMPCall("createStream", transaction: 2, [.null]).message, to: &bytes)
        #expect(throws: RTMPError.self) { try early.receive(bytes) }
        #expect(early.state == .closed)
    }

    @Test("acknowledgements are sent as the far side wants them, and pings answered")
    func control() throws {
        var link = RTMPLink(role: .server, limits: RTMPLimits(), random: .seeded(1))
        func receive(_ bytes: [UInt8]) throws -> [RTMPMessage] { try bytes.withUnsafeBytes { try link.receive($0) } }
        _ = try receive([3] + [UInt8](repeating: 0, count: 3072))
        _ = link.takeOutput()
        _ = try receive([0x02, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 6, 1, 2, 3, 4])
        #expect(link.takeOutput().suffix(6) == [0, 7, 1, 2, 3, 4])
        _ = try receive([0x02, 0, 0, 0, 0, 0, 4, 5, 0, 0, 0, 0, 0, 0, 0x10, 0])
        let media: [UInt8] = [0x06, 0, 0, 0, 0, 0, 100, 9, 1, 0, 0, 0] + [UInt8](repeating: 1, count: 100)
        for _ in 0..<40 { _ = try receive(media) }
        let acknowledgement = link.takeOutput()
        #expect(acknowledgement.count == 12 && acknowledgement[7] == 3)
    }

    @Test("a window of 0 means that no acknowledgements are wanted")
    func noAcknowledgements() throws {
        var link = RTMPLink(role: .server, limits: RTMPLimits(), random: .seeded(1))
        func receive(_ bytes: [UInt8]) throws -> [RTMPMessage] { try bytes.withUnsafeBytes { try link.receive($0) } }
        _ = try receive([3] + [UInt8](repeating: 0, count: 3072))
        _ = link.takeOutput()
        let media: [UInt8] = [0x06, 0, 0, 0, 0, 0, 100, 9, 1, 0, 0, 0] + [UInt8](repeating: 1, count: 100)
        for window: UInt8 in [0, 0x10, 0] {
            #expect(try receive([0x02, 0, 0, 0, 0, 0, 4, 5, 0, 0, 0, 0, 0, 0, window, 0]).isEmpty)
            for _ in 0..<100 { _ = try receive(media) }
            let output = link.takeOutput()
            #expect(output.isEmpty == (window == 0))
        }
    }

    @Test("control messages that are too short cost themselves, before connect and after it", arguments: [
        (5, [], 1), (5, [0, 0x10, 0], 1), (5, [0, 0, 0, 0], 0), (6, [0, 0, 1], 1), (6, [0, 0, 0x10, 0], 0), (2, [], 1), (2, [0, 0, 6], 1),
    ] as [(UInt8, [UInt8], Int)])
    func shortControl(type: UInt8, payload: [UInt8], ignored: Int) throws {
        var server = try Server()
        server.write(RTMPMessage(type: type, payload: payload))
        #expect(try server.deliver().count == ignored)
        try server.connect()
        server.write(RTMPMessage(type: type, payload: payload))
        let events = try server.deliver()
        #expect(events.count == ignored && events.allSatisfy { if case .ignored = $0 { true } else { false } })
        server.write("publish", 3, stream: 1, [.null, "cam", "live"])
        guard case .publish? = try server.deliver().first else { return #expect(Bool(false)) }
    }

    @Test("an AMF3 command holds AMF0 behind a zero")
    func amf3() throws {
        let payload = [0] + AMF0Writer.bytes(["connect", 1, ["app": "live"]])
        let call = try RTMPCall(RTMPMessage(type: 17, payload: payload))
        #expect(call.name == "connect" && call.arguments.first?["app"] == "live")
    }

    @Test("an aggregate holds messages with times of their own")
    func aggregate() throws {
        let part: (UInt8, UInt8, [UInt8]) -> [UInt8] = { type, time, body in
            [type, 0, 0, UInt8(body.count), 0, 0, time, 0, 0, 0, 0] + body + [0, 0, 0, UInt8(body.count + 11)]
        }
        let message = RTMPMessage(type: 22, streamID: 1, timestamp: 1000, payload: part(8, 100, [1]) + part(9, 120, [2, 3]))
        #expect(try message.aggregated() == [
            RTMPMessage(type: 8, streamID: 1, timestamp: 1000, payload: [1]), RTMPMessage(type: 9, streamID: 1, timestamp: 1020, payload: [2, 3]),
        ])
    }

    /// A server behind the handshake, and what a client writes to it.
    private struct Server {
        var session = RTMPServerSession(random: .seeded(1))
        var writer = ChunkWriter()
        var bytes: [UInt8] = []

        init() throws { _ = try session.receive([3] + [UInt8](repeating: 0, count: 3072)) }

        mutating func write(_ message: RTMPMessage) { writer.append(message, to: &bytes) }
        mutating func write(_ name: String, _ transaction: Double = 0, stream: UInt32 = 0, _ arguments: [AMF0Value]) {
            write(RTMPCall(name, transaction: transaction, streamID: stream, arguments).message)
        }
        /// What was written arrives.
        mutating func deliver() throws -> [RTMPServerSession.Event] {
            defer { bytes = [] }
            return try session.receive(bytes)
        }
        /// Connected, with stream 1.
        mutating func connect() throws {
            write("connect", 1, [["app": "live"]])
            _ = try deliver()
            session.acceptConnect()
            write("createStream", 2, [.null])
            _ = try deliver()
        }
    }

    @Test("a client that writes connect, createStream, publish and its media in one go loses nothing")
    func inOneGo() throws {
        var server = try Server()
        server.write("connect", 1, [["app": "live"]])
        server.write("createStream", 2, [.null])
        server.write("publish", 3, stream: 1, [.null, "cam", "live"])
        let metadata = RTMPMessage(type: 18, streamID: 1, payload: AMF0Writer.bytes(["@setDataFrame", "onMetaData", ["width": 640]]))
        let frames = (0..<3).map { RTMPMessage(type: 9, streamID: 1, timestamp: $0 * 40, payload: [23, UInt8($0)]) }
        server.write(metadata)
        for frame in frames { server.write(frame) }
        let first = try server.deliver()
        guard first.count == 1, case .connect = first[0] else { return #expect(Bool(false), "\(first)") }
        #expect(server.session.heldBytes > 0)
        server.session.acceptConnect()
        let second = server.session.takeEvents()
        guard second.count == 1, case .publish(let request) = second[0] else { return #expect(Bool(false), "\(second)") }
        #expect(request.name == "cam" && request.streamID == 1)
        _ = server.session.acceptPublish(1, name: "cam")
        #expect(server.session.takeEvents() == [.metadata(streamID: 1, ["width": 640])] + frames.map { .media($0) })
        #expect(server.session.heldBytes == 0)
    }

    @Test("what is kept of a client that hasn't been answered is bounded: media is left out, commands end it")
    func earlyBound() throws {
        var server = try Server()
        server.write("connect", 1, [["app": "live"]])
        _ = try server.deliver()
        for index in 0..<100 { server.write(RTMPMessage(type: 9, streamID: 1, timestamp: UInt32(index), payload: [UInt8](repeating: 1, count: 100_000))) }
        let events = try server.deliver()
        #expect(events.contains { if case .ignored = $0 { true } else { false } })
        #expect(server.session.heldBytes <= RTMPLimits().maximumEarly)
        for _ in 0..<1000 { server.write("anything", 0, [.null]) }
        #expect(throws: RTMPError.self) { try server.deliver() }
    }

    @Test("a publish that is refused forgets what came with it")
    func refusedEarly() throws {
        var server = try Server()
        try server.connect()
        server.write("publish", 3, stream: 1, [.null, "cam", "live"])
        server.write(RTMPMessage(type: 9, streamID: 1, payload: [23, 1]))
        #expect(try server.deliver().count == 1)
        server.session.refusePublish(1, "taken")
        #expect(server.session.takeEvents().isEmpty && server.session.heldBytes == 0)
    }

    @Test("media and data on another message stream than the published one are of that one", arguments: [0, 2, 5] as [UInt32])
    func otherStream(stray: UInt32) throws {
        var server = try Server()
        try server.connect()
        server.write("createStream", 3, [.null])
        server.write("publish", 4, stream: 1, [.null, "cam", "live"])
        // Before the answer it waits for it.
        server.write(RTMPMessage(type: 8, streamID: stray, payload: [0xaf, 1]))
        #expect(try server.deliver().count == 1)
        _ = server.session.acceptPublish(1, name: "cam")
        #expect(server.session.takeEvents() == [.media(RTMPMessage(type: 8, streamID: 1, payload: [0xaf, 1]))])
        server.write(RTMPMessage(type: 18, streamID: stray, payload: AMF0Writer.bytes(["@setDataFrame", "onMetaData", ["width": 640]])))
        server.write(RTMPMessage(type: 9, streamID: stray, timestamp: 40, payload: [23, 1]))
        server.write(RTMPMessage(type: 22, streamID: stray, timestamp: 40, payload: [8, 0, 0, 1, 0, 0, 40, 0, 0, 0, 0, 7, 0, 0, 0, 12]))
        #expect(try server.deliver() == [
            .metadata(streamID: 1, ["width": 640]), .media(RTMPMessage(type: 9, streamID: 1, timestamp: 40, payload: [23, 1])),
            .media(RTMPMessage(type: 8, streamID: 1, timestamp: 40, payload: [7])),
        ])
        // A chunk stream that begins with a header of type 1 names none.
        let headless: [UInt8] = [0x54, 0, 0, 60, 0, 0, 2, 8, 0xaf, 2]
        #expect(try server.session.receive(headless) == [.media(RTMPMessage(type: 8, streamID: 1, timestamp: 60, payload: [0xaf, 2]))])
    }

    @Test("between two published streams nothing is guessed, and what follows a publish that is over is no other stream's")
    func severalStreams() throws {
        func isIgnored(_ events: [RTMPServerSession.Event]) -> Bool {
            events.count == 1 && events.allSatisfy { if case .ignored = $0 { true } else { false } }
        }
        var server = try Server()
        try server.connect()
        server.write("createStream", 3, [.null])
        for id: UInt32 in [1, 2] { server.write("publish", 4, stream: id, [.null, .string("cam\(id)"), "live"]) }
        _ = try server.deliver()
        for id: UInt32 in [1, 2] { _ = server.session.acceptPublish(id, name: "cam\(id)") }
        let stray = RTMPMessage(type: 8, streamID: 0, payload: [0xaf, 1])
        server.write(stray)
        let unclear = try server.deliver()
        #expect(isIgnored(unclear))
        server.session.endPublish(2, "over")
        server.write(RTMPMessage(type: 9, streamID: 2, payload: [23, 1]))
        #expect(try server.deliver().isEmpty)
        server.write(stray)
        #expect(try server.deliver() == [.media(RTMPMessage(type: 8, streamID: 1, payload: [0xaf, 1]))])
        // The same where the second publish is refused; a stream that is free again can be published on.
        server.write("publish", 5, stream: 2, [.null, "cam2", "live"])
        server.write(RTMPMessage(type: 9, streamID: 2, payload: [23, 1]))
        #expect(try server.deliver().count == 1)
        server.session.refusePublish(2, "taken")
        #expect(server.session.takeEvents().isEmpty)
        server.write("publish", 6, stream: 2, [.null, "cam3", "live"])
        server.write("closeStream", 7, stream: 1, [.null])
        guard case .publish(let request)? = try server.deliver().first else { return #expect(Bool(false)) }
        let isAccepted = server.session.acceptPublish(2, name: "cam3")
        #expect(request.name == "cam3" && isAccepted)
        server.write(RTMPMessage(type: 9, streamID: 1, payload: [23, 1]))
        #expect(try server.deliver().isEmpty)
    }

    @Test("once connected, a message that can't be used costs itself: the connection goes on", arguments: [
        RTMPMessage(type: 20, streamID: 1, payload: [9, 9, 9]), RTMPMessage(type: 20, streamID: 1, payload: []),
        RTMPCall("publish", streamID: 7, [.null, "cam"]).message, RTMPCall("publish", streamID: 1, [.null, 5]).message,
        RTMPCall("connect", transaction: 9, [["app": "live"]]).message,
    ])
    func unusable(message: RTMPMessage) throws {
        var server = try Server()
        try server.connect()
        server.write(message)
        let events = try server.deliver()
        #expect(events.contains { if case .ignored = $0 { true } else { false } })
        server.write("publish", 3, stream: 1, [.null, "cam", "live"])
        guard case .publish? = try server.deliver().first else { return #expect(Bool(false)) }
    }

    @Test("a connect whose object isn't closed and a publish with bytes behind it are answered", arguments: [[0, 0], [0xff, 1, 2], [17]] as [[UInt8]])
    func damagedCommands(padding: [UInt8]) throws {
        var server = try Server()
        let connect = AMF0Writer.bytes(["connect", 1, ["app": "live", "tcUrl": "rtmp://h/live"]])
        server.write(RTMPMessage(type: 20, payload: Array(connect.dropLast(3))))
        guard case .connect(let request)? = try server.deliver().first else { return #expect(Bool(false)) }
        #expect(request.app == "live" && request.tcURL == "rtmp://h/live")
        server.session.acceptConnect()
        server.write(RTMPMessage(type: 20, payload: AMF0Writer.bytes(["createStream", 2, nil]) + padding))
        #expect(try server.deliver().isEmpty)
        server.write(RTMPMessage(type: 20, streamID: 1, payload: AMF0Writer.bytes(["publish", 3, nil, "cam", "record"]) + padding))
        guard case .publish(let publish)? = try server.deliver().first else { return #expect(Bool(false)) }
        #expect(publish.name == "cam" && publish.wantsRecord)
    }

    @Test("more values in a command than are read still end the connection")
    func commandBounds() throws {
        var server = try Server()
        try server.connect()
        let head = AMF0Writer.bytes(["publish", 3, nil, "cam", "live"])
        server.write(RTMPMessage(type: 20, streamID: 1, payload: head + [UInt8](repeating: 5, count: AMF0Reader.maximumValues)))
        #expect(throws: RTMPError.self) { try server.deliver() }
        #expect(server.session.state == .closed)
    }

    @Test("a damaged aggregate costs itself")
    func damagedAggregate() throws {
        var server = try Server()
        try server.connect()
        server.write("publish", 3, stream: 1, [.null, "cam", "live"])
        _ = try server.deliver()
        _ = server.session.acceptPublish(1, name: "cam")
        server.write(RTMPMessage(type: 22, streamID: 1, payload: [8, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1]))
        server.write(RTMPMessage(type: 8, streamID: 1, payload: [0xaf, 1]))
        let events = try server.deliver()
        #expect(events.count == 2 && events[1] == .media(RTMPMessage(type: 8, streamID: 1, payload: [0xaf, 1])))
    }

    @Test("a client that publishes nothing yet may have 1 MiB of unfinished messages, a publisher more; none takes longer than 30 s")
    func unfinished() throws {
        // Eight messages of 1 MiB in chunks of 256 KiB on chunk streams of their own, each but its last chunk.
        func flood(_ server: inout Server) throws {
            server.write(RTMPMessage(type: 1, payload: [0, 4, 0, 0]))
            _ = try server.deliver()
            for stream in 10..<18 as Range<UInt8> {
                let head = [stream, 0, 0, 0, 0x10, 0, 0, 9, 1, 0, 0, 0]
                _ = try server.session.receive(head + [UInt8](repeating: 7, count: 0x4_0000), at: Instant(milliseconds: 5_000))
            }
        }
        var stranger = try Server()
        try stranger.connect()
        #expect(throws: RTMPError.self) { try flood(&stranger) }
        var publisher = try Server()
        try publisher.connect()
        publisher.write("publish", 3, stream: 1, [.null, "cam", "live"])
        _ = try publisher.deliver()
        _ = publisher.session.acceptPublish(1, name: "cam")
        try flood(&publisher)
        #expect(publisher.session.heldBytes == 8 * 0x4_0000 && publisher.session.hasIncomplete)
        #expect(!publisher.session.isOverdue(at: Instant(milliseconds: 35_000)))
        #expect(publisher.session.isOverdue(at: Instant(milliseconds: 35_001)))
    }

    @Test("names are decoded as in other addresses", arguments: [
        ("r%20pct", "r pct"), ("100%", "100%"), ("a%2Fb", "a/b"), ("%e4%bd%a0", "\u{4f60}"), ("x%00y", "x%00y"), ("plain", "plain"),
    ])
    func names(given: String, name: String) throws {
        var server = try Server()
        try server.connect()
        server.write("publish", 3, stream: 1, [.null, .string(given + "?key=%20"), "live"])
        guard case .publish(let request)? = try server.deliver().first else { return #expect(Bool(false)) }
        #expect(request.name == name && request.parameters == ["key": " "])
    }

    @Test("streams of a connection are bounded")
    func streams() throws {
        var duel = Duel("rtmp://host/live/cam", .publish)
        try duel.run()
        var writer = ChunkWriter(), bytes: [UInt8] = []
        for id in 0..<20 { writer.append(RTMPCall("createStream", transaction: Double(id), [.null]).message, to: &bytes) }
        // Own chunk stream, so that the client's headers don't matter.
        #expect(throws: RTMPError.self) { try duel.server.receive(bytes) }
    }
}
