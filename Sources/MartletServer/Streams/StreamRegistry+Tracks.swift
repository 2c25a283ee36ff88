// SPDX-License-Identifier: Apache-2.0
// What follows when the tracks of a running stream have changed: conversions of what is gone end, and everybody who watches goes on with
// what is there now, or is told to come again. The engine has carried over already whoever could go on as it was.
import MediaIO
import RTP
import SDP
import Signalling

extension StreamRegistry {
    /// A publisher's tracks are others than before.
    func noteTracks(_ id: String, _ info: MediaInfo) -> [Cleanup] {
        guard let entry = entries[id], entry.record.isPublished else { return [] }
        var record = entry.record
        record.hasAudio = info.audioCodec != nil
        record.hasVideo = info.videoCodec != nil
        record.audioCodec = info.audioCodec
        record.videoCodec = info.videoCodec
        record.width = info.width
        record.height = info.height
        entries[id]?.record = record
        entries[id]?.tracksVersion += 1
        for player in entry.players { entries[player]?.record.follow(record) }
        logger.notice("the stream has other tracks now", metadata: Self.metadata(record, [
            "audio": "\(info.audioCodec ?? "-")", "video": "\(info.videoCodec ?? "-")", "players": "\(entry.players.count)",
        ]))
        // One at a time; whoever is at it looks again at the end.
        guard !entry.isCarryingOver else { return [] }
        entries[id]?.isCarryingOver = true
        return [.carryOver(publisherID: id)]
    }

    func carryOver(_ id: String) async {
        while let entry = entries[id], let stream = entry.stream {
            if await !takesOrder(of: id, stream) { return }
            await recorder?.tracksChanged(id)
            await doors?.bridges.tracksChanged(stream)
            for player in entry.players.sorted() { await carryOverPlayer(player, of: id) }
            guard entries[id]?.tracksVersion != entry.tracksVersion else {
                entries[id]?.isCarryingOver = false
                return
            }
        }
    }

    /// New video may have B-frames; false when that ended the stream.
    private func takesOrder(of id: String, _ stream: StreamHandle) async -> Bool {
        let isReordered = await engine.tracks(of: stream).contains { $0.kind == .video && $0.isReordered }
        guard isReordered, let entry = entries[id] else { return true }
        if doors?.refusesReordered == true {
            await end(id, ownerID: entry.owner.id, .reordered)
            return false
        }
        if !entry.record.hasBFrames { noteReordering(id, entry.record) }
        return true
    }

    /// Tracks may have changed while a player was being set up.
    func catchUpWithTracks(_ player: String) async {
        guard let entry = entries[player], let publisherID = entry.publisherID, let publisher = entries[publisherID],
            publisher.tracksVersion != entry.tracksVersion
        else { return }
        await carryOverPlayer(player, of: publisherID)
    }

    private func carryOverPlayer(_ id: String, of publisherID: String) async {
        // One that is being set up asks by itself: once its place is taken, and over WebRTC once it is connected, since it can't be told anything
        // before.
        guard let entry = entries[id], let publisher = entries[publisherID], let endpoint = entry.endpoint, let stream = entry.stream,
            entry.tracksVersion != publisher.tracksVersion, entry.kind == .sink || entry.record.status != .pending
        else { return }
        entries[id]?.tracksVersion = publisher.tracksVersion
        switch entry.kind {
        case .player, .push: await carryOver(id, entry, endpoint, stream)
        case .sink:
            if let (request, sink) = entry.frames {
                await replace(sink, request, entry, stream)
            } else {
                entry.owner.deliver(.tracksChanged(await engine.tracks(of: stream)))
            }
        case .publisher, .pull, .source: break
        }
    }

    /// Over WebRTC: a codec that wasn't agreed on is converted; where nothing can be done, the player is told.
    private func carryOver(_ id: String, _ entry: Entry, _ endpoint: EndpointID, _ stream: StreamHandle) async {
        for missing in await engine.missingTracks(of: endpoint) ?? [] {
            let preferred = missing.format.kind == .audio ? ["opus", "PCMU", "PCMA"] : ["H264", "VP8"]
            let targets = preferred.filter { name in missing.codecs.contains { $0.lowercased() == name.lowercased() } }
            if await convert(stream, missing, to: targets, for: id, link: entry.link) { continue }
            // A kind that it plays already, or one that it knows nothing of: both are had by playing anew.
            logger.notice("the player has to play the stream again to get all of it", metadata: Self.metadata(entry.record, [
                "kind": "\(missing.format.kind.token)", "codec": "\(missing.format.codec.name)",
            ]))
            return await end(id, ownerID: entry.owner.id, .tracksChanged)
        }
    }

    private func convert(_ stream: StreamHandle, _ missing: MissingTrack, to targets: [String], for id: String, link: UInt64) async -> Bool {
        for target in targets {
            let kind = CodecKind(encodingName: target)
            if (try? await convert(stream, track: missing.track, source: missing.format, to: kind, for: id, link: link)) != nil { return true }
        }
        // It has ended meanwhile: nothing is left to be done.
        return entries[id]?.link != link
    }

    /// A sink of frames goes on with a new subscription on the same clock.
    private func replace(_ sink: SubscribedSink, _ request: SinkRequest, _ entry: Entry, _ stream: StreamHandle) async {
        let id = request.mediaSessionID, version = entries[id]?.tracksVersion
        do throws(StreamRefusal) {
            let choice = try await choose(request, of: stream, link: entry.link)
            guard let taps = doors?.taps else { return }
            let opened: (id: EndpointID, subscription: FrameSubscription)
            do throws(EngineError) {
                opened = try await taps.subscribe(to: stream, choice: choice, origin: await sink.origin)
            } catch { throw StreamRefusal(error) }
            // It may have ended meanwhile, or somebody is at it with newer tracks than these.
            guard entries[id]?.link == entry.link, entries[id]?.tracksVersion == version else {
                await opened.subscription.finish()
                return await engine.removeEndpoint(opened.id)
            }
            let before = entries[id]?.endpoint
            entries[id]?.endpoint = opened.id
            await sink.go(onWith: opened.subscription)
            if let before { await engine.removeEndpoint(before) }
        } catch {
            guard case .refused(_, let reason) = error else { return }
            logger.notice("the sink can't go on with the stream's new tracks", metadata: Self.metadata(entry.record, ["reason": "\(reason)"]))
            await end(id, ownerID: entry.owner.id, .tracksChanged)
        }
    }
}
