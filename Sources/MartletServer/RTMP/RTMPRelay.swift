// SPDX-License-Identifier: Apache-2.0
// One stream on its way to or from another RTMP server: connects, sends or fetches, and begins anew with growing pauses when the
// connection breaks. Made by RTMPRelays, which runs it.
import Logging
import NIOCore
import RTMP
import Signalling
import Synchronization

final class RTMPRelay: Sendable {
    enum Direction: String, Sendable { case push, pull }

    struct Request: Sendable {
        let direction: Direction
        let url: RTMPURL
        /// Of our stream.
        let localName: String
        var flashVersion: String?
        var record = false
        var hasAudio = true
        var hasVideo = true
        var options: JSONValue?
        /// The name on the far side, and the address, as REST shows them.
        var shownName: String
        var shownURL: String
    }

    struct Settings: Sendable {
        var timeout = TimeAmount.seconds(10)
        var firstDelay = Duration.milliseconds(250)
        var longestDelay = Duration.seconds(2)
        /// Failures in a row after which it gives up; 0 = never.
        var maximumAttempts = 0
        var reconnects = true
        var verifiesCertificate = true
        /// PEM file of authorities besides those of the system; empty = none.
        var authorities = ""
        var send = RTMPSendLimits()
    }

    /// A relay that has run for so long has not failed: the next pause is short again.
    static let steadySpan = Duration.seconds(5)
    /// A far side that we fetch from and that sends nothing for so long is gone.
    static let longestSilence = Duration.seconds(10)

    /// How a relay's life ended.
    enum End: Error, Sendable, Equatable {
        /// The local stream of a push is over, or never was.
        case streamEnded(String)
        case terminated
        /// The far side; the sentence says what.
        case failed(String)
        /// The same, where trying again doesn't help: it refuses who asks, or what he asks for.
        case rejected(String)
        case refused(StreamStatusInfo, String)
    }

    let request: Request
    /// Nobody waits for an answer: a refusal stays on the list for as long as the stream lives.
    let keepsFailure: Bool
    let mediaSessionID = Identifier.uuid()
    private let settings: Settings
    private let streams: StreamRegistry
    private let logger: Logger

    private struct State {
        var status = "NEW"
        /// Why there is no connection; `nil` while there is one.
        var reason: String?
        var isTerminated = false
        /// Of a push: its stream is over, and what there is of it is still on its way.
        var isStreamOver = false
        var outcome: Result<Void, End>?
        var waiting: CheckedContinuation<Result<Void, End>, Never>?
        var task: Task<Void, Never>?
        var width = 0
        var height = 0
    }
    private let state = Mutex(State())

    init(_ request: Request, keepsFailure: Bool = false, settings: Settings, streams: StreamRegistry, logger: Logger) {
        self.request = request
        self.keepsFailure = keepsFailure
        self.settings = settings
        self.streams = streams
        var logger = logger
        logger[metadataKey: "relay"] = "\(request.direction.rawValue)"
        logger[metadataKey: "far"] = "\(request.url)"
        logger[metadataKey: "stream"] = "\(request.localName)"
        logger[metadataKey: "media_session"] = "\(mediaSessionID)"
        self.logger = logger
    }

    // MARK: Seen from outside

    var status: String { state.withLock { $0.status } }
    /// It stands on the list for people to see; nothing is tried any more.
    var hasFailed: Bool { status == Self.failedStatus }
    private static let failedStatus = "FAILED"

    var json: JSONValue {
        let (status, reason, width, height) = state.withLock { ($0.status, $0.reason, $0.width, $0.height) }
        guard request.direction == .push else {
            return [
                "uri": .string(request.shownURL), "localMediaSessionId": .string(mediaSessionID), "remoteMediaSessionId": .null,
                "localStreamName": .string(request.localName), "remoteStreamName": .string(request.url.stream), "status": .string(status),
            ]
        }
        var object: [String: JSONValue] = [
            "mediaSessionId": .string(mediaSessionID), "streamName": .string(request.shownName), "rtmpUrl": .string(request.shownURL),
            "localStreamName": .string(request.localName), "status": .string(status), "width": JSONValue(width), "height": JSONValue(height),
            "muted": false, "soundEnabled": false, "options": request.options ?? [:],
        ]
        if let reason { object["reason"] = .string(reason) }
        return .object(object)
    }

    private func show(_ status: String, because reason: String? = nil) {
        state.withLock {
            $0.status = status
            $0.reason = reason
        }
    }

    private func settle(_ outcome: Result<Void, End>) {
        state.withLock { state -> CheckedContinuation<Result<Void, End>, Never>? in
            guard state.outcome == nil else { return nil }
            state.outcome = outcome
            defer { state.waiting = nil }
            return state.waiting
        }?.resume(returning: outcome)
    }

    /// Returns when the far side has accepted for the first time, or, of a push, when it goes on trying; throws why it ended before. One caller.
    func firstOutcome() async throws(End) {
        let outcome = await withCheckedContinuation { continuation in
            let known: Result<Void, End>? = state.withLock { state in
                if let outcome = state.outcome { return outcome }
                state.waiting = continuation
                return nil
            }
            if let known { continuation.resume(returning: known) }
        }
        try outcome.get()
    }

    /// Ends it. Any thread.
    func terminate() {
        state.withLock { state in
            state.isTerminated = true
            return state.task
        }?.cancel()
        // A connection that is being made isn't given up at once; the name is free all the same.
        guard request.direction == .pull else { return }
        Task { await streams.stop(mediaSessionID, ownerID: ownerID) }
    }

    /// The stream that it pushes is over.
    var isStreamOver: Bool { state.withLock { $0.isStreamOver } }

    private var isTerminated: Bool { state.withLock { $0.isTerminated } }

    // MARK: Life

    /// Lives until the local stream, REST or too many failures end it.
    func run() async {
        let task = Task { await live() }
        let isOver = state.withLock { state in
            state.task = task
            return state.isTerminated
        }
        if isOver { task.cancel() }
        await withTaskCancellationHandler { await task.value } onCancel: { task.cancel() }
    }

    private func live() async {
        var pulled: PulledStream?
        await connectAgainAndAgain(&pulled)
        await pulled?.source.stop()
    }

    private func connectAgainAndAgain(_ pulled: inout PulledStream?) async {
        var failures = 0, hasLasted = false
        while true {
            let end: End
            var lasted = false
            let start = ContinuousClock.now
            do throws(End) {
                try await request.direction == .push ? push(&lasted) : pull(into: &pulled, &lasted)
                end = .failed("the connection is over")
            } catch { end = error }
            if lasted {
                if ContinuousClock.now - start >= Self.steadySpan { failures = 0 }
                hasLasted = true
            }
            // A far side that isn't there yet may come: as long as its stream lives a push goes on trying.
            let mayTry = settings.reconnects && !isTerminated && (hasLasted || request.direction == .push)
            switch end {
            case .failed(let reason) where mayTry, .rejected(let reason) where mayTry && hasLasted:
                show("RECONNECTING", because: reason)
                settle(.success(()))
                failures += 1
                if settings.maximumAttempts > 0, failures > settings.maximumAttempts {
                    return logger.warning("relay given up", metadata: ["reason": "\(reason)"])
                }
                let delay = min(settings.firstDelay * (1 << min(failures - 1, 16)), settings.longestDelay)
                if failures == 1 || failures % 100 == 0 {
                    logger.warning("relay interrupted; it goes on trying", metadata: ["reason": "\(reason)", "failures": "\(failures)"])
                }
                do { try await Task.sleep(for: delay) } catch { return logger.info("relay ended", metadata: ["reason": "terminated"]) }
            case .rejected(let reason) where !isTerminated:
                let isTold = state.withLock { $0.outcome == nil }
                show(Self.failedStatus, because: reason)
                settle(.failure(end))
                logger.warning("relay given up: the far side refuses it", metadata: ["reason": "\(reason)"])
                // Who asked has his answer; otherwise it is to be found on the list.
                if !isTold || keepsFailure { await untilStreamEnds() }
                return
            default:
                show("RECONNECTING")
                settle(.failure(end))
                return logger.info("relay ended", metadata: ["reason": "\(isTerminated ? "terminated" : "\(end)")"])
            }
        }
    }

    private func untilStreamEnds() async {
        while !Task.isCancelled, !isTerminated, await streams.isAvailable(request.localName) {
            do { try await Task.sleep(for: .seconds(2)) } catch { return }
        }
    }

    private func connect(_ purpose: RTMPClientSession.Purpose) async throws(End) -> RTMPClient {
        do {
            return try await RTMPClient.connect(
                to: request.url, purpose, flashVersion: request.flashVersion, timeout: settings.timeout,
                verifiesCertificate: settings.verifiesCertificate, authorities: settings.authorities, send: settings.send)
        } catch {
            throw error.isLasting ? .rejected(error.description) : .failed(error.description)
        }
    }

    private func owner(_ deliver: @escaping @Sendable (StreamNotice) -> Void) -> StreamOwner {
        StreamOwner(id: ownerID, appKey: "flashStreamingApp", deliver: deliver)
    }

    private var ownerID: String { "/rtmp/\(request.direction.rawValue)/\(mediaSessionID)" }

    /// Closes a connection on which the far side hasn't accepted in time.
    private func watch(_ client: RTMPClient) -> Task<Void, Never> {
        let timeout = settings.timeout
        return Task {
            do { try await Task.sleep(for: .nanoseconds(timeout.nanoseconds)) } catch { return }
            client.connection.close(reason: "the far side did not accept within \(timeout.nanoseconds / 1_000_000) ms")
        }
    }

    // MARK: Push

    /// One connection's life. `lasted`: the far side had accepted.
    private func push(_ lasted: inout Bool) async throws(End) {
        guard await streams.isAvailable(request.localName) else { throw .streamEnded("there is no stream \"\(request.localName)\" with media") }
        let client = try await connect(.publish)
        let overdue = watch(client)
        defer {
            overdue.cancel()
            client.close()
        }
        var playback: RTMPPlayback?
        defer { playback?.stop() }
        return try await withEnd(client) { (event) throws(End) in
            switch event {
            case .started:
                overdue.cancel()
                lasted = true
                var wish = SinkRequest(
                    name: request.localName, mediaProvider: "Flash", audio: request.hasAudio ? [.aac] : [], video: request.hasVideo ? [.h264] : [])
                wish.mediaSessionID = mediaSessionID
                let sink: SubscribedSink
                do throws(StreamRefusal) {
                    sink = try await streams.openSink(wish, owner: owner { notice in
                        // Not when it was us who stopped it.
                        guard case .ended(_, let why) = notice, why != .user else { return }
                        // With other tracks the stream goes on: the next connection takes them.
                        if why != .tracksChanged { self.state.withLock { $0.isStreamOver = true } }
                        client.close()
                    })
                } catch {
                    if case .refused(let info, let reason) = error { throw .refused(info, reason) }
                    throw .streamEnded("the stream ended")
                }
                let running = RTMPPlayback(sink: sink) { messages in
                    await client.connection.send { session in for message in messages { session.send(message) } }
                }
                playback = running
                running.start()
                show("PUBLISHING")
                if let record = await streams.records(of: [mediaSessionID]).first {
                    state.withLock {
                        $0.width = record.width
                        $0.height = record.height
                    }
                }
                settle(.success(()))
                logger.info("relay runs")
            case .ended(let code, let description): throw .failed("the far side ended the stream: \(code) \(description)")
            case .media, .metadata: break
            }
        } atEnd: { (reason, isLasting) throws(End) in
            await playback?.sink.stop()
            if isTerminated || Task.isCancelled { throw .terminated }
            if isStreamOver { throw .streamEnded("the local stream is over") }
            throw isLasting ? .rejected(reason) : .failed(reason)
        }
    }

    /// Carries events until the connection is gone.
    private func withEnd(
        _ client: RTMPClient, _ take: (RTMPClientSession.Event) async throws(End) -> Void,
        atEnd: (String, _ isLasting: Bool) async throws(End) -> Void
    ) async throws(End) {
        var reason = "the connection is over", isLasting = false
        var thrown: End?
        await withTaskCancellationHandler {
            for await event in client.events {
                switch event {
                case .closed(let why, let lasts): (reason, isLasting) = (why, lasts)
                case .session(let event):
                    do throws(End) { try await take(event) } catch {
                        thrown = error
                        return
                    }
                }
            }
        } onCancel: {
            client.close()
        }
        if let thrown {
            do throws(End) { try await atEnd(reason, isLasting) } catch {
                // A deliberate end outweighs what it led to.
                if error == .terminated { throw error }
                throw thrown
            }
        }
        try await atEnd(reason, isLasting)
    }

    // MARK: Pull

    /// One connection's life. `stream`: what it fills; kept for the next one.
    private func pull(into stream: inout PulledStream?, _ lasted: inout Bool) async throws(End) {
        let client = try await connect(.play)
        let overdue = watch(client)
        defer {
            overdue.cancel()
            client.close()
        }
        var ingest: RTMPIngest?
        let failure = Mutex<String?>(nil)
        let lastMedia = LastMedia()
        var silence: Task<Void, Never>?
        defer { silence?.cancel() }
        var hasMedia = false
        defer { if hasMedia { lasted = true } }
        try await withEnd(client) { (event) throws(End) in
            switch event {
            case .started:
                overdue.cancel()
                lastMedia.note()
                silence = silence ?? watchSilence(of: client, lastMedia)
                let target: PulledStream
                if let stream { target = stream } else { target = try await open() }
                stream = target
                ingest = RTMPIngest(target: target, logger: logger) { why in
                    failure.withLock { $0 = why }
                    client.close()
                }
                show("PROCESSED_REMOTE")
                settle(.success(()))
                logger.info("relay runs")
            case .media(let message):
                hasMedia = true
                lastMedia.note()
                guard message.type == RTMPMessageType.video ? request.hasVideo : request.hasAudio else { return }
                ingest?.take(message)
            case .metadata(let metadata): if request.hasAudio, request.hasVideo { ingest?.take(metadata: metadata) }
            case .ended(let code, let description): throw .failed("the far side ended the stream: \(code) \(description)")
            }
        } atEnd: { (reason, _) throws(End) in
            ingest?.end()
            if isTerminated || Task.isCancelled { throw .terminated }
            if let why = failure.withLock({ $0 }) { throw .refused(.noCommonCodecs, why) }
            throw .failed(reason)
        }
    }

    /// When media last came.
    private final class LastMedia: Sendable {
        private let time = Mutex(ContinuousClock.now)
        func note() { time.withLock { $0 = .now } }
        var age: Duration { time.withLock { .now - $0 } }
    }

    /// Closes a connection on which the far side has fallen silent: what only receives would never find out.
    private func watchSilence(of client: RTMPClient, _ last: LastMedia) -> Task<Void, Never> {
        Task {
            while true {
                do { try await Task.sleep(for: .seconds(1)) } catch { return }
                if last.age > Self.longestSilence { return client.connection.close(reason: "no media came for \(Self.longestSilence.components.seconds) s") }
            }
        }
    }

    /// Takes the name for a pulled stream. Whoever ends that stream ends the pull.
    private func open() async throws(End) -> PulledStream {
        var wish = SourceRequest(name: request.localName, mediaProvider: "Flash")
        wish.mediaSessionID = mediaSessionID
        wish.record = request.record
        do throws(StreamRefusal) {
            return PulledStream(source: try await streams.openSource(wish, owner: owner { [weak self] notice in
                if case .ended(_, let why) = notice, why != .user { self?.terminate() }
            }))
        } catch {
            if case .refused(let info, let reason) = error { throw .refused(info, reason) }
            throw .failed("the stream ended while it began")
        }
    }
}
