// SPDX-License-Identifier: Apache-2.0
// The server's side of one connection: NetConnection and NetStream (RTMP §7.2) as a state machine. Bytes in; events out, which
// the driver answers by the accept and refuse methods; bytes to send in `takeOutput`.
import Primitives

public struct RTMPServerSession {
    public enum Event: Sendable, Equatable {
        /// To be answered by `acceptConnect` or `refuseConnect`.
        case connect(RTMPConnectRequest)
        /// To be answered by `acceptPublish` or `refusePublish`.
        case publish(RTMPStreamRequest)
        /// To be answered by `acceptPlay` or `refusePlay`.
        case play(RTMPStreamRequest)
        /// Audio or video of a stream that is being published.
        case media(RTMPMessage)
        /// `onMetaData` of a stream that is being published.
        case metadata(streamID: UInt32, AMF0Value)
        /// Its publish or play is over, at the client's wish.
        case closed(streamID: UInt32)
        case pause(streamID: UInt32, Bool)
        /// `receiveAudio` and `receiveVideo` of a player.
        case receiveAudio(streamID: UInt32, Bool)
        case receiveVideo(streamID: UInt32, Bool)
        /// A message that could not be used; a sentence for the log. The connection goes on.
        case ignored(String)
        /// Any other command; to be answered by `answer` when its transaction isn't 0.
        case call(RTMPCall)
    }

    /// How far the connection is; what doesn't fit ends it.
    public enum State: Sendable, Equatable { case handshake, waiting, deciding, connected, closed }

    /// `over`: free again, after a publish; what is still on its way to it belongs to no other stream.
    private enum Stream: Equatable {
        case idle, over, publishRequested, publishing, playRequested, playing

        var isFree: Bool { self == .idle || self == .over }
        var takesMedia: Bool { self == .publishRequested || self == .publishing }
    }

    private let limits: RTMPLimits
    private var link: RTMPLink
    public private(set) var state = State.handshake
    private var request: RTMPConnectRequest?
    private var streams: [UInt32: Stream] = [:]
    private var lastStreamID: UInt32 = 0
    /// What a client has sent in one go before it was answered: behind `connect`, and on streams whose `publish` is being decided.
    private var early: [RTMPMessage] = []
    private var earlyBytes = 0
    /// What came of early messages, for `takeEvents`.
    private var ready: [Event] = []
    private var failure: RTMPError?

    public init(limits: RTMPLimits = RTMPLimits(), random: RandomSource = .system) {
        self.limits = limits
        link = RTMPLink(role: .server, limits: limits, random: random)
        link.bound(incomplete: limits.maximumIncompleteBefore)
    }

    public mutating func takeOutput() -> [UInt8] { link.takeOutput() }

    /// Bytes kept of messages that have arrived in part, or before their time.
    public var heldBytes: Int { link.incompleteBytes + earlyBytes }

    /// Whether a message has been arriving for longer than it may.
    public func isOverdue(at now: Instant) -> Bool { link.oldestIncomplete.map { now.span(since: $0) > limits.messageTime } ?? false }
    public var hasIncomplete: Bool { link.oldestIncomplete != nil }

    /// Events that an answer has set free. To be asked for after each `accept…`.
    public mutating func takeEvents() -> [Event] {
        defer { ready = [] }
        return ready
    }

    /// Takes bytes of the client. After an error the connection has to be closed; what is in the output may still be sent.
    public mutating func receive(_ bytes: UnsafeRawBufferPointer, at now: Instant = .zero) throws(RTMPError) -> [Event] {
        guard state != .closed else { return [] }
        if let failure {
            state = .closed
            throw failure
        }
        var events: [Event] = []
        do throws(RTMPError) {
            let messages = try link.receive(bytes, at: now)
            if state == .handshake, link.isOpen { state = .waiting }
            for message in messages { try handle(message, &events) }
        } catch {
            state = .closed
            throw error
        }
        return events
    }

    /// Once connected, a message that can't be used costs itself and no more.
    private mutating func handle(_ message: RTMPMessage, _ events: inout [Event]) throws(RTMPError) {
        let message = addressed(message)
        if isEarly(message) { return try keep(message, &events) }
        do throws(RTMPError) {
            try dispatch(message, &events)
        } catch {
            if case .limit = error { throw error }
            guard state == .connected else { throw error }
            events.append(.ignored(error.description))
        }
    }

    /// Audio, video and data that name a stream on which nothing is published are of the one on which something is. Some encoders write 0
    /// there, or begin a chunk stream with a header that leaves it out.
    private func addressed(_ message: RTMPMessage) -> RTMPMessage {
        guard state == .connected, message.isMedia || message.isData else { return message }
        if let named = streams[message.streamID], named.takesMedia || named == .over { return message }
        let publishing = streams.filter { $0.value.takesMedia }
        guard publishing.count == 1, let id = publishing.first?.key else { return message }
        var message = message
        message.streamID = id
        return message
    }

    /// Whether a message has to wait for an answer of ours.
    private func isEarly(_ message: RTMPMessage) -> Bool {
        switch state {
        case .deciding: true
        case .connected:
            switch message.type {
            case RTMPMessageType.commandAMF0, RTMPMessageType.commandAMF3: false
            default: streams[message.streamID] == .publishRequested
            }
        case .handshake, .waiting, .closed: false
        }
    }

    private mutating func keep(_ message: RTMPMessage, _ events: inout [Event]) throws(RTMPError) {
        guard earlyBytes + message.payload.count <= limits.maximumEarly, early.count < limits.maximumEarlyMessages else {
            // The newest go; a publisher's next key frame is not far.
            if message.isMedia { return events.append(.ignored("media came before publish was answered, more than is kept for that")) }
            throw .limit("more than \(limits.maximumEarly) bytes of messages before connect was answered")
        }
        early.append(message)
        earlyBytes += message.payload.count
    }

    /// An answer has been given: what waited for it is handled, in order.
    private mutating func releaseEarly() {
        let waiting = early
        early = []
        earlyBytes = 0
        var events: [Event] = []
        do throws(RTMPError) {
            for message in waiting { try handle(message, &events) }
        } catch {
            failure = error
        }
        ready += events
    }

    private mutating func dispatch(_ message: RTMPMessage, _ events: inout [Event]) throws(RTMPError) {
        switch message.type {
        case RTMPMessageType.commandAMF0, RTMPMessageType.commandAMF3:
            try handle(RTMPCall(message), &events)
        case RTMPMessageType.dataAMF0, RTMPMessageType.dataAMF3:
            guard isPublished(message, &events) else { return }
            if let metadata = Self.metadata(in: message) { events.append(.metadata(streamID: message.streamID, metadata)) }
        case RTMPMessageType.audio, RTMPMessageType.video:
            if isPublished(message, &events) { events.append(.media(message)) }
        case RTMPMessageType.aggregate:
            if isPublished(message, &events) { events += try message.aggregated().map(Event.media) }
        case RTMPMessageType.abort, RTMPMessageType.windowSize, RTMPMessageType.setPeerBandwidth:
            // Those that can be used end at the link.
            events.append(.ignored("a control message of type \(message.type) is too short"))
        default: break
        }
    }

    /// Whether audio, video or data is of a stream that is being published.
    private func isPublished(_ message: RTMPMessage, _ events: inout [Event]) -> Bool {
        switch streams[message.streamID] {
        case .publishing?: return true
        // An encoder goes on until it has read that its publish is over.
        case .over?: return false
        default:
            events.append(.ignored("audio, video or data came on a message stream that isn't published"))
            return false
        }
    }

    /// What `onMetaData` carries, with or without `@setDataFrame`. What can't be read is of no use to anybody.
    static func metadata(in message: RTMPMessage) -> AMF0Value? {
        let isAMF3 = message.type == RTMPMessageType.dataAMF3 && message.payload.first == 0
        var reader = AMF0Reader(message.payload, skip: isAMF3 ? 1 : 0)
        guard var name = try? reader.read().stringValue else { return nil }
        if name == "@setDataFrame" { name = (try? reader.read().stringValue) ?? "" }
        guard name == "onMetaData", let value = try? reader.read(), value.members != nil else { return nil }
        return value
    }

    private mutating func handle(_ call: RTMPCall, _ events: inout [Event]) throws(RTMPError) {
        if call.name == "connect" {
            guard state == .waiting else { throw .malformed("a second connect") }
            let request = try RTMPConnectRequest(call, limits: limits)
            self.request = request
            state = .deciding
            events.append(.connect(request))
            return
        }
        guard state == .connected else {
            throw .malformed("\(call.name.prefix(64)) before connect has been answered")
        }
        let id = call.streamID
        switch call.name {
        case "createStream":
            guard streams.count < limits.maximumStreams else { throw .limit("more than \(limits.maximumStreams) streams on a connection") }
            lastStreamID += 1
            streams[lastStreamID] = .idle
            answer(call, .number(Double(lastStreamID)))
        case "initStream", "setPeerInfo", "_checkbw", "checkBandwidth", "_result", "_error": break
        case "releaseStream", "FCUnpublish", "getStreamLength":
            if call.transaction != 0 { answer(call, call.name == "getStreamLength" ? .number(0) : .undefined) }
        case "FCPublish":
            link.send(RTMPCall("onFCPublish", [.null, RTMPCall.status("NetStream.Publish.Start", call.argument(0)?.stringValue ?? "")]))
        case "FCSubscribe":
            link.send(RTMPCall("onFCSubscribe", [.null, RTMPCall.status("NetStream.Play.Start", call.argument(0)?.stringValue ?? "")]))
        case "publish":
            // Without a name, or false: the end of a publish in old clients.
            if call.argument(0)?.boolValue == false || call.argument(0)?.isNull == true { return close(id, tells: true, &events) }
            let request = try RTMPStreamRequest(call, limits: limits)
            try begin(id, call, .publishRequested)
            events.append(.publish(request))
        case "play":
            if call.argument(0)?.boolValue == false { return close(id, tells: true, &events) }
            if streams[id] == .playing { close(id, tells: false, &events) }
            let request = try RTMPStreamRequest(call, limits: limits)
            try begin(id, call, .playRequested)
            events.append(.play(request))
        case "deleteStream":
            let deleted = call.argument(0)?.numberValue.flatMap { UInt32(exactly: $0) } ?? id
            close(deleted, tells: false, &events)
            streams[deleted] = nil
        case "closeStream": close(id, tells: true, &events)
        case "pause", "pauseRaw":
            guard streams[id] == .playing else { return }
            let pauses = call.argument(0)?.boolValue ?? true
            sendStatus(id, pauses ? "NetStream.Pause.Notify" : "NetStream.Unpause.Notify", pauses ? "Paused" : "Unpaused")
            events.append(.pause(streamID: id, pauses))
        case "seek":
            sendStatus(id, "NetStream.Seek.Failed", "A live stream can't be sought in", isError: true)
        case "receiveAudio": events.append(.receiveAudio(streamID: id, call.argument(0)?.boolValue ?? true))
        case "receiveVideo": events.append(.receiveVideo(streamID: id, call.argument(0)?.boolValue ?? true))
        default: events.append(.call(call))
        }
    }

    private mutating func begin(_ id: UInt32, _ call: RTMPCall, _ state: Stream) throws(RTMPError) {
        guard streams[id]?.isFree != true else { return streams[id] = state }
        let reason = "\(call.name) on stream \(id), which \(streams[id] == nil ? "has not been created" : "is in use")"
        sendStatus(id, state == .publishRequested ? "NetStream.Publish.Failed" : "NetStream.Play.Failed", reason, isError: true)
        throw .malformed(reason)
    }

    private mutating func close(_ id: UInt32, tells: Bool, _ events: inout [Event]) {
        guard let stream = streams[id], !stream.isFree else { return }
        streams[id] = stream.takesMedia ? .over : .idle
        early.removeAll { $0.streamID == id }
        earlyBytes = early.reduce(0) { $0 + $1.payload.count }
        if tells {
            stream == .publishing
                ? sendStatus(id, "NetStream.Unpublish.Success", "Unpublished") : sendStatus(id, "NetStream.Play.Stop", "Stopped")
        }
        events.append(.closed(streamID: id))
    }

    // MARK: Answers

    public mutating func acceptConnect() {
        guard state == .deciding, let request else { return }
        state = .connected
        link.announceWindow(RTMPLink.ownWindow)
        link.limitPeer(RTMPLink.ownWindow)
        link.announceChunkSize()
        var information: [AMF0Value.Member] = [.init("objectEncoding", 0)]
        if request.hasEnhancedCodecs {
            information.append(.init("fourCcList", .array(VideoFourCC.allCases.filter(\.isAccepted).map { .string($0.text) })))
        }
        // Version and capabilities as clients expect them of a server that can H.264.
        link.send(RTMPCall("_result", transaction: request.transaction, [
            ["fmsVer": "FMS/3,5,7,7009", "capabilities": 31, "mode": 1],
            RTMPCall.status("NetConnection.Connect.Success", "Connection succeeded.", information),
        ]))
        releaseEarly()
    }

    /// The connection is to be closed once the output is sent.
    public mutating func refuseConnect(_ description: String) {
        guard state == .deciding, let request else { return }
        state = .closed
        link.send(RTMPCall("_error", transaction: request.transaction, [
            .null, RTMPCall.status("NetConnection.Connect.Rejected", description, isError: true),
        ]))
    }

    /// false: the client has closed it meanwhile.
    public mutating func acceptPublish(_ id: UInt32, name: String) -> Bool {
        guard streams[id] == .publishRequested else { return false }
        streams[id] = .publishing
        link.sendUserControl(0, id)
        sendStatus(id, "NetStream.Publish.Start", "Publishing \(name)")
        link.bound(incomplete: limits.maximumIncomplete)
        releaseEarly()
        return true
    }

    public mutating func refusePublish(_ id: UInt32, code: String = "NetStream.Publish.BadName", _ description: String) {
        guard streams[id] == .publishRequested else { return }
        streams[id] = .over
        sendStatus(id, code, description, isError: true)
        releaseEarly()
    }

    /// The publish was ended by the server; with a code when the client is at fault.
    public mutating func endPublish(_ id: UInt32, code: String? = nil, _ description: String) {
        guard streams[id] == .publishing || streams[id] == .publishRequested else { return }
        streams[id] = .over
        sendStatus(id, code ?? "NetStream.Unpublish.Success", description, isError: code != nil)
    }

    /// Metadata and media may follow by `send`. false: the client has closed it meanwhile.
    public mutating func acceptPlay(_ id: UInt32, name: String) -> Bool {
        guard streams[id] == .playRequested else { return false }
        streams[id] = .playing
        link.sendUserControl(0, id)
        sendStatus(id, "NetStream.Play.Reset", "Playing and resetting \(name)")
        sendStatus(id, "NetStream.Play.Start", "Started playing \(name)")
        link.send(RTMPMessage(
            type: RTMPMessageType.dataAMF0, streamID: id, payload: AMF0Writer.bytes(["|RtmpSampleAccess", true, true])))
        return true
    }

    public mutating func refusePlay(_ id: UInt32, code: String = "NetStream.Play.StreamNotFound", _ description: String) {
        guard streams[id] == .playRequested else { return }
        streams[id] = .idle
        sendStatus(id, code, description, isError: true)
    }

    /// The stream that is played has ended.
    public mutating func endPlay(_ id: UInt32, _ description: String) {
        guard streams[id] == .playing || streams[id] == .playRequested else { return }
        streams[id] = .idle
        link.sendUserControl(1, id)
        sendStatus(id, "NetStream.Play.UnpublishNotify", description)
        sendStatus(id, "NetStream.Play.Stop", description)
    }

    /// Audio, video or metadata for a player.
    public mutating func send(_ message: RTMPMessage) {
        guard streams[message.streamID] == .playing else { return }
        link.send(message)
    }

    /// The answer to a call of the client; none when it wants none.
    public mutating func answer(_ call: RTMPCall, _ result: AMF0Value) {
        guard call.transaction != 0 else { return }
        link.send(RTMPCall("_result", transaction: call.transaction, [.null, result]))
    }

    public mutating func refuse(_ call: RTMPCall, code: String = "NetConnection.Call.Failed", _ description: String) {
        guard call.transaction != 0 else { return }
        link.send(RTMPCall("_error", transaction: call.transaction, [.null, RTMPCall.status(code, description, isError: true)]))
    }

    /// A call of the server's, which wants no answer.
    public mutating func invoke(_ name: String, _ arguments: [AMF0Value]) {
        guard state == .connected else { return }
        link.send(RTMPCall(name, [.null] + arguments))
    }

    /// Asks for a sign of life.
    public mutating func ping(_ time: UInt32) {
        guard state == .connected else { return }
        link.sendUserControl(6, time)
    }

    private mutating func sendStatus(_ id: UInt32, _ code: String, _ description: String, isError: Bool = false) {
        link.send(RTMPCall("onStatus", streamID: id, [.null, RTMPCall.status(code, description, isError: isError)]))
    }
}
