// SPDX-License-Identifier: Apache-2.0
// The state of one WCSClient: who waits for what. Fed with the server's messages on the event loop; waited on from tasks.
import Signalling
import Synchronization

final class WCSClientCore: Sendable {
    private struct Stream {
        var answer: String?
        var failure: WCSClientError?
        var waiting: CheckedContinuation<Result<String, WCSClientError>, Never>?
        let statuses: AsyncStream<StreamStatusMessage>.Continuation
        let events: AsyncStream<StreamEventMessage>.Continuation
    }
    private struct State {
        var userData: JSONValue?
        var closed: WCSClientError?
        /// The last `fail` in words; says why a server hangs up.
        var lastFailure: String?
        var waiting: CheckedContinuation<Result<Void, WCSClientError>, Never>?
        var streams: [String: Stream] = [:]
        var messages: UInt64 = 0
    }
    private let state = Mutex(State())
    private let address: WCSAddress

    private let onData: @Sendable (ServerMessage) -> Void

    init(address: WCSAddress, onData: @escaping @Sendable (ServerMessage) -> Void = { _ in }) {
        self.address = address
        self.onData = onData
    }

    var userData: JSONValue { state.withLock { $0.userData ?? .null } }
    var isClosed: Bool { state.withLock { $0.closed != nil } }
    /// Messages received so far; standing still means silence.
    var messageCount: UInt64 { state.withLock { $0.messages } }

    // MARK: Waiting

    /// Returns when the session is established.
    func established() async throws(WCSClientError) {
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let known: Result<Void, WCSClientError>? = state.withLock { state in
                    if Task.isCancelled { return .failure(.cancelled) }
                    if state.userData != nil { return .success(()) }
                    if let closed = state.closed { return .failure(closed) }
                    state.waiting = continuation
                    return nil
                }
                if let known { continuation.resume(returning: known) }
            }
        } onCancel: {
            state.withLock { state in
                defer { state.waiting = nil }
                return state.waiting
            }?.resume(returning: .failure(.cancelled))
        }
        try result.get()
    }

    /// Makes room for a stream before its request goes out.
    func register(_ id: String) throws(WCSClientError) -> (statuses: AsyncStream<StreamStatusMessage>, events: AsyncStream<StreamEventMessage>) {
        let (statuses, statusSink) = AsyncStream<StreamStatusMessage>.makeStream(bufferingPolicy: .bufferingNewest(64))
        let (events, eventSink) = AsyncStream<StreamEventMessage>.makeStream(bufferingPolicy: .bufferingNewest(64))
        let refusal: WCSClientError? = state.withLock { state in
            if let closed = state.closed { return closed }
            guard state.streams[id] == nil else { return .stream(status: "FAILED", info: StreamStatusInfo.mediaSessionIDInUse.rawValue) }
            state.streams[id] = Stream(statuses: statusSink, events: eventSink)
            return nil
        }
        if let refusal { throw refusal }
        return (statuses, events)
    }

    func unregister(_ id: String) {
        guard let stream = state.withLock({ $0.streams.removeValue(forKey: id) }) else { return }
        stream.statuses.finish()
        stream.events.finish()
    }

    /// Returns the SDP answer of a registered stream.
    func answer(of id: String) async throws(WCSClientError) -> String {
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Result<String, WCSClientError>, Never>) in
                let known: Result<String, WCSClientError>? = state.withLock { state in
                    if Task.isCancelled { return .failure(.cancelled) }
                    guard let stream = state.streams[id] else { return .failure(state.closed ?? .cancelled) }
                    if let failure = stream.failure { return .failure(failure) }
                    if let answer = stream.answer { return .success(answer) }
                    state.streams[id]?.waiting = continuation
                    return nil
                }
                if let known { continuation.resume(returning: known) }
            }
        } onCancel: {
            state.withLock { state in
                defer { state.streams[id]?.waiting = nil }
                return state.streams[id]?.waiting
            }?.resume(returning: .failure(.cancelled))
        }
        return try result.get()
    }

    // MARK: Feeding (on the event loop)

    /// Takes a text frame; returns what to send back at once.
    func receive(_ text: String) -> ClientMessage? {
        state.withLock { $0.messages += 1 }
        // What we don't understand does no harm.
        guard let envelope = try? Envelope(parsing: text) else { return nil }
        let message = ServerMessage(envelope)
        switch message {
        case .ping: return .pong
        case .userData(let object): establish(object)
        case .setRemoteSDP(let id, let sdp): take(answer: sdp, of: id)
        case .streamStatus(let status): take(status)
        case .streamEvent(let event):
            state.withLock { $0.streams[event.mediaSessionID]?.events }?.yield(event)
        case .fail(let failure):
            if let status = failure.streamStatus { take(status) }
            state.withLock { $0.lastFailure = failure.info }
        case .dataStatus, .data: onData(message)
        default: break
        }
        return nil
    }

    private func establish(_ object: JSONValue) {
        state.withLock { state in
            // What a server says is kept as long as it is of a client's size.
            state.userData = object.footprint <= 65_536 ? object : .null
            defer { state.waiting = nil }
            return state.waiting
        }?.resume(returning: .success(()))
    }

    private func take(answer: String, of id: String) {
        state.withLock { state -> CheckedContinuation<Result<String, WCSClientError>, Never>? in
            // Only the first one counts.
            guard state.streams[id]?.answer == nil else { return nil }
            state.streams[id]?.answer = answer
            defer { state.streams[id]?.waiting = nil }
            return state.streams[id]?.waiting
        }?.resume(returning: .success(answer))
    }

    private func take(_ status: StreamStatusMessage) {
        let isTerminal = status.known?.isTerminal ?? false
        let failure = WCSClientError.stream(status: status.status, info: status.info ?? "")
        let (stream, waiting) = state.withLock { state -> (Stream?, CheckedContinuation<Result<String, WCSClientError>, Never>?) in
            guard let stream = state.streams[status.mediaSessionID] else { return (nil, nil) }
            guard isTerminal else { return (stream, nil) }
            // Whoever has not asked for the answer yet learns the failure when asking.
            if stream.answer == nil, stream.waiting == nil {
                state.streams[status.mediaSessionID]?.failure = failure
            } else {
                state.streams[status.mediaSessionID] = nil
            }
            return (stream, stream.waiting)
        }
        stream?.statuses.yield(status)
        if isTerminal {
            stream?.statuses.finish()
            stream?.events.finish()
        }
        waiting?.resume(returning: .failure(failure))
    }

    /// The socket is gone: everybody who waits is told.
    func closed(_ reason: String) {
        let (established, streams, error) = state.withLock { state in
            let error: WCSClientError
            if state.userData == nil {
                error = .rejected("\(address) closed the connection: \(state.lastFailure ?? reason)")
            } else {
                error = .disconnected("the connection to \(address) is gone: \(reason)")
            }
            state.closed = state.closed ?? error
            defer {
                state.waiting = nil
                state.streams = [:]
            }
            return (state.waiting, Array(state.streams.values), error)
        }
        established?.resume(returning: .failure(error))
        for stream in streams {
            stream.waiting?.resume(returning: .failure(error))
            stream.statuses.finish()
            stream.events.finish()
        }
    }
}
