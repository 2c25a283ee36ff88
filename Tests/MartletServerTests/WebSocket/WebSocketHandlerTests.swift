// SPDX-License-Identifier: Apache-2.0
// The bounds of one WebSocket: pongs, close codes, time for a message, memory. Without sockets; time is moved by hand.
import NIOCore
import NIOEmbedded
import NIOWebSocket
import Primitives
import Testing

@testable import MartletServer

/// Holds back what is written, as the socket of a peer that doesn't read does.
private final class StuckSocket: ChannelOutboundHandler {
    typealias OutboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame
    private(set) var frames: [WebSocketFrame] = []
    private var promises: [EventLoopPromise<Void>] = []
    var isStuck = true

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        frames.append(unwrapOutboundIn(data))
        if isStuck { if let promise { promises.append(promise) } } else { promise?.succeed() }
    }

    /// Takes everything that waits.
    func take() {
        let waiting = promises
        promises = []
        for promise in waiting { promise.succeed() }
    }
}

@Suite("A WebSocket's bounds")
struct WebSocketHandlerTests {
    private let socket = StuckSocket()
    private let handler: WebSocketHandler
    private let channel: EmbeddedChannel

    init() throws {
        handler = WebSocketHandler(isServer: true, limits: WebSocketLimits(), memory: MemoryBudget(limit: 10 << 20, share: 4 << 20))
        channel = EmbeddedChannel()
        try channel.pipeline.syncOperations.addHandlers([socket, handler])
        try channel.connect(to: .init(unixDomainSocketPath: "/nowhere")).wait()
    }

    private func receive(_ opcode: WebSocketOpcode, _ data: [UInt8] = [], fin: Bool = true) throws {
        channel.pipeline.fireChannelRead(
            WebSocketFrame(fin: fin, opcode: opcode, maskKey: [0, 0, 0, 0], data: ByteBuffer(bytes: data)))
        channel.pipeline.fireChannelReadComplete()
    }

    private var closeCode: WebSocketErrorCode? {
        guard var data = socket.frames.last(where: { $0.opcode == .connectionClose })?.data else { return nil }
        return data.readWebSocketErrorCode()
    }

    @Test("however many pings come, one pong is on its way, and the newest ping is answered after it")
    func pings() throws {
        for number in 0..<1_000 as Range<UInt16> { try receive(.ping, [UInt8(number >> 8), UInt8(number & 255)]) }
        #expect(socket.frames.count == 1)
        #expect(socket.frames[0].opcode == .pong && Array(socket.frames[0].data.readableBytesView) == [0, 0])
        socket.take()
        #expect(socket.frames.count == 2)
        #expect(Array(socket.frames[1].data.readableBytesView) == [3, 231])
        socket.take()
        #expect(socket.frames.count == 2)
        try receive(.ping, [7])
        #expect(socket.frames.count == 3)
        socket.take()
        _ = try channel.finish(acceptAlreadyClosed: true)
    }

    @Test("close frames are answered as RFC 6455 has it", arguments: [
        ([], 1000), ([3], 1002), ([0x03, 0xe8], 1000), ([0x03, 0xe7], 1002), ([0x03, 0xed], 1002), ([0x03, 0xee], 1002), ([0x03, 0xe9], 1001),
        ([0x0f, 0xa0], 4000), ([0x13, 0x88], 1002), ([0, 0], 1002), ([0x03, 0xe8, 0xff, 0xfe], 1007), ([0x03, 0xe8, 0x6f, 0x6b], 1000),
    ] as [([UInt8], Int)])
    func closeCodes(payload: [UInt8], answer: Int) throws {
        socket.isStuck = false
        try receive(.connectionClose, payload)
        #expect(closeCode == WebSocketErrorCode(codeNumber: answer))
        _ = try channel.finish(acceptAlreadyClosed: true)
    }

    @Test("a message that isn't complete in time ends the connection, one that is doesn't")
    func time() throws {
        socket.isStuck = false
        try receive(.text, Array("{".utf8), fin: false)
        channel.embeddedEventLoop.advanceTime(by: .seconds(29))
        try receive(.continuation, Array("}".utf8))
        channel.embeddedEventLoop.advanceTime(by: .seconds(60))
        #expect(closeCode == nil)
        try receive(.text, Array("{".utf8), fin: false)
        for _ in 0..<29 {
            channel.embeddedEventLoop.advanceTime(by: .seconds(1))
            try receive(.continuation, [0x20], fin: false)
        }
        #expect(closeCode == nil)
        channel.embeddedEventLoop.advanceTime(by: .seconds(2))
        #expect(closeCode == .policyViolation)
        _ = try channel.finish(acceptAlreadyClosed: true)
    }

    @Test("what is held counts in the memory budget and comes back to it")
    func memory() throws {
        let budget = MemoryBudget(limit: 100 << 20, share: 1 << 20)
        let handler = WebSocketHandler(isServer: true, limits: WebSocketLimits(), memory: budget, network: AddressKey("192.0.2.1"))
        let channel = EmbeddedChannel()
        let socket = StuckSocket()
        try channel.pipeline.syncOperations.addHandlers([socket, handler])
        try channel.connect(to: .init(unixDomainSocketPath: "/nowhere")).wait()
        func part(_ opcode: WebSocketOpcode, _ size: Int) {
            channel.pipeline.fireChannelRead(
                WebSocketFrame(fin: false, opcode: opcode, maskKey: [0, 0, 0, 0], data: ByteBuffer(repeating: 0x20, count: size)))
            channel.pipeline.fireChannelReadComplete()
        }
        part(.text, 600_000)
        #expect(budget.statistics.used >= 600_000)
        // A second connection of the same address makes it more than the share.
        let other = budget.account(for: AddressKey("192.0.2.1"))
        _ = other.set(700_000)
        channel.embeddedEventLoop.run()
        part(.continuation, 100_000)
        channel.embeddedEventLoop.run()
        let close = try #require(socket.frames.last)
        #expect(close.opcode == .connectionClose)
        #expect(String(buffer: close.data).contains("your address"))
        socket.take()
        _ = try channel.finish(acceptAlreadyClosed: true)
        other.close()
        #expect(budget.statistics.used == 0)
    }
}
