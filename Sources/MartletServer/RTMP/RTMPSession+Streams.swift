// SPDX-License-Identifier: Apache-2.0
// What an RTMP client publishes and plays.
import Logging
import MediaIO
import Primitives
import RTMP
import Signalling

extension RTMPSession {
    /// Message streams in use at the same time on one connection.
    private static let maximumOpenStreams = 8
    /// Bytes of its parameters.
    private static let maximumParameters = 16_384

    // MARK: Connecting

    func connect(_ request: RTMPConnectRequest) async {
        guard Self.isShort(request.parameters) else {
            connection.perform { $0.refuseConnect("its parameters are too long") }
            return drop("parameters of connect are too long")
        }
        parameters = request.parameters
        // rtmp://host/live/a/name, as some split it: application "live/a", stream "name".
        if let slash = request.app.firstIndex(of: "/") { namePrefix = String(request.app[request.app.index(after: slash)...]) + "/" }
        introduce(flashVersion: request.flashVersion)
        if let room = Self.value("roomName", parameters), info.login != nil, let refusal = await join(room) {
            connection.perform { $0.refuseConnect(refusal) }
            return drop(refusal)
        }
        isConnected = true
        connection.perform { $0.acceptConnect() }
        logger.info("RTMP client connected", metadata: ["app": "\(request.app)", "client": "\(request.flashVersion)", "app_key": "\(info.appKey)"])
    }

    /// Says who the client is, by its parameters.
    private func introduce(flashVersion: String) {
        let isInRoom = Self.value("roomName", parameters) != nil || parameters["login"] != nil
        var request = ConnectionRequest(
            appKey: parameters["appKey"] ?? (isInRoom ? "flashRoomApp" : "flashStreamingApp"), clientVersion: flashVersion,
            custom: .object(parameters.mapValues(JSONValue.string)))
        request.mediaProviders = ["Flash"]
        establish(request)
    }

    /// They are kept for as long as the client is there.
    private static func isShort(_ parameters: [String: String]) -> Bool {
        parameters.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count } <= maximumParameters
    }

    static func value(_ key: String, _ parameters: [String: String]) -> String? {
        parameters[key].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Joins a room on behalf of a client that doesn't speak the commands. Returns why not.
    private func join(_ room: String) async -> String? {
        let isRecorded = parameters["record"].map { $0 == "true" || $0 == "1" } ?? false
        let payload: JSONValue = ["command": "join", "options": ["name": .string(room), "record": .bool(isRecorded)]]
        switch await application.receive(DataRequest(operationID: "", payload: payload), from: link) {
        case .accepted:
            rooms.append(room)
            return nil
        case .refused(let info): return info
        }
    }

    /// Some encoders have one field for everything: then the stream's parameters say who it is.
    private func adopt(_ more: [String: String]) async -> String? {
        guard Self.isShort(more), rooms.isEmpty, let room = Self.value("roomName", more), Self.value("login", more) != nil,
            info.login == nil
        else { return nil }
        parameters.merge(more) { mine, _ in mine }
        introduce(flashVersion: info.connection?.clientVersion ?? "")
        return await join(room)
    }

    /// The room that a published stream belongs to, and its name there.
    private func place(_ name: String) -> (name: String, room: String?) {
        guard let login = info.login else { return (name, nil) }
        for room in rooms {
            let own = "\(room)-\(login)"
            if name == own || name.hasPrefix(own + "-") { return (name, room) }
        }
        // The simple way: any name, in the one room of the address.
        if let room = Self.value("roomName", parameters), rooms.contains(room) { return ("\(room)-\(login)-\(name)", room) }
        return (name, nil)
    }

    /// The stream's name with what the application has of it. Slashes at its ends say nothing, and an empty key leaves the application's part.
    private func fullName(_ name: String) -> String {
        let path = (namePrefix + name).drop { $0 == "/" }
        return String(path.reversed().drop { $0 == "/" }.reversed())
    }

    private func checkBounds() throws(StreamRefusal) {
        guard open.count < Self.maximumOpenStreams else {
            throw .refused(.addToProxy, "the connection has \(Self.maximumOpenStreams) streams already")
        }
        guard streamRate.take(hostOf: info.remoteAddress) else {
            throw .refused(.addToProxy, "too many streams were begun from its address in a short time (max_session_rate)")
        }
    }

    // MARK: Publishing

    func publish(_ request: RTMPStreamRequest) async {
        let streamID = request.streamID
        guard Self.isShort(request.parameters) else {
            return refusePublish(streamID, request.name, "NetStream.Publish.Denied", "its parameters are too long")
        }
        if let refusal = await adopt(request.parameters) { return refusePublish(streamID, request.name, "NetStream.Publish.Denied", refusal) }
        let given = fullName(request.name)
        guard !given.isEmpty else { return refusePublish(streamID, given, "NetStream.Publish.BadName", "The name of the stream is missing") }
        let (name, room) = place(given)
        let mediaSessionID = Identifier.uuid()
        do throws(StreamRefusal) {
            try checkBounds()
            var wish = StreamRequest(mediaSessionID: mediaSessionID, name: name, published: true, sdp: "")
            wish.custom = custom(request, room: room)
            if case .refused(let info, let reason) = await application.admission(of: wish, from: link) { throw .refused(info, reason) }
            var source = SourceRequest(name: name, mediaProvider: "Flash")
            source.mediaSessionID = mediaSessionID
            source.custom = wish.custom
            source.record = settings.recordsStreams || request.wantsRecord
            let opened = try await streams.openSource(source, owner: owner)
            var ingestLogger = logger
            ingestLogger[metadataKey: "stream"] = "\(name)"
            let ingest = RTMPIngest(target: DoorTarget(source: opened), counters: ingestCounters, logger: ingestLogger) { [weak self] reason in
                self?.post(.ingestFailed(streamID: streamID, reason))
            }
            open[streamID] = Stream(mediaSessionID: mediaSessionID, name: name, use: .publishing(opened, ingest))
            setIngest(ingest, of: streamID)
            guard await connection.ask({ $0.acceptPublish(streamID, name: request.name) }) == true else { return await close(streamID) }
            logger.info("RTMP publisher begins", metadata: ["stream": "\(name)", "media_session": "\(mediaSessionID)"])
        } catch {
            guard case .refused(let info, let reason) = error else { return }
            let code = info == .nameInUse ? "NetStream.Publish.BadName" : "NetStream.Publish.Denied"
            refusePublish(streamID, name, code, "\(info.rawValue): \(reason)")
        }
    }

    /// What hooks and REST are told: the stream's parameters, and the room under the name by which rooms look for it.
    private func custom(_ request: RTMPStreamRequest, room: String?) -> JSONValue? {
        var members = request.parameters.mapValues(JSONValue.string)
        if let room { members["name"] = .string(room) } else { members["name"] = nil }
        return members.isEmpty ? nil : .object(members)
    }

    private func refusePublish(_ streamID: UInt32, _ name: String, _ code: String, _ reason: String) {
        logger.info("publish refused", metadata: ["stream": "\(name.prefix(256))", "reason": "\(reason)"])
        connection.perform { $0.refusePublish(streamID, code: code, reason) }
    }

    /// The publisher sends what can't be used.
    func refuseMedia(_ streamID: UInt32, _ reason: String) async {
        guard let stream = open[streamID] else { return }
        logger.warning("publisher refused", metadata: ["stream": "\(stream.name)", "reason": "\(reason)"])
        connection.perform { $0.endPublish(streamID, code: "NetStream.Publish.Rejected", reason) }
        await close(streamID)
        drop(reason)
    }

    // MARK: Playing

    func play(_ request: RTMPStreamRequest) async {
        let streamID = request.streamID
        let name = fullName(request.name)
        let mediaSessionID = Identifier.uuid()
        do throws(StreamRefusal) {
            try checkBounds()
            if let refusal = await adopt(request.parameters) { throw .refused(.restrictedAccess, refusal) }
            let wish = StreamRequest(mediaSessionID: mediaSessionID, name: name, published: false, sdp: "")
            if case .refused(let info, let reason) = await application.admission(of: wish, from: link) { throw .refused(info, reason) }
            var sinkRequest = SinkRequest(name: name, mediaProvider: "Flash", audio: [.aac], video: [.h264])
            sinkRequest.mediaSessionID = mediaSessionID
            let sink = try await streams.openSink(sinkRequest, owner: owner)
            guard await connection.ask({ $0.acceptPlay(streamID, name: request.name) }) == true else { return await sink.stop() }
            let playback = RTMPPlayback(sink: sink) { [connection] messages in
                await connection.send { session in
                    for var message in messages {
                        message.streamID = streamID
                        session.send(message)
                    }
                }
            }
            open[streamID] = Stream(mediaSessionID: mediaSessionID, name: name, use: .playing(playback))
            setPlayback(playback, of: streamID)
            playback.start()
            logger.info("RTMP player begins", metadata: ["stream": "\(name)", "media_session": "\(mediaSessionID)"])
        } catch {
            let (info, reason) = error.words
            logger.info("play refused", metadata: ["stream": "\(name.prefix(256))", "reason": "\(reason)"])
            let isMissing = [.sessionDoesNotExist, .publishNotReady, .publisherStop].contains(info)
            connection.perform { $0.refusePlay(streamID, code: isMissing ? "NetStream.Play.StreamNotFound" : "NetStream.Play.Failed", "\(info.rawValue): \(reason)") }
        }
    }

    // MARK: Ending

    /// The client has closed a stream.
    func close(_ streamID: UInt32) async {
        setIngest(nil, of: streamID)
        setPlayback(nil, of: streamID)
        guard let stream = open.removeValue(forKey: streamID) else { return }
        switch stream.use {
        case .publishing(let source, let ingest):
            ingest.end()
            await source.stop()
        case .playing(let playback):
            playback.stop()
            await playback.sink.stop()
        }
    }

    /// The server ends a stream, for a reason.
    func end(_ streamID: UInt32, _ reason: StreamEnd) async {
        guard let stream = open[streamID] else { return }
        await streams.end(stream.mediaSessionID, ownerID: id, reason)
    }

    // MARK: What the registry says

    func handle(_ notice: StreamNotice) async {
        switch notice {
        case .started(let record):
            if await !application.mediaStarted(record, of: link) { await streams.end(record.mediaSessionID, ownerID: id, .restricted) }
        case .ended(let record, let reason):
            await ended(record, reason)
            await application.mediaEnded(record, reason, of: link)
        case .recorded, .event, .notEnoughBandwidth, .rate, .tracksChanged, .linkLost: break
        }
    }

    private func ended(_ record: StreamRecord, _ reason: StreamEnd) async {
        guard let (streamID, stream) = open.first(where: { $0.value.mediaSessionID == record.mediaSessionID }) else { return }
        setIngest(nil, of: streamID)
        setPlayback(nil, of: streamID)
        open[streamID] = nil
        let words = reason.info.rawValue
        switch stream.use {
        case .publishing(_, let ingest):
            ingest.end()
            connection.perform { $0.endPublish(streamID, words) }
            // An encoder goes on sending until its connection is gone.
            if reason != .user { drop(words) }
        case .playing(let playback):
            playback.stop()
            connection.perform { $0.endPlay(streamID, words) }
        }
    }
}

/// The way into the media graph as an ingest sees it.
struct DoorTarget: IngestTarget {
    let source: PublishedSource

    func start(_ tracks: [IngestTrack]) async throws(StreamRefusal) { try await source.start(tracks.map(\.source)) }

    func change(_ tracks: [IngestTrack]) { source.setTracks(tracks.map(\.source)) }

    func write(track: Int, frame: [UInt8], time: MediaTime, isKeyFrame: Bool) {
        source.write(track: track, frame: frame, time: time, isKeyFrame: isKeyFrame)
    }

    func update(track: Int, parameterSets: [[UInt8]]) { source.update(track: track, parameterSets: parameterSets) }
}

extension IngestTrack {
    /// As the media graph takes it.
    var source: SourceTrack {
        switch self {
        case .h264(let configuration, let reorders): .h264(parameterSets: configuration.parameterSets, reordersFrames: reorders)
        case .vp8: .vp8
        case .vp9: .vp9
        case .av1: .av1
        case .aac(let config): .aac(config: config)
        case .opus(let channels): .opus(channels: channels)
        case .pcma: .pcma
        case .pcmu: .pcmu
        }
    }
}
