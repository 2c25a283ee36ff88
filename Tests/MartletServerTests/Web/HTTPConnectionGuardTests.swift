// SPDX-License-Identifier: Apache-2.0
// What an HTTP connection may take: time for head, body and response, memory, one Host. Without sockets; time is moved by hand.
import Logging
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Primitives
import Testing

@testable import MartletServer

/// Holds back bodies, as the socket of a reader that stands still does; gives out as much as is asked for.
private final class SlowSocket: ChannelOutboundHandler {
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart
    private(set) var heads: [HTTPResponseHead] = []
    private(set) var bodies = ""
    private var promises: [EventLoopPromise<Void>] = []
    var isStuck = false

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let head): heads.append(head)
        case .body(.byteBuffer(let buffer)): bodies += String(buffer: buffer)
        default: break
        }
        if isStuck { if let promise { promises.append(promise) } } else { promise?.succeed() }
    }

    func take(_ count: Int) {
        for _ in 0..<min(count, promises.count) { promises.removeFirst().succeed() }
    }
}

@Suite("HTTP connections' bounds")
struct HTTPConnectionGuardTests {
    private let socket = SlowSocket()
    private let channel = EmbeddedChannel()
    private let budget = MemoryBudget(limit: 8 << 20, share: 1 << 20)
    private let connections: HTTPConnections

    init() throws {
        connections = HTTPConnections(limits: HTTPLimits(), memory: budget)
        try start(.admitted)
    }

    private func start(_ admission: HTTPConnections.Admission) throws {
        let watch = HTTPConnectionGuard(
            connections: connections, admission: admission, network: AddressKey("192.0.2.1"), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try channel.pipeline.syncOperations.addHandlers([socket, watch])
        try channel.connect(to: .init(unixDomainSocketPath: "/nowhere")).wait()
    }

    private func head(_ method: HTTPMethod = .GET, _ headers: HTTPHeaders = ["Host": "x"], version: HTTPVersion = .http1_1) {
        channel.pipeline.fireChannelRead(HTTPServerRequestPart.head(HTTPRequestHead(version: version, method: method, uri: "/", headers: headers)))
    }

    private func body(_ size: Int) { channel.pipeline.fireChannelRead(HTTPServerRequestPart.body(ByteBuffer(repeating: 0x20, count: size))) }
    private func wait(_ seconds: Int64) { channel.embeddedEventLoop.advanceTime(by: .seconds(seconds)) }

    @Test("a connection without a complete head is closed after ten seconds, one with a request isn't")
    func lateHead() throws {
        wait(9)
        #expect(channel.isActive)
        wait(2)
        #expect(!channel.isActive)
        #expect(connections.counters.lateHeads == 1)
    }

    @Test("the host is named exactly once, but for HTTP/1.0", arguments: [
        ([], HTTPVersion.http1_1, 400), ([("Host", "a"), ("host", "b")], .http1_1, 400), ([("Host", "")], .http1_1, nil), ([], .http1_0, nil),
        ([("Host", "a"), ("Host", "a")], .http1_0, 400),
    ] as [([(String, String)], HTTPVersion, Int?)])
    func hosts(headers: [(String, String)], version: HTTPVersion, status: Int?) throws {
        head(.GET, HTTPHeaders(headers), version: version)
        #expect(socket.heads.first.map { Int($0.status.code) } == status)
        if status != nil { #expect(socket.bodies.contains("RFC 9112")) }
        _ = try channel.finish(acceptAlreadyClosed: true)
    }

    @Test("a body has thirty seconds, however steadily it drips")
    func lateBody() throws {
        head(.POST, ["Host": "x", "Content-Length": "1000"])
        for _ in 0..<29 {
            wait(1)
            body(1)
        }
        #expect(socket.heads.isEmpty)
        wait(2)
        #expect(socket.heads.first?.status == .requestTimeout)
        #expect(connections.counters.lateBodies == 1)
        wait(2)
        #expect(!channel.isActive)
    }

    @Test("a response that its reader takes too slowly ends; one that is taken, or that waits for us, goes on")
    func slowReaders() throws {
        head()
        channel.pipeline.fireChannelRead(HTTPServerRequestPart.end(nil))
        socket.isStuck = true
        channel.write(HTTPServerResponsePart.head(HTTPResponseHead(version: .http1_1, status: .ok)), promise: nil)
        for _ in 0..<8 { channel.write(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(repeating: 0x78, count: 16_384))), promise: nil) }
        // Two parts of 16 kB each half minute are enough.
        for _ in 0..<3 {
            wait(28)
            socket.take(2)
        }
        #expect(channel.isActive)
        socket.take(100)
        wait(120)
        #expect(channel.isActive, "nothing waits for the reader")
        channel.write(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(repeating: 0x78, count: 16_384))), promise: nil)
        wait(33)
        #expect(!channel.isActive)
        #expect(connections.counters.slowReaders == 1)
    }

    @Test("bodies and responses count in the memory budget and come back to it")
    func memory() throws {
        head(.POST, ["Host": "x", "Content-Length": "700000"])
        body(700_000)
        channel.pipeline.fireChannelRead(HTTPServerRequestPart.end(nil))
        #expect(budget.statistics.used >= 700_000)
        socket.isStuck = true
        channel.write(HTTPServerResponsePart.head(HTTPResponseHead(version: .http1_1, status: .ok)), promise: nil)
        channel.write(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(repeating: 0x78, count: 100_000))), promise: nil)
        channel.write(HTTPServerResponsePart.end(nil), promise: nil)
        #expect(budget.statistics.used >= 800_000)
        socket.take(100)
        #expect(budget.statistics.used == 0)
        _ = try channel.finish(acceptAlreadyClosed: true)
    }

    @Test("with no memory left a request with a body is refused in words, one without is served")
    func noMemory() throws {
        let other = budget.account(for: nil)
        other.note(7 << 20)
        head(.GET)
        channel.pipeline.fireChannelRead(HTTPServerRequestPart.end(nil))
        #expect(socket.heads.isEmpty)
        channel.write(HTTPServerResponsePart.head(HTTPResponseHead(version: .http1_1, status: .ok)), promise: nil)
        channel.write(HTTPServerResponsePart.end(nil), promise: nil)
        head(.POST, ["Host": "x", "Content-Length": "900000"])
        #expect(socket.heads.last?.status == .serviceUnavailable)
        #expect(socket.heads.last?.headers["Retry-After"].isEmpty == false)
        #expect(socket.bodies.contains("memory_budget"))
        _ = try channel.finish(acceptAlreadyClosed: true)
    }

    @Test("an address that holds its share is told so by 429")
    func share() throws {
        let other = budget.account(for: AddressKey("192.0.2.1"))
        #expect(other.set(700_000) == nil)
        let more = budget.account(for: AddressKey("192.0.2.1"))
        #expect(more.set(200_000) == nil)
        head(.POST, ["Host": "x", "Transfer-Encoding": "chunked"])
        #expect(socket.heads.last?.status == .tooManyRequests)
        _ = try channel.finish(acceptAlreadyClosed: true)
    }
}
