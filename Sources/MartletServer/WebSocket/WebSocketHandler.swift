// WebSocket frames to messages and back (RFC 6455), with its bounds: message size, fragments, unread output, unprocessed
// input. Last in the pipeline of every WebSocket channel, server or client side; owned by the channel.
import NIOCore
import NIOWebSocket

/// Bounds of one WebSocket.
struct WebSocketLimits: Sendable, Equatable {
    /// Bytes of one received message, all fragments together.
    var maximumMessageSize = 1_048_576
    /// Bytes that may wait for a peer that doesn't read.
    var maximumSendQueue = 8_388_608
    /// Received messages that the owner has not processed yet; above it the socket is not read.
    var maximumPendingMessages = 64
    /// Fragments of one message.
    var maximumFragments = 1024
    /// How long the peer may take to answer our close frame.
    var closeTimeout = TimeAmount.seconds(2)
}

final class WebSocketHandler: ChannelDuplexHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    private let isServer: Bool
    private let limits: WebSocketLimits
    private var onEvent: (@Sendable (WebSocketEvent) -> Void)?
    private var context: ChannelHandlerContext?

    private var fragments: ByteBuffer?
    private var fragmentCount = 0
    private var fragmentsAreText = false
    private var queuedBytes = 0
    private var pendingMessages = 0
    private var isReadHeld = false
    private var hasSentClose = false
    private var closeReason: String?
    private var closeTimer: Scheduled<Void>?

    init(isServer: Bool, limits: WebSocketLimits) {
        self.isServer = isServer
        self.limits = limits
    }

    /// Sets who is told. Before the channel reads its first frame.
    func deliver(to onEvent: @escaping @Sendable (WebSocketEvent) -> Void) { self.onEvent = onEvent }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        tellClosed("the connection was torn down")
        self.context = nil
    }

    // MARK: Sending

    func send(_ text: String) {
        guard let context, !hasSentClose else { return }
        let size = text.utf8.count
        guard queuedBytes + size <= limits.maximumSendQueue else {
            // The queue can't take a close frame either: end it at once.
            closeReason = "the peer does not read: more than \(limits.maximumSendQueue) bytes were waiting"
            hasSentClose = true
            context.close(promise: nil)
            return
        }
        queuedBytes += size
        let written = context.eventLoop.makePromise(of: Void.self)
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        written.futureResult.whenComplete { _ in handler.value.queuedBytes -= size }
        context.writeAndFlush(wrapOutboundOut(frame(.text, context.channel.allocator.buffer(string: text))), promise: written)
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
        context.writeAndFlush(wrapOutboundOut(frame(.connectionClose, data)), promise: nil)
    }

    private func frame(_ opcode: WebSocketOpcode, _ data: ByteBuffer) -> WebSocketFrame {
        WebSocketFrame(fin: true, opcode: opcode, maskKey: isServer ? nil : .random(), data: data)
    }

    // MARK: Back-pressure

    func messageProcessed() {
        pendingMessages -= 1
        if isReadHeld, pendingMessages <= limits.maximumPendingMessages / 2 {
            isReadHeld = false
            context?.read()
        }
    }

    func read(context: ChannelHandlerContext) {
        if pendingMessages > limits.maximumPendingMessages {
            isReadHeld = true
        } else {
            context.read()
        }
    }

    // MARK: Receiving

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
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
            guard !hasSentClose, queuedBytes < limits.maximumSendQueue else { return }
            context.writeAndFlush(wrapOutboundOut(self.frame(.pong, frame.unmaskedData)), promise: nil)
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
        // The protocol has no binary messages; clients ignore them and so do we.
        guard isText else { return }
        guard let text = String(validating: payload.readableBytesView, as: UTF8.self) else {
            return fail(.dataInconsistentWithMessage, "the text is no UTF-8", context)
        }
        pendingMessages += 1
        onEvent?(.text(text))
    }

    private func receiveClose(_ payload: ByteBuffer, _ context: ChannelHandlerContext) {
        var payload = payload
        let code = payload.readWebSocketErrorCode()
        closeReason = closeReason ?? "closed by the peer"
        if !hasSentClose { sendClose(code ?? .normalClosure, reason: "", context: context) }
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
        hasSentClose = true
        guard let onEvent else { return }
        self.onEvent = nil
        onEvent(.closed(closeReason ?? fallback))
    }
}
