// SPDX-License-Identifier: Apache-2.0
// Beginning media sessions: publish and play for clients, pull and push for agents. Each takes its place in the registry first,
// then asks the engine, then looks whether it was ended while it waited.
import MediaIO
import Signalling

extension StreamRegistry {
    /// A client publishes. Returns the answer; PUBLISHING follows as a notice once media is there.
    func publish(_ request: StreamRequest, owner: StreamOwner) async throws(StreamRefusal) -> String {
        let link = try reserve(request, kind: .publisher, owner: owner)
        let stream = try createStream(for: request.mediaSessionID, link: link)
        let added: (id: EndpointID, answer: String)
        do {
            added = try await engine.addPublisher(
                to: stream, offer: request.sdp, options: options(of: request, owner: owner),
                onEvent: eventHandler(request.mediaSessionID, link: link))
        } catch {
            throw await refuse(request.mediaSessionID, link: link, error)
        }
        try await attach(added.id, to: request.mediaSessionID, link: link)
        return added.answer
    }

    /// A client plays. Returns the answer; PLAYING follows as a notice once its transport is connected.
    func play(_ request: StreamRequest, owner: StreamOwner) async throws(StreamRefusal) -> String {
        try await fetch(request.name)
        let (stream, link) = try reservePlayer(request, kind: .player, owner: owner)
        let added = try await addPlayer(request, to: stream, link: link, owner: owner)
        try await attach(added.id, to: request.mediaSessionID, link: link)
        await catchUpWithTracks(request.mediaSessionID)
        return added.answer
    }

    /// A stream whose name is an address is fetched from there.
    func fetch(_ name: String) async throws(StreamRefusal) {
        guard name.contains("://") else { return }
        for fetcher in fetchers { try await fetcher.fetch(name) }
    }

    /// As it is where the player can take it; otherwise converted. Audio that can't be converted costs the player only that.
    private func addPlayer(
        _ request: StreamRequest, to stream: StreamHandle, link: UInt64, owner: StreamOwner
    ) async throws(StreamRefusal) -> (id: EndpointID, answer: String) {
        let id = request.mediaSessionID, onEvent = eventHandler(request.mediaSessionID, link: link)
        var options = options(of: request, owner: owner)
        do {
            return try await engine.addPlayer(to: stream, offer: request.sdp, options: options, onEvent: onEvent)
        } catch {
            guard case .negotiation(.noCommonCodecs) = error, doors != nil else { throw await refuse(id, link: link, error) }
        }
        let missingAudio: StreamRefusal?
        do throws(StreamRefusal) {
            missingAudio = try await convert(stream, for: request, link: link)
        } catch {
            withdraw(id, link: link)
            throw error
        }
        options.leavesOutAudio = missingAudio != nil
        do throws(EngineError) {
            let added = try await engine.addPlayer(to: stream, offer: request.sdp, options: options, onEvent: onEvent)
            if let missingAudio, let record = entries[id]?.record {
                logger.notice("a player gets the video only: the audio can't be converted", metadata: Self.metadata(record, [
                    "reason": "\(missingAudio.words.reason)",
                ]))
            }
            return added
        } catch {
            let refusal = await refuse(id, link: link, error)
            // Without video, why there is no audio says more than that nothing fits.
            if case .refused(.noCommonCodecs, _) = refusal, let missingAudio { throw missingAudio }
            throw refusal
        }
    }

    /// An agent sends a local stream elsewhere. Returns the offer for the far side.
    func openPush(_ request: StreamRequest, owner: StreamOwner) async throws(StreamRefusal) -> String {
        let (stream, link) = try reservePlayer(request, kind: .push, owner: owner)
        do throws(StreamRefusal) {
            try await convertForPush(stream, request.mediaSessionID, link: link)
        } catch {
            withdraw(request.mediaSessionID, link: link)
            throw error
        }
        let opened: (id: EndpointID, offer: String)
        do {
            opened = try await engine.offerPush(
                of: stream, options: options(of: request, owner: owner),
                onEvent: eventHandler(request.mediaSessionID, link: link))
        } catch {
            throw await refuse(request.mediaSessionID, link: link, error)
        }
        try await attach(opened.id, to: request.mediaSessionID, link: link)
        await catchUpWithTracks(request.mediaSessionID)
        return opened.offer
    }

    /// An agent fetches a stream from elsewhere. Returns the offer for the far side. Asked again for the same media session,
    /// it replaces the broken peer connection and keeps the stream with its players.
    func openPull(_ request: StreamRequest, owner: StreamOwner) async throws(StreamRefusal) -> String {
        let id = request.mediaSessionID
        let stream: StreamHandle
        let link: UInt64
        if let entry = entries[id], entry.kind == .pull, entry.owner.id == owner.id, let handle = entry.stream {
            stream = handle
            link = nextLink()
            entries[id]?.link = link
            entries[id]?.endpoint = nil
            if let old = entry.endpoint { await engine.removeEndpoint(old) }
        } else {
            link = try reserve(request, kind: .pull, owner: owner)
            stream = try createStream(for: id, link: link)
        }
        let opened: (id: EndpointID, offer: String)
        do {
            opened = try await engine.offerPull(
                into: stream, audio: true, video: true, options: options(of: request, owner: owner),
                onEvent: eventHandler(id, link: link))
        } catch {
            throw await refuse(id, link: link, error)
        }
        try await attach(opened.id, to: id, link: link)
        return opened.offer
    }

    /// Gives an agent's peer connection the far side's answer.
    func setAnswer(_ answer: String, for id: String) async throws(StreamRefusal) {
        guard let endpoint = entries[id]?.endpoint else { throw .alreadyEnded }
        do {
            try await engine.setAnswer(endpoint, answer: answer)
        } catch {
            throw StreamRefusal(error)
        }
    }

    /// Restarts ICE of a client's media session; `nil` when its credentials are the ones in use already.
    func restartICE(_ id: String, ownerID: String, ufrag: String, password: String) async throws(StreamRefusal) -> ICERestart? {
        guard let entry = entries[id], entry.owner.id == ownerID, let endpoint = entry.endpoint else {
            throw .refused(.publisherStop, "the session has ended")
        }
        do {
            return try await engine.restartICE(endpoint, ufrag: ufrag, password: password)
        } catch {
            throw StreamRefusal(error)
        }
    }

    /// Closes the peer connection of a push but keeps nothing else of it; the agent opens a new one with the same id.
    func closePush(_ id: String, ownerID: String) async {
        guard let entry = entries[id], entry.kind == .push, entry.owner.id == ownerID else { return }
        withdraw(id, link: entry.link)
        if let endpoint = entry.endpoint { await engine.removeEndpoint(endpoint) }
    }

    // MARK: Steps

    func reservePlayer(
        _ request: StreamRequest, kind: Entry.Kind, owner: StreamOwner
    ) throws(StreamRefusal) -> (StreamHandle, UInt64) {
        guard let publisher = publisher(named: request.name) else {
            // rtsp://, vod:// and the like name sources that the server would have to fetch.
            if request.name.contains("://") { throw .refused(.agentStorage, "there is no agent for \"\(request.name)\"") }
            throw .refused(.sessionDoesNotExist, "there is no stream \"\(request.name)\"")
        }
        guard publisher.record.status == .publishing, let stream = publisher.stream else {
            throw .refused(.publishNotReady, "stream \"\(request.name)\" has no media yet")
        }
        let id = request.mediaSessionID
        let link = try reserve(request, kind: kind, owner: owner)
        let publisherID = publisher.record.mediaSessionID
        entries[publisherID]?.players.insert(id)
        entries[id]?.publisherID = publisherID
        entries[id]?.stream = stream
        entries[id]?.tracksVersion = publisher.tracksVersion
        entries[id]?.record.follow(publisher.record)
        return (stream, link)
    }

    func createStream(for id: String, link: UInt64) throws(StreamRefusal) -> StreamHandle {
        do {
            let stream = try engine.createStream()
            entries[id]?.stream = stream
            return stream
        } catch {
            withdraw(id, link: link)
            throw StreamRefusal(error)
        }
    }

    /// The engine said no: gives the place back, and the stream that was made for it.
    private func refuse(_ id: String, link: UInt64, _ error: EngineError) async -> StreamRefusal {
        guard let entry = entries[id], entry.link == link else { return .alreadyEnded }
        if entry.kind == .pull, entry.record.status == .publishing {
            // A reconnect that failed; the stream and its players stay.
            return StreamRefusal(error)
        }
        withdraw(id, link: link)
        if entry.record.isPublished, let stream = entry.stream { await engine.destroyStream(stream) }
        return StreamRefusal(error)
    }

    /// The engine said yes: keeps the endpoint, unless the media session was ended meanwhile.
    private func attach(_ endpoint: EndpointID, to id: String, link: UInt64) async throws(StreamRefusal) {
        guard entries[id]?.link == link else {
            await engine.removeEndpoint(endpoint)
            throw .alreadyEnded
        }
        entries[id]?.endpoint = endpoint
    }

    private func options(of request: StreamRequest, owner: StreamOwner) -> EndpointOptions {
        var options = EndpointOptions()
        // kbit/s on the wire, bit/s in the engine.
        options.minimumBitrate = min(request.minBitrate, 2_000_000) * 1000
        options.bitrate = min(request.bitrate, 2_000_000) * 1000
        options.maximumBitrate = min(request.maxBitrate, 2_000_000) * 1000
        options.transport = request.transport.flatMap { MediaTransportKind(rawValue: $0.uppercased()) }
        options.offersVideoOrientation = request.cvoExtension ?? true
        options.namesAllCodecs = owner.choosesCodec
        options.label = "stream=\(request.name) media_session=\(request.mediaSessionID) session=\(owner.id)"
        return options
    }
}

extension StreamRecord {
    /// Takes over what a player shares with its publisher.
    mutating func follow(_ publisher: StreamRecord) {
        audioCodec = publisher.audioCodec
        videoCodec = publisher.videoCodec
        width = publisher.width
        height = publisher.height
        room = publisher.room ?? room
        audioMuted = publisher.audioMuted
        videoMuted = publisher.videoMuted
    }
}
