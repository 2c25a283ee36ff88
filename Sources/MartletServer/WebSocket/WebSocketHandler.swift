// SPDX-License-Identifier: Apache-2.0
// WebSocket frames to messages and back (RFC 6455), with its bounds: message size and time, fragments, unread output, unprocessed
// input, all of it in the memory budget. Last in the pipeline of every WebSocket channel, server or client side; owned by the channel.
import MediaIO
import NIOCore
import NIOWebSocket
import Primitives

/// Bounds of one WebSocket.
struct WebSocketLimits: Sendable, Equatable {
    /// Bytes of one received message, all fragments together.
    var maximumMessageSize = 1_048_576
    /// Bytes that may wait for a peer that doesn't read, control frames included.
    var maximumSendQueue = 8_388_608
    /// Received messages that the owner has not processed yet; above it the socket is not read.
    var maximumPendingMessages = 64
    /// Fragments of one message.
    var maximumFragments = 1024
    /// From the first byte of a message to its last.
    var messageTimeout = TimeAmount.seconds(30)
    /// How long the peer may take to answer our close frame.
    var closeTimeout = TimeAmount.seconds(2)
}

extension WebSocketErrorCode {
    /// RFC 6455's registry: the server is too busy for now.
    static let tryAgainLater = WebSocketErrorCode(codeNumber: 1013)

    /// What a close frame may carry (RFC 6455 §7.4, and the registry).
    static func mayBeSent(_ number: UInt16) -> Bool {
        switch number {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }
}

final class WebSocketHandler: ChannelDuplexHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    private let isServer: Bool
    private let limits: WebSocketLimits
    private let memory: MemoryBudget
    private let network: AddressKey
    private var account: MemoryAccount?
    /// What has come of a frame that is not complete.
    private let backlog = FrameBacklog()
    private var onEvent: (@Sendable (WebSocketEvent) -> Void)?
    private var context: ChannelHandlerContext?
    private var peer = ""

    private var fragments: ByteBuffer?
    private var fragmentCount = 0
    private var fragmentsAreText = false
    /// Since when a message is incomplete.
    private var incompleteSince: NIODeadline?
    private var messageTimer: Scheduled<Void>?
    private var queuedBytes = 0
    /// A pong is on its way out; the newest ping that came meanwhile is answered after it (RFC 6455 §5.5.3).
    private var hasPongOut = false
    private var waitingPong: ByteBuffer?
    /// The sizes of received messages that are not processed.
    private var pendingSizes = CircularBuffer<Int>()
    private var pendingBytes = 0
    private var isReadHeld = false
    private var hasStoppedReading = false
    private var hasSentClose = false
    private var closeReason: String?
    private var closeTimer: Scheduled<Void>?

    /// - Parameter network: in whose share of `memory` the connection counts.
    init(isServer: Bool, limits: WebSocketLimits, memory: MemoryBudget = .unlimited, network: AddressKey = .other("unknown")) {
        self.isServer = isServer
        self.limits = limits
        self.memory = memory
        self.network = network
    }

    /// Puts the handler, and the count of what waits before the frame decoder, into a channel that has been upgraded. On its event loop.
    func install(in channel: any Channel) throws {
        let pipeline = channel.pipeline.syncOperations
        if let decoder = try? pipeline.handler(type: ByteToMessageHandler<WebSocketFrameDecoder>.self) {
            try pipeline.addHandler(backlog, position: .before(decoder))
        }
        try pipeline.addHandler(self)
    }

    /// Sets who is told. Before the channel reads its first frame.
    func deliver(to onEvent: @escaping @Sendable (WebSocketEvent) -> Void) { self.onEvent = onEvent }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        let eventLoop = context.eventLoop
        account = memory.account(for: network) { refusal in eventLoop.execute { handler.value.refuse(refusal) } }
        peer = WebSocketConnection.text(context.channel.remoteAddress)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        tellClosed("the connection was torn down")
        self.context = nil
    }

    // MARK: Sending

    func send(_ text: String) {
        guard let context, !hasSentClose else { return }
        guard queuedBytes + text.utf8.count <= limits.maximumSendQueue else {
            return breakOff("the peer does not read: more than \(limits.maximumSendQueue) bytes were waiting")
        }
        write(frame(.text, context.channel.allocator.buffer(string: text)), context)
    }

    /// The queue can't take a close frame either: ends the connection at once.
    private func breakOff(_ reason: String) {
        closeReason = closeReason ?? reason
        hasSentClose = true
        context?.close(promise: nil)
    }

    /// Writes a frame and counts it until the system has taken it.
    private func write(_ frame: WebSocketFrame, _ context: ChannelHandlerContext, then: @escaping (WebSocketHandler) -> Void = { _ in }) {
        // At most: two bytes, eight of length, four of mask.
        let size = frame.data.readableBytes + 14
        queuedBytes += size
        if let refusal = settle() {
            queuedBytes -= size
            return breakOff(refusal.description)
        }
        let written = context.eventLoop.makePromise(of: Void.self)
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        let next = NIOLoopBound(then, eventLoop: context.eventLoop)
        written.futureResult.whenComplete { _ in
            handler.value.queuedBytes -= size
            _ = handler.value.settle()
            next.value(handler.value)
        }
        context.writeAndFlush(wrapOutboundOut(frame), promise: written)
    }

    /// Answers a ping. However many come, one pong at most is on its way, and one more waits: the answer to the newest.
    private func pong(_ data: ByteBuffer, _ context: ChannelHandlerContext) {
        guard !hasSentClose else { return }
        guard !hasPongOut else { return waitingPong = data }
        hasPongOut = true
        write(frame(.pong, data), context) { handler in
            handler.hasPongOut = false
            guard let data = handler.waitingPong, let context = handler.context else { return }
            handler.waitingPong = nil
            handler.pong(data, context)
        }
    }

    func close(code: WebSocketErrorCode, reason: String) {
        guard let context, !hasSentClose else { return }
        closeReason = closeReason ?? reason
        sendClose(code, reason: reason, context: context)
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        closeTimer = context.eventLoop.scheduleTask(in: limits.closeTimeout) {
            handler.value.context?.close(promise: nil)
        }
    }

    private func sendClose(_ code: WebSocketErrorCode, reason: String, context: ChannelHandlerContext) {
        hasSentClose = true
        var data = context.channel.allocator.buffer(capacity: 128)
        data.write(webSocketErrorCode: code)
        // A control frame carries at most 125 bytes; cut at a character.
        var text = reason
        while text.utf8.count > 120 { text.removeLast() }
        data.writeString(text)
        write(frame(.connectionClose, data), context)
    }

    private func frame(_ opcode: WebSocketOpcode, _ data: ByteBuffer) -> WebSocketFrame {
        WebSocketFrame(fin: true, opcode: opcode, maskKey: isServer ? nil : .random(), data: data)
    }

    // MARK: Back-pressure

    func messageProcessed() {
        if let size = pendingSizes.popFirst() { pendingBytes -= size }
        _ = settle()
        if pendingSizes.count <= limits.maximumPendingMessages / 2 { resumeReading() }
    }

    func read(context: ChannelHandlerContext) {
        // A peer that doesn't take our answers is asked no more questions.
        if hasStoppedReading || pendingSizes.count > limits.maximumPendingMessages || !context.channel.isWritable {
            isReadHeld = true
        } else {
            context.read()
        }
    }

    private func resumeReading() {
        guard isReadHeld, let context, !hasStoppedReading, context.channel.isWritable, pendingSizes.count <= limits.maximumPendingMessages else { return }
        isReadHeld = false
        context.read()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { resumeReading() }
        context.fireChannelWritabilityChanged()
    }

    // MARK: Memory and time

    /// Tells the budget what is held now.
    private func settle() -> MemoryBudget.Refusal? {
        account?.set(backlog.bytes + (fragments?.readableBytes ?? 0) + pendingBytes + queuedBytes)
    }

    /// Ends the connection for want of memory. On its event loop.
    func refuse(_ refusal: MemoryBudget.Refusal) {
        fragments = nil
        // What still comes would be kept before the decoder.
        hasStoppedReading = true
        close(code: refusal == .server ? .tryAgainLater : .policyViolation, reason: refusal.description)
        guard let context else { return }
        // What it holds is wanted back: its words have a moment to go out, and no answer is waited for.
        closeTimer?.cancel()
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        closeTimer = context.eventLoop.scheduleTask(in: .milliseconds(200)) { handler.value.context?.close(promise: nil) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if fragments == nil, backlog.bytes == 0 {
            incompleteSince = nil
        } else if incompleteSince == nil {
            incompleteSince = context.eventLoop.now
            if messageTimer == nil { startMessageTimer(context, in: limits.messageTimeout) }
        }
        // Who has been told goodbye already gets no further words.
        if let refusal = settle(), !hasStoppedReading { if hasSentClose { context.close(promise: nil) } else { refuse(refusal) } }
        context.fireChannelReadComplete()
    }

    /// One timer for all messages of the connection; it looks again when another message has begun since.
    private func startMessageTimer(_ context: ChannelHandlerContext, in time: TimeAmount) {
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        messageTimer = context.eventLoop.scheduleTask(in: time) {
            let handler = handler.value
            handler.messageTimer = nil
            guard let since = handler.incompleteSince, let context = handler.context, !handler.hasSentClose else { return }
            let rest = since + handler.limits.messageTimeout - context.eventLoop.now
            if rest > .zero { return handler.startMessageTimer(context, in: rest) }
            handler.hasStoppedReading = true
            handler.fail(.policyViolation, "a message was not complete within \(handler.limits.messageTimeout.nanoseconds / 1_000_000_000) s", context)
        }
    }

    // MARK: Receiving

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        Breadcrumb.begin(.webSocket, of: peer)
        defer { Breadcrumb.end() }
        let frame = unwrapInboundIn(data)
        backlog.took(frame)
        guard closeReason == nil || frame.opcode == .connectionClose else { return }
        if frame.rsv1 || frame.rsv2 || frame.rsv3 { return fail(.protocolError, "a reserved bit is set", context) }
        // RFC 6455 §5.1: clients mask, servers don't.
        if isServer, frame.maskKey == nil { return fail(.protocolError, "a client frame is not masked", context) }
        switch frame.opcode {
        case .text, .binary:
            guard fragments == nil else { return fail(.protocolError, "a message inside a fragmented message", context) }
            let payload = frame.unmaskedData
            if frame.fin {
                complete(payload, isText: frame.opcode == .text, context)
            } else {
                fragmentsAreText = frame.opcode == .text
                fragments = payload
                fragmentCount = 1
            }
        case .continuation:
            guard var message = fragments else { return fail(.protocolError, "a continuation of nothing", context) }
            fragments = nil
            fragmentCount += 1
            var payload = frame.unmaskedData
            guard message.readableBytes + payload.readableBytes <= limits.maximumMessageSize,
                fragmentCount <= limits.maximumFragments
            else { return fail(.messageTooLarge, "the message is larger than \(limits.maximumMessageSize) bytes", context) }
            message.writeBuffer(&payload)
            if frame.fin { complete(message, isText: fragmentsAreText, context) } else { fragments = message }
        case .ping:
            pong(frame.unmaskedData, context)
        case .pong: break
        case .connectionClose:
            receiveClose(frame.unmaskedData, context)
        default: fail(.protocolError, "an unknown opcode", context)
        }
    }

    private func complete(_ payload: ByteBuffer, isText: Bool, _ context: ChannelHandlerContext) {
        guard payload.readableBytes <= limits.maximumMessageSize else {
            return fail(.messageTooLarge, "the message is larger than \(limits.maximumMessageSize) bytes", context)
        }
        incompleteSince = nil
        // The protocol has no binary messages; clients ignore them and so do we.
        guard isText else { return }
        guard let text = String(validating: payload.readableBytesView, as: UTF8.self) else {
            return fail(.dataInconsistentWithMessage, "the text is no UTF-8", context)
        }
        pendingSizes.append(payload.readableBytes)
        pendingBytes += payload.readableBytes
        onEvent?(.text(text))
    }

    private func receiveClose(_ payload: ByteBuffer, _ context: ChannelHandlerContext) {
        var payload = payload
        closeReason = closeReason ?? "closed by the peer"
        if !hasSentClose {
            // RFC 6455 §5.5.1, §7.4: nothing, or a code that may be sent and a reason in UTF-8.
            let isEmpty = payload.readableBytes == 0
            let number = payload.readInteger(as: UInt16.self)
            if !isEmpty, !(number.map(WebSocketErrorCode.mayBeSent) ?? false) {
                sendClose(.protocolError, reason: "the close frame has no valid code", context: context)
            } else if String(validating: payload.readableBytesView, as: UTF8.self) == nil {
                sendClose(.dataInconsistentWithMessage, reason: "the reason is no UTF-8", context: context)
            } else {
                sendClose(number.map { WebSocketErrorCode(codeNumber: Int($0)) } ?? .normalClosure, reason: "", context: context)
            }
        }
        closeTimer?.cancel()
        // The server closes the TCP connection first (RFC 6455 §7.1.1); a client closes as well, since waiting gains nothing.
        context.close(mode: .all, promise: nil)
    }

    private func fail(_ code: WebSocketErrorCode, _ reason: String, _ context: ChannelHandlerContext) {
        fragments = nil
        close(code: code, reason: reason)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case NIOWebSocketError.invalidFrameLength:
            fail(.messageTooLarge, "the message is larger than \(limits.maximumMessageSize) bytes", context)
        case is NIOWebSocketError:
            fail(.protocolError, "a malformed frame", context)
        default:
            closeReason = closeReason ?? "\(error)"
            context.close(promise: nil)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event as? ChannelEvent == .inputClosed {
            closeReason = closeReason ?? "closed by the peer without a goodbye"
            context.close(promise: nil)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        tellClosed("the connection broke")
        context.fireChannelInactive()
    }

    private func tellClosed(_ fallback: String) {
        closeTimer?.cancel()
        messageTimer?.cancel()
        account = nil
        hasSentClose = true
        guard let onEvent else { return }
        self.onEvent = nil
        onEvent(.closed(closeReason ?? fallback))
    }
}

/// Counts the bytes of frames that are not complete, which wait in the frame decoder behind it.
private final class FrameBacklog: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    private(set) var bytes = 0

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        bytes += unwrapInboundIn(data).readableBytes
        context.fireChannelRead(data)
    }

    /// A complete frame has come out of the decoder.
    func took(_ frame: WebSocketFrame) {
        let length = frame.length
        bytes = max(0, bytes - length - (frame.maskKey == nil ? 2 : 6) - (length > 65_535 ? 8 : length > 125 ? 2 : 0))
    }
}
