// SPDX-License-Identifier: Apache-2.0
// Watches one HTTP connection: that heads, bodies and responses move in time, that what waits for the peer or from it is in the
// memory budget, that each request names its host. Between the HTTP codec of NIO and that of Hummingbird; owned by the channel.
import Logging
import NIOCore
import NIOHTTP1
import Primitives

final class HTTPConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private let connections: HTTPConnections
    private let admission: HTTPConnections.Admission
    private let network: AddressKey
    private let logger: Logger
    private var context: ChannelHandlerContext?
    private var account: MemoryAccount?
    private var timer: RepeatedTask?
    private var waitingForRoom: [EventLoopPromise<Void>] = []

    /// Until the first head; then `nil`.
    private var headDeadline: NIODeadline?
    /// The request whose body is coming.
    private var bodyDeadline: NIODeadline?
    /// Of each request whose response is not complete: bytes of its body that are held.
    private var owed = CircularBuffer<Int>()
    private var hasBegunResponse = false
    /// Bytes of responses that the system has not taken yet, and all that it has.
    private var pending = 0
    private var moved: UInt64 = 0
    private var progressMark: (at: NIODeadline, moved: UInt64)?
    /// We have given the last answer: nothing is taken from either side any more.
    private var isEnding = false

    init(connections: HTTPConnections, admission: HTTPConnections.Admission, network: AddressKey, logger: Logger) {
        self.connections = connections
        self.admission = admission
        self.network = network
        self.logger = logger
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let eventLoop = context.eventLoop
        account = connections.memory.account(for: network) { refusal in
            eventLoop.execute { bound.value.end(.init(refusal)) }
        }
        headDeadline = eventLoop.now + connections.limits.headTimeout
        timer = eventLoop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { _ in bound.value.tick(eventLoop.now) }
    }

    func handlerRemoved(context: ChannelHandlerContext) { finish() }

    func channelInactive(context: ChannelHandlerContext) {
        finish()
        context.fireChannelInactive()
    }

    private func finish() {
        timer?.cancel()
        timer = nil
        account = nil
        context = nil
        for promise in waitingForRoom { promise.fail(ChannelError.ioOnClosedChannel) }
        waitingForRoom = []
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isEnding else { return }
        switch unwrapInboundIn(data) {
        case .head(let head):
            headDeadline = nil
            owed.append(0)
            if case .refused(let reason) = admission { return end(.init(.serviceUnavailable, reason, retryAfter: 5)) }
            // RFC 9112 §3.2. HTTP/1.0 knows no Host.
            let hosts = head.headers["host"].count
            if hosts > 1 || (hosts == 0 && (head.version.major, head.version.minor) >= (1, 1)) {
                connections.count(\.malformed)
                return end(.init(.badRequest, "the request must name its host exactly once (Host, RFC 9112 section 3.2)"))
            }
            if head.headers.contains(name: "content-length") || head.headers.contains(name: "transfer-encoding") {
                bodyDeadline = context.eventLoop.now + connections.limits.bodyTimeout
                if head.headers["content-length"].first != "0", let refusal = connections.memory.admit(network) { return end(.init(refusal)) }
            }
        case .body(let part):
            // More than the largest body is thrown away as it comes.
            let counted = min(part.readableBytes, max(0, RESTRouter.maximumBodySize - (owed.last ?? .max)))
            if counted > 0 {
                if let refusal = account?.take(counted) { return end(.init(refusal)) }
                owed[owed.index(before: owed.endIndex)] += counted
            }
        case .end:
            bodyDeadline = nil
        }
        context.fireChannelRead(data)
    }

    // MARK: Responses

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard !isEnding else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        switch unwrapOutboundIn(data) {
        case .head(let head):
            if head.status.code >= 200 { hasBegunResponse = true }
            if progressMark == nil { progressMark = (context.eventLoop.now, moved) }
            context.write(data, promise: promise)
        case .body(let body):
            let size = body.readableBytes
            pending += size
            if let refusal = account?.take(size) {
                pending -= size
                promise?.fail(ChannelError.ioOnClosedChannel)
                return end(.init(refusal))
            }
            let written = promise ?? context.eventLoop.makePromise(of: Void.self)
            let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
            written.futureResult.whenComplete { _ in bound.value.wrote(size) }
            context.write(data, promise: written)
        case .end:
            let written = promise ?? context.eventLoop.makePromise(of: Void.self)
            let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
            let body = owed.popFirst() ?? 0
            hasBegunResponse = false
            written.futureResult.whenComplete { _ in bound.value.responded(body) }
            context.write(data, promise: written)
        }
    }

    private func wrote(_ size: Int) {
        pending -= size
        moved &+= UInt64(size)
        account?.give(size)
    }

    private func responded(_ body: Int) {
        account?.give(body)
        if owed.isEmpty { progressMark = nil }
    }

    /// Succeeds once the system takes more from us; so nothing is read from a disk before there is room for it. On the event loop.
    func whenWritable(_ promise: EventLoopPromise<Void>) {
        guard let context else { return promise.fail(ChannelError.ioOnClosedChannel) }
        if context.channel.isWritable { promise.succeed() } else { waitingForRoom.append(promise) }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            let waiting = waitingForRoom
            waitingForRoom = []
            for promise in waiting { promise.succeed() }
        }
        context.fireChannelWritabilityChanged()
    }

    // MARK: Time

    private func tick(_ now: NIODeadline) {
        guard let context, !isEnding else { return }
        if let headDeadline, now >= headDeadline {
            connections.count(\.lateHeads)
            // Nobody waits for an answer to what he hasn't asked.
            isEnding = true
            return context.close(promise: nil)
        }
        if let deadline = bodyDeadline {
            // The body of a later request may stand still because its connection does.
            if owed.count > 1 {
                bodyDeadline = now + connections.limits.bodyTimeout
            } else if now >= deadline {
                connections.count(\.lateBodies)
                return end(.init(.requestTimeout, "the body was not complete within \(connections.limits.bodyTimeout.nanoseconds / 1_000_000_000) s"))
            }
        }
        guard let mark = progressMark else { return }
        if pending == 0 || moved &- mark.moved >= UInt64(connections.limits.slowestBytes) {
            progressMark = (now, moved)
        } else if now - mark.at >= connections.limits.progressTimeout {
            connections.count(\.slowReaders)
            logger.debug("HTTP response ended: its reader takes almost nothing", metadata: ["peer": "\(network)", "waiting": "\(pending)"])
            isEnding = true
            // What waits for it is of no use any more.
            context.close(promise: nil)
        }
    }

    // MARK: Ends

    /// A last answer.
    private struct LastWord {
        let status: HTTPResponseStatus
        let reason: String
        var retryAfter: Int?

        init(_ status: HTTPResponseStatus, _ reason: String, retryAfter: Int? = nil) {
            self.status = status
            self.reason = reason
            self.retryAfter = retryAfter
        }

        init(_ refusal: MemoryBudget.Refusal) {
            self.init(refusal == .address ? .tooManyRequests : .serviceUnavailable, refusal.description, retryAfter: 5)
        }
    }

    /// Answers the request at hand, if nothing of its response has gone out, and closes.
    private func end(_ word: LastWord) {
        guard let context, !isEnding else { return }
        isEnding = true
        guard owed.count == 1, !hasBegunResponse else { return context.close(promise: nil) }
        let body = context.channel.allocator.buffer(string: "Refused: \(word.reason)\n")
        var headers: HTTPHeaders = [
            "Content-Type": "text/plain; charset=utf-8", "Content-Length": String(body.readableBytes), "Connection": "close", "Server": "Martlet",
        ]
        if let seconds = word.retryAfter { headers.add(name: "Retry-After", value: String(seconds)) }
        context.write(wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: word.status, headers: headers))), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in bound.value.closeAfterWord() }
    }

    /// Our half first, and the rest a moment later: a peer that is still sending would lose the answer to the reset otherwise.
    private func closeAfterWord() {
        guard let context else { return }
        let channel = context.channel
        context.close(mode: .output, promise: nil)
        let end = context.eventLoop.scheduleTask(in: .seconds(1)) { channel.close(promise: nil) }
        channel.closeFuture.whenComplete { _ in end.cancel() }
    }
}
