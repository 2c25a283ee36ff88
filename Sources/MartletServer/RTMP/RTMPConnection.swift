// SPDX-License-Identifier: Apache-2.0
// One TCP connection that speaks RTMP, server or client side: carries bytes between the socket and the state machine, bounds what
// waits for a peer that doesn't read, and lets senders wait. Safe from any thread; the work is done on the channel's event loop.
import MediaIO
import NIOCore
import Primitives
import RTMP

/// The state machine of one side.
protocol RTMPMachine {
    associatedtype Event: Sendable
    mutating func receive(_ bytes: UnsafeRawBufferPointer, at now: Instant) throws(RTMPError) -> [Event]
    mutating func takeOutput() -> [UInt8]
    /// Events that an answer of ours has set free.
    mutating func takeEvents() -> [Event]
    /// Bytes of messages that are not complete, or came before their time.
    var heldBytes: Int { get }
    var hasIncomplete: Bool { get }
    /// A message has been arriving for longer than it may.
    func isOverdue(at now: Instant) -> Bool
}

extension RTMPServerSession: RTMPMachine {}
extension RTMPClientSession: RTMPMachine {}

/// The bounds of one connection's way out.
struct RTMPSendLimits: Sendable, Equatable {
    /// Senders wait while more than this is queued.
    var high = 512 * 1024
    /// They go on when no more than this is left.
    var low = 128 * 1024
    /// More than this ends the connection: what is sent without waiting has grown beyond all measure.
    var maximum = 8 << 20
    /// A peer that has taken nothing for so long is dropped.
    var timeout = TimeAmount.seconds(15)
}

final class RTMPConnection<Machine: RTMPMachine>: Sendable {
    let remoteAddress: String
    let localAddress: String
    private let eventLoop: any EventLoop
    private let handler: NIOLoopBound<RTMPChannelHandler<Machine>>

    /// On the channel's event loop.
    init(channel: any Channel, handler: RTMPChannelHandler<Machine>) {
        eventLoop = channel.eventLoop
        self.handler = NIOLoopBound(handler, eventLoop: channel.eventLoop)
        remoteAddress = WebSocketConnection.text(channel.remoteAddress)
        localAddress = WebSocketConnection.text(channel.localAddress)
    }

    /// Changes the machine and sends what comes of it.
    func perform(_ body: @escaping @Sendable (inout Machine) -> Void) {
        eventLoop.execute { [handler] in handler.value.perform(body) }
    }

    /// The same with a result; `nil` when the connection is gone.
    func ask<Value: Sendable>(_ body: @escaping @Sendable (inout Machine) -> Value) async -> Value? {
        try? await eventLoop.submit { [handler] in handler.value.perform(body) }.get()
    }

    /// The same, and waits until the peer has taken enough of it. false: the connection is gone.
    func send(_ body: @escaping @Sendable (inout Machine) -> Void) async -> Bool {
        let promise = eventLoop.makePromise(of: Bool.self)
        eventLoop.execute { [handler] in handler.value.send(body, promise: promise) }
        return (try? await promise.futureResult.get()) ?? false
    }

    /// Closes once what is queued has gone out, or after a moment.
    func close(reason: String) { eventLoop.execute { [handler] in handler.value.close(reason: reason) } }

    /// When the peer was last heard of.
    func lastReceived() async -> NIODeadline? { try? await eventLoop.submit { [handler] in handler.value.lastReceived }.get() }
}

final class RTMPChannelHandler<Machine: RTMPMachine>: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var machine: Machine
    private let limits: RTMPSendLimits
    private var onEvent: ((Machine.Event) -> Void)?
    private var onClosed: ((String) -> Void)?
    /// The far side's word, when it was that which ended the connection.
    private(set) var refusal: (code: String, description: String)?
    private var context: ChannelHandlerContext?
    private var queuedBytes = 0
    private var waiting: [EventLoopPromise<Bool>] = []
    private var stall: Scheduled<Void>?
    private var closeReason: String?
    private var progressCheck: Scheduled<Void>?
    private(set) var lastReceived = NIODeadline.now()
    /// What is held for the peer, in and out; set before the connection begins.
    var account: MemoryAccount?
    /// Bytes that its session holds for it besides.
    var heldBySession: () -> Int = { 0 }

    /// How long a goodbye may take.
    private static var closeTime: TimeAmount { .seconds(2) }
    /// Messages that are not complete, and peers that fall behind, are looked at this often.
    private static var progressInterval: TimeAmount { .seconds(2) }

    init(machine: Machine, limits: RTMPSendLimits) {
        self.machine = machine
        self.limits = limits
    }

    /// The other end's address, for `Breadcrumb`.
    private var peer = ""

    /// Sets who is told, on the event loop; `onClosed` once, last.
    func deliver(onEvent: @escaping (Machine.Event) -> Void, onClosed: @escaping (String) -> Void) {
        self.onEvent = onEvent
        self.onClosed = onClosed
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        peer = WebSocketConnection.text(context.channel.remoteAddress)
        if context.channel.isActive { flush() }
    }

    func channelActive(context: ChannelHandlerContext) {
        flush()
        context.fireChannelActive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        tellClosed("the connection was torn down")
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        tellClosed("closed by the peer")
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        closeReason = closeReason ?? ConnectionReason.words(error)
        context.close(promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        Breadcrumb.begin(.rtmp, of: peer)
        defer { Breadcrumb.end() }
        guard closeReason == nil else { return }
        lastReceived = .now()
        let buffer = unwrapInboundIn(data)
        let outcome = buffer.withUnsafeReadableBytes { bytes -> Result<[Machine.Event], RTMPError> in
            do throws(RTMPError) { return .success(try machine.receive(bytes, at: Self.instant(lastReceived))) } catch { return .failure(error) }
        }
        switch outcome {
        case .success(let events):
            for event in events { onEvent?(event) }
            flush()
            account(for: context)
        case .failure(let error):
            flush()
            if case .refused(let code, let description) = error { refusal = (code, description) }
            close(reason: error.description)
        }
    }

    @discardableResult
    func perform<Value>(_ body: (inout Machine) -> Value) -> Value {
        let value = body(&machine)
        for event in machine.takeEvents() { onEvent?(event) }
        flush()
        return value
    }

    private static func instant(_ time: NIODeadline) -> Instant { Instant(nanoseconds: Int64(clamping: time.uptimeNanoseconds)) }

    private var heldBytes: Int { machine.heldBytes + queuedBytes + heldBySession() }

    /// Bounds what is held for the peer, in bytes and in time.
    private func account(for context: ChannelHandlerContext) {
        guard closeReason == nil else { return }
        if let refusal = account?.set(heldBytes) { return close(reason: "\(refusal)") }
        guard progressCheck == nil, machine.hasIncomplete || !waiting.isEmpty else { return }
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        progressCheck = context.eventLoop.scheduleTask(in: Self.progressInterval) { handler.value.checkProgress() }
    }

    private func checkProgress() {
        progressCheck = nil
        guard let context, closeReason == nil else { return }
        guard !machine.isOverdue(at: Self.instant(.now())) else { return close(reason: "RTMP bound exceeded: a message did not become complete in time") }
        account(for: context)
    }

    /// Sends; `promise` is kept once the peer has taken enough.
    func send(_ body: (inout Machine) -> Void, promise: EventLoopPromise<Bool>) {
        guard context != nil, closeReason == nil else { return promise.succeed(false) }
        perform(body)
        guard queuedBytes > limits.high, closeReason == nil else { return promise.succeed(closeReason == nil) }
        waiting.append(promise)
        // While it waits, what is for it gathers behind it.
        if let context { account(for: context) }
    }

    private func flush() {
        guard let context, context.channel.isActive else { return }
        let output = machine.takeOutput()
        guard !output.isEmpty, closeReason == nil else { return }
        guard queuedBytes + output.count <= limits.maximum else { return close(reason: "the peer does not read: \(queuedBytes) bytes were waiting") }
        let size = output.count
        queuedBytes += size
        if let refusal = account?.set(heldBytes) { return close(reason: "\(refusal)") }
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.whenComplete { _ in handler.value.wrote(size) }
        context.writeAndFlush(wrapOutboundOut(context.channel.allocator.buffer(bytes: output)), promise: written)
        if stall == nil, queuedBytes > 0 { watchStall(context) }
    }

    private func wrote(_ size: Int) {
        queuedBytes -= size
        _ = account?.set(heldBytes)
        // Progress: the clock starts anew.
        stall?.cancel()
        stall = nil
        if queuedBytes > 0, let context { watchStall(context) }
        if queuedBytes <= limits.low { release(true) }
    }

    private func watchStall(_ context: ChannelHandlerContext) {
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        stall = context.eventLoop.scheduleTask(in: limits.timeout) {
            handler.value.closeReason = handler.value.closeReason ?? "the peer took nothing for \(handler.value.limits.timeout.nanoseconds / 1_000_000_000) s"
            handler.value.context?.close(promise: nil)
        }
    }

    private func release(_ isOpen: Bool) {
        let released = waiting
        waiting = []
        for promise in released { promise.succeed(isOpen) }
    }

    func close(reason: String) {
        guard let context, closeReason == nil else { return }
        closeReason = reason
        release(false)
        // What was written goes out first; who doesn't take it is cut off.
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(context.channel.allocator.buffer(capacity: 0))).whenComplete { _ in
            handler.value.context?.close(promise: nil)
        }
        context.eventLoop.scheduleTask(in: Self.closeTime) { handler.value.context?.close(promise: nil) }
    }

    private func tellClosed(_ fallback: String) {
        stall?.cancel()
        stall = nil
        progressCheck?.cancel()
        progressCheck = nil
        account?.close()
        release(false)
        guard let onClosed else { return }
        self.onClosed = nil
        self.onEvent = nil
        heldBySession = { 0 }
        let reason = closeReason ?? fallback
        closeReason = reason
        onClosed(reason)
    }
}
