// SPDX-License-Identifier: Apache-2.0
// One push or pull: keeps a link to another server for as long as its local stream lives. A state machine fed by one mailbox;
// attempts, waits and the far side's statuses come in as inputs. Made and run by AgentRegistry.
import Logging
import Signalling
import Synchronization

final class Agent: Sendable {
    /// An established link.
    struct Link: Sendable {
        let client: WCSClient
        let stream: WCSStream
    }

    enum Input: Sendable {
        case attempted(generation: Int, Result<Link, AgentEnd>)
        case far(generation: Int, StreamStatusMessage)
        case farEvent(generation: Int, StreamEventMessage)
        /// The connection to the far side is gone.
        case farGone(generation: Int)
        case local(StreamNotice)
        /// The far side has not accepted in time.
        case overdue(generation: Int)
        case retryDue(generation: Int)
        /// The far side closed the peer connection and has had the time to say why.
        case mediaClosed(generation: Int)
        case terminate
    }

    let request: AgentRequest
    /// The id of the local media session.
    let localMediaSessionID = Identifier.uuid()
    let settings: AgentSettings
    let registry: StreamRegistry
    let clock: any Clock<Duration>
    let logger: Logger
    let mailbox: AsyncStream<Input>
    private let sink: AsyncStream<Input>.Continuation

    private struct Shown {
        var status = AgentStatus.new
        var remoteMediaSessionID: String?
        var outcome: Result<Void, AgentEnd>?
        var waiting: CheckedContinuation<Result<Void, AgentEnd>, Never>?
    }
    private let shown = Mutex(Shown())

    init(
        request: AgentRequest, settings: AgentSettings, registry: StreamRegistry, clock: any Clock<Duration> = ContinuousClock(),
        logger: Logger
    ) {
        self.request = request
        self.settings = settings
        self.registry = registry
        self.clock = clock
        var logger = logger
        logger[metadataKey: "agent"] = "\(request.direction.rawValue)"
        logger[metadataKey: "far"] = "\(request.address)"
        logger[metadataKey: "stream"] = "\(request.localStreamName)"
        logger[metadataKey: "remote_stream"] = "\(request.remoteStreamName)"
        self.logger = logger
        (mailbox, sink) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(4096))
    }

    func post(_ input: Input) { sink.yield(input) }

    var owner: StreamOwner {
        StreamOwner(
            id: "/agent/\(request.direction.rawValue)/\(localMediaSessionID)", appKey: ConnectionRequest.defaultAppKey,
            deliver: { [weak self] notice in self?.post(.local(notice)) })
    }

    // MARK: Shown to REST

    var status: AgentStatus { shown.withLock { $0.status } }

    var json: JSONValue {
        let (status, remote) = shown.withLock { ($0.status, $0.remoteMediaSessionID) }
        return [
            "localMediaSessionId": .string(localMediaSessionID), "remoteMediaSessionId": JSONValue(remote),
            "localStreamName": .string(request.localStreamName), "remoteStreamName": .string(request.remoteStreamName),
            "uri": .string(request.address.text), "status": .string(status.rawValue),
        ]
    }

    func show(_ status: AgentStatus, remote: String? = nil) {
        shown.withLock { shown in
            shown.status = status
            shown.remoteMediaSessionID = remote
        }
    }

    /// Settles what `firstOutcome` waits for; later calls change nothing.
    func settle(_ outcome: Result<Void, AgentEnd>) {
        shown.withLock { shown -> CheckedContinuation<Result<Void, AgentEnd>, Never>? in
            guard shown.outcome == nil else { return nil }
            shown.outcome = outcome
            defer { shown.waiting = nil }
            return shown.waiting
        }?.resume(returning: outcome)
    }

    /// Returns when the far side has accepted for the first time, or throws why it did not. One caller.
    func firstOutcome() async throws(AgentEnd) {
        let outcome = await withCheckedContinuation { continuation in
            let known: Result<Void, AgentEnd>? = shown.withLock { shown in
                if let outcome = shown.outcome { return outcome }
                shown.waiting = continuation
                return nil
            }
            if let known { continuation.resume(returning: known) }
        }
        try outcome.get()
    }

    // MARK: One attempt

    /// Connects, exchanges offer and answer. What the far side thinks of it comes as statuses.
    func attempt() async -> Result<Link, AgentEnd> {
        do throws(AgentEnd) { return .success(try await connect()) } catch { return .failure(error) }
    }

    private func connect() async throws(AgentEnd) -> Link {
        // Looked at before the far side is bothered: nothing to send ends an agent even while the far side can't be reached.
        if request.direction == .push, await !registry.isTaken(request.localStreamName) {
            throw .local(.refused(.sessionDoesNotExist, "there is no local stream \"\(request.localStreamName)\""))
        }
        let client: WCSClient
        do {
            client = try await WCSClient.connect(to: request.address, configuration: settings.client)
        } catch {
            throw .link(error)
        }
        do throws(AgentEnd) {
            let stream = try await negotiate(client)
            return Link(client: client, stream: stream)
        } catch {
            client.close()
            throw error
        }
    }

    private func negotiate(_ client: WCSClient) async throws(AgentEnd) -> WCSStream {
        let isPush = request.direction == .push
        let local = StreamRequest(
            mediaSessionID: localMediaSessionID, name: request.localStreamName, published: !isPush, sdp: "")
        let offer: String
        do {
            offer = isPush ? try await registry.openPush(local, owner: owner) : try await registry.openPull(local, owner: owner)
        } catch {
            throw .local(error)
        }
        let stream: WCSStream
        do {
            stream = isPush
                ? try await client.publish(
                    name: request.remoteStreamName, offer: offer, hasAudio: offer.contains("m=audio"), hasVideo: offer.contains("m=video"))
                : try await client.play(name: request.remoteStreamName, offer: offer)
        } catch {
            throw .link(error)
        }
        do {
            try await registry.setAnswer(stream.answer, for: localMediaSessionID)
        } catch {
            client.stop(stream)
            throw .local(error)
        }
        return stream
    }
}
