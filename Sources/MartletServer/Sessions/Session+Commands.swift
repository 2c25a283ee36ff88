// SPDX-License-Identifier: Apache-2.0
// What a session does with each message of its client.
import Logging
import Primitives
import Signalling

extension Session {
    func handle(_ message: ClientMessage) async {
        switch message {
        case .connection(let request): establish(request)
        case .ping: send(.pong)
        case .pong: receivedPong()
        case .publishStream(let request): await begin(request)
        case .playStream(let request): await begin(request)
        case .unPublishStream(let identity), .stopStream(let identity): await stop(identity)
        case .availableStream(let identity): await answerAvailable(identity)
        case .sendStreamEvent(let event):
            guard state == .established else { return }
            // Whoever they are for has to keep them until it gets to them.
            guard events.takes(event) else {
                logger.debug("stream event left out: too long, or too many", metadata: ["type": "\(event.type)"])
                return
            }
            if await !registry.send(event, ownerID: id) {
                logger.debug("stream event ignored", metadata: ["type": "\(event.type)", "media_session": "\(event.mediaSessionID)"])
            }
        case .sendData(let data): await receive(data)
        case .snapshot(let identity): await takeSnapshot(identity)
        case .submitBugReport(let report):
            // One a minute from an address; the log is for everybody.
            guard bugReports?.take(AddressKey(info.remoteAddress)) ?? true else { break }
            logger.notice("bug report of a client", metadata: ["report": "\(report.serialized().prefix(4096))"])
        case .sessionDebug(let starts):
            send(.sessionDebugEvent(["status": .string(starts ? "started" : "stopped")]))
        case .pushLogs(let lines):
            // Clients send one frame per line at any rate: only for those who asked to see everything.
            if logger.logLevel <= .debug { logger.debug("client log", metadata: ["line": "\(lines.prefix(1024))"]) }
        case .call(let method, let callID):
            send(.fail(FailMessage(
                info: "This server has no SIP side; \"\(method)\" is not possible",
                also: callID.map { ["callId": .string($0)] } ?? [:])))
            // The vendor's SDK only warns of `fail`; the end of the call is what a page shows.
            if method == "call", let callID { send(.callFinished(["callId": .string(callID), "status": "FAILED"])) }
        case .dataStatus: break
        case .unknown(let name):
            logger.debug("unknown message", metadata: ["message": "\(name.prefix(64))"])
        }
    }

    // MARK: Streams

    /// `publishStream`, `playStream`: setRemoteSDP or FAILED. What follows comes as notices.
    private func begin(_ request: StreamRequest) async {
        do throws(StreamRefusal) {
            guard state == .established else { throw .refused(.sessionNotReady, "\"connection\" has not been sent") }
            guard request.mediaProvider == "WebRTC" else {
                throw .refused(.addToProxy, "media provider \"\(request.mediaProvider.prefix(64))\" is not WebRTC")
            }
            guard await registry.count(ofOwner: id) < limits.maximumStreamsPerSession else {
                throw .refused(.addToProxy, "the session has \(limits.maximumStreamsPerSession) streams already (max_streams_per_session)")
            }
            guard streamRate?.take(hostOf: info.remoteAddress) ?? true else {
                throw .refused(.addToProxy, "too many streams were begun from its address in a short time (max_session_rate)")
            }
            switch HandshakeMemory.take(from: memory, for: AddressKey(info.remoteAddress)) {
            case .success(let account): handshakes[request.mediaSessionID] = account
            case .failure(let refusal): throw .refused(.addToProxy, refusal.description)
            }
            if case .refused(let info, let reason) = await application.admission(of: request, from: link) { throw .refused(info, reason) }
            let answer = request.published
                ? try await registry.publish(request, owner: owner) : try await registry.play(request, owner: owner)
            send(.setRemoteSDP(mediaSessionID: request.mediaSessionID, sdp: answer))
        } catch {
            // What ended while it was being set up is told by a notice in the mailbox.
            guard case .refused(let info, let reason) = error else { return }
            handshakes[request.mediaSessionID] = nil
            logger.info(
                "\(request.published ? "publish" : "play") refused",
                metadata: [
                    "stream": "\(request.name.prefix(256))", "media_session": "\(request.mediaSessionID.prefix(256))",
                    "reason": "\(reason)",
                ])
            send(.streamStatus(failure(of: request, info)))
        }
    }

    private func failure(of request: StreamRequest, _ info: StreamStatusInfo) -> StreamStatusMessage {
        var message = StreamStatusMessage(
            mediaSessionID: request.mediaSessionID, status: .failed, info: info.rawValue, name: request.name,
            published: request.published, hasVideo: request.hasVideo, hasAudio: request.hasAudio, record: request.record,
            mediaProvider: request.mediaProvider)
        message.appKey = self.info.appKey
        message.sessionID = id
        return message
    }

    /// UNPUBLISHED or STOPPED comes as a notice. A stop of what has ended already, or never was, is taken silently: clients
    /// send a second stop, and their stop may cross our FAILED.
    private func stop(_ identity: StreamIdentity) async {
        if await !registry.stop(identity.mediaSessionID, ownerID: id) {
            logger.debug("stop of an ended stream", metadata: ["media_session": "\(identity.mediaSessionID.prefix(256))"])
        }
    }

    private func answerAvailable(_ identity: StreamIdentity) async {
        let available: Availability
        if state != .established {
            available = Availability(id: identity.mediaSessionID, isAvailable: false, info: StreamStatusInfo.sessionNotReady.rawValue)
        } else if await registry.isAvailable(identity.name) {
            let request = StreamRequest(mediaSessionID: identity.mediaSessionID, name: identity.name, published: false, sdp: "")
            if case .refused(let info, _) = await application.admission(of: request, from: link) {
                return send(.available(Availability(id: identity.mediaSessionID, isAvailable: false, info: info.rawValue)))
            }
            available = Availability(id: identity.mediaSessionID, isAvailable: true)
        } else {
            available = Availability(id: identity.mediaSessionID, isAvailable: false, info: StreamStatusInfo.streamNotFound.rawValue)
        }
        send(.available(available))
    }

    // MARK: Application data

    private func receive(_ data: DataRequest) async {
        let outcome: DataOutcome
        if state == .established {
            outcome = await application.receive(data, from: link)
        } else {
            outcome = .refused(info: StreamStatusInfo.sessionNotReady.rawValue)
        }
        switch outcome {
        case .accepted: send(.dataStatus(DataStatus(operationID: data.operationID, isAccepted: true)))
        case .refused(let info): send(.dataStatus(DataStatus(operationID: data.operationID, isAccepted: false, info: info)))
        }
    }
}
