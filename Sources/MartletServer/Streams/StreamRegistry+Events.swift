// SPDX-License-Identifier: Apache-2.0
// What happens while media sessions live: reports of the engine, events of publishers, the figures of each second.
import MediaIO
import Signalling

extension StreamRegistry {
    /// Takes one report of the engine. Returns what is to be done in the engine afterwards.
    func handle(_ event: LinkEvent) -> [Cleanup] {
        let id = event.mediaSessionID
        // Reports of a peer connection that has been replaced or ended come too late to matter.
        guard let entry = entries[id], entry.link == event.link else { return [] }
        switch event.event {
        case .connected(let remote):
            logger.debug("transport connected", metadata: Self.metadata(entry.record, ["peer": "\(remote)"]))
            entries[id]?.record.transport = remote.isTCP ? .tcp : .udp
            guard let publisherID = entry.publisherID else { break }
            start(id, .playing)
            if entries[publisherID]?.tracksVersion != entry.tracksVersion { return [.catchUp(playerID: id)] }
        case .moved(let remote):
            entries[id]?.record.transport = remote.isTCP ? .tcp : .udp
        case .mediaStarted(let info):
            entries[id]?.record.audioCodec = info.audioCodec
            entries[id]?.record.videoCodec = info.videoCodec
            entries[id]?.record.width = info.width
            entries[id]?.record.height = info.height
            if entry.kind == .pull {
                entries[id]?.record.hasAudio = info.audioCodec != nil
                entries[id]?.record.hasVideo = info.videoCodec != nil
            }
            if entry.record.isPublished { start(id, .publishing) }
        case .tracksChanged(let info):
            return noteTracks(id, info)
        case .resized(let width, let height):
            resize(id, width: width, height: height)
        case .clockJumped(let count):
            logger.warning(
                "the publisher's timestamps or packet numbers have jumped; its tracks go on by the time of arrival",
                metadata: Self.metadata(entry.record, ["jumps": "\(count)"]))
        case .notEnoughBandwidth(let bitrate, let bandwidth):
            lackBandwidth(entry, bitrate: bitrate, bandwidth: bandwidth)
        case .enoughBandwidth:
            logger.info("the player's line carries the stream again", metadata: Self.metadata(entry.record))
        case .pathTooNarrow(let length, let isFragmented):
            logger.warning("\(Self.narrowPath(length, isFragmented))", metadata: Self.metadata(entry.record))
        case .failed(let failure):
            // The engine has removed the endpoint already.
            entries[id]?.endpoint = nil
            if entry.kind == .pull {
                logger.info("link lost", metadata: Self.metadata(entry.record, ["reason": "\(failure)"]))
                entry.owner.deliver(.linkLost(mediaSessionID: id, failure))
                return []
            }
            if case .iceTimeout(let checks) = failure { explain(checks, entry.record) }
            if case .timestampJumps = failure, let why = StreamEnd.failed(failure).explanation {
                logger.warning("\(why)", metadata: Self.metadata(entry.record))
            }
            logger.debug("transport failed", metadata: Self.metadata(entry.record, ["reason": "\(failure)"]))
            // A browser closes its peer connection in the same moment in which it asks for the stop; whichever arrives first,
            // its user stopped the stream.
            return end(id, failure == .closedByPeer ? .user : .failed(failure))
        }
        return []
    }

    /// The most frequent trouble of all: says what to look at.
    private func explain(_ checks: Int, _ record: StreamRecord) {
        var hosts: [String] = []
        for address in engine.candidateAddresses where !hosts.contains(address.host) { hosts.append(address.host) }
        logger.warning("\(Self.noWay(checks))", metadata: Self.metadata(record, ["candidates": "\(hosts.prefix(16).joined(separator: ","))"]))
    }

    /// Packets of others' making pass through at the size they have.
    static func narrowPath(_ length: Int, _ isFragmented: Bool) -> String {
        let fate = isFragmented ? "they are sent in fragments, which some networks drop" : "they are dropped"
        return "packets of \(length) bytes are larger than the path to this peer carries (its MTU): \(fate); let the source send smaller ones "
            + "(an RTP payload of at most 1200 bytes, in ffmpeg `-pkt_size 1200`), let this peer play over TCP, or raise the MTU of the path"
    }

    /// What a client and the log are told when ICE found no way in time.
    static func noWay(_ checks: Int) -> String {
        checks == 0
            ? "No media could be exchanged: no packet of the client reached a media port. Is the address that clients are told the server's public one (setting ip), and are the media ports open for UDP and TCP?"
            : "No media could be exchanged: \(checks) checks of the client reached the server, but its answers did not reach the client. Does a firewall hold back what the server sends from its media ports, or is there another address to be told (setting ip)?"
    }

    func start(_ id: String, _ status: StreamStatus) {
        guard entries[id]?.record.status == .pending else { return }
        entries[id]?.record.status = status
        guard let entry = entries[id] else { return }
        logger.info(
            "\(status == .publishing ? "stream published" : "player started")",
            metadata: Self.metadata(entry.record, [
                "audio": "\(entry.record.audioCodec ?? "-")", "video": "\(entry.record.videoCodec ?? "-")",
            ]))
        if status == .publishing, entry.record.record, let recorder, let stream = entry.stream {
            let record = entry.record, owner = entry.owner
            entries[id]?.recording = Task { await recorder.begin(record, owner: owner, stream: stream) }
        }
        entry.owner.deliver(.started(entry.record))
        if status == .publishing, let url = entry.record.rtmpURL { republisher?(entry.record.name, url) }
        tellIfLoudest(entry.publisherID, to: id)
    }

    /// The recording of a publisher ends with it. Who asked for one is told the end once the file is complete, with its name.
    func endRecording(_ entry: inout Entry, _ reason: StreamEnd) {
        guard entry.record.isPublished, let recorder else { return }
        entry.record.awaitsRecord = entry.recording != nil
        let record = entry.record, owner = entry.owner, recording = entry.recording
        Task {
            await recording?.value
            let name = await recorder.end(record.mediaSessionID)
            guard recording != nil else { return }
            var record = record
            record.recordName = name
            owner.deliver(.recorded(record, reason))
        }
    }

    private func resize(_ id: String, width: Int, height: Int) {
        guard let entry = entries[id], entry.record.isPublished else { return }
        entries[id]?.record.width = width
        entries[id]?.record.height = height
        let payload: JSONValue = ["streamerVideoWidth": JSONValue(width), "streamerVideoHeight": JSONValue(height)]
        for player in entry.players {
            entries[player]?.record.width = width
            entries[player]?.record.height = height
            deliver(.resize, payload, to: player)
        }
    }

    /// A player's line is too thin: told as an event and, for clients from before the event, as a status.
    private func lackBandwidth(_ entry: Entry, bitrate: Int, bandwidth: Int) {
        logger.info(
            "the player's line is too thin", metadata: Self.metadata(entry.record, [
                "bitrate": "\(bitrate)", "bandwidth": "\(bandwidth)",
            ]))
        let info = "\(bitrate)/\(bandwidth)"
        deliver(.notEnoughBandwidth, ["info": .string(info)], to: entry.record.mediaSessionID)
        if entry.record.status == .playing { entry.owner.deliver(.notEnoughBandwidth(entry.record, info: info)) }
    }

    /// A publisher's event for everybody who watches. Events about other people's streams are ignored; false then.
    @discardableResult
    func send(_ event: StreamEventMessage, ownerID: String) -> Bool {
        guard let type = event.known, type.isFromPublisher, let entry = entries[event.mediaSessionID],
            entry.owner.id == ownerID, entry.record.isPublished
        else { return false }
        for id in [event.mediaSessionID] + entry.players {
            switch type {
            case .audioMuted: entries[id]?.record.audioMuted = true
            case .audioUnmuted: entries[id]?.record.audioMuted = false
            case .videoMuted: entries[id]?.record.videoMuted = true
            case .videoUnmuted: entries[id]?.record.videoMuted = false
            default: break
            }
        }
        for player in entry.players { deliver(type, event.payload, to: player) }
        return true
    }

    private func deliver(_ type: StreamEventType, _ payload: JSONValue?, to player: String) {
        // Before PLAYING there is nothing to tell: that status brings the size and mute state of its moment.
        guard let entry = entries[player], entry.record.status == .playing else { return }
        // Clients know a player only by its own id.
        entry.owner.deliver(.event(StreamEventMessage(mediaSessionID: player, type: type, payload: payload)))
    }

    /// Tells every owner the video rate of its running media sessions. Called once per second.
    func reportRates() async {
        guard !entries.isEmpty else { return }
        let statistics = await engine.statistics()
        for entry in entries.values where entry.record.status == .publishing || entry.record.status == .playing {
            guard let endpoint = entry.endpoint, let video = statistics[endpoint]?.video else { continue }
            var rate = VideoRate(mediaSessionID: entry.record.mediaSessionID, videoRate: video.bitrate)
            rate.framesPerSecond = video.framesPerSecond
            rate.nack = video.nacks
            rate.pli = video.plis
            rate.lostPackets = video.lostPackets
            rate.width = video.width > 0 ? video.width : entry.record.width
            rate.height = video.height > 0 ? video.height : entry.record.height
            entry.owner.deliver(.rate(rate, isPublisher: entry.record.isPublished))
        }
    }

    /// The records that match, oldest first; with metrics when the filter displays them.
    func find(_ filter: StreamFilter) async -> [JSONValue] {
        let found = entries.values.filter { filter.matches($0.record) }
            .sorted { ($0.record.createDate, $0.link) < ($1.record.createDate, $1.link) }
        guard filter.displaysMetrics else { return found.map { $0.record.json() } }
        let statistics = await engine.statistics()
        return found.map { entry in entry.record.json(metrics: .some(entry.endpoint.flatMap { statistics[$0] })) }
    }

    /// How many publishers or players there are, for the statistics page.
    /// - Parameter mediaProvider: of a kind: "WebRTC", "Flash", "RTSP".
    func count(published isPublished: Bool, mediaProvider: String? = nil) -> Int {
        entries.values.count { $0.record.isPublished == isPublished && (mediaProvider == nil || $0.record.mediaProvider == mediaProvider) }
    }
}
