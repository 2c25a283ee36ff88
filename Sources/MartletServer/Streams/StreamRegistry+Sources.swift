// SPDX-License-Identifier: Apache-2.0
// Publishing from inside the server: the door for RTMP, RTSP and whatever else is not WebRTC.
import MediaIO
import SDP
import Signalling

extension StreamRegistry {
    /// Takes the name for a source; media follows with `start` of what is returned. The owner is told `.started` and `.ended`.
    /// - Throws: `.refused(.nameInUse, …)`, …
    func openSource(_ request: SourceRequest, owner: StreamOwner) async throws(StreamRefusal) -> PublishedSource {
        _ = try reserveSource(request, owner: owner)
        return PublishedSource(request.mediaSessionID, ownerID: owner.id, registry: self)
    }

    func reserveSource(_ request: SourceRequest, owner: StreamOwner) throws(StreamRefusal) -> StreamHandle {
        var message = StreamRequest(mediaSessionID: request.mediaSessionID, name: request.name, published: true, sdp: "")
        message.custom = request.custom
        message.record = request.record
        message.mediaProvider = request.mediaProvider
        let link = try reserve(message, kind: .source, owner: owner)
        entries[request.mediaSessionID]?.record.mediaProvider = request.mediaProvider
        entries[request.mediaSessionID]?.record.transport = .tcp
        return try createStream(for: request.mediaSessionID, link: link)
    }

    /// The source's tracks are known: PUBLISHING.
    func startSource(_ id: String, ownerID: String, tracks: [SourceTrack]) async throws(StreamRefusal) -> FrameSource {
        let formats = tracks.compactMap(\.format)
        guard !formats.isEmpty, formats.count == tracks.count else {
            throw .refused(.noCommonCodecs, "the source has no track, or one whose description can't be read")
        }
        let local = try await startSource(id, ownerID: ownerID, formats: formats)
        guard let frames = FrameSource(local, tracks: tracks) else { throw .refused(.noCommonCodecs, "a codec of the source can't be packetised") }
        return frames
    }

    static let reorderingRefusal = "The video has B-frames, which this server does not take (bframes_disabled): switch them off in the encoder (bf=0, tune=zerolatency)"

    func noteReordering(_ id: String, _ record: StreamRecord) {
        entries[id]?.record.hasBFrames = true
        logger.warning("\(Self.reorderingRemark)", metadata: Self.metadata(record))
    }

    static let reorderingRemark =
        "The source sends B-frames, which WebRTC can't show in time: its video is encoded anew for players. Switch B-frames off in the encoder (bf=0, tune=zerolatency) to save that work"

    /// The same for a source that brings RTP itself.
    func startSource(_ id: String, ownerID: String, formats: [SDP.TrackFormat]) async throws(StreamRefusal) -> any LocalSource {
        guard let entry = entries[id], entry.owner.id == ownerID, let stream = entry.stream else { throw .alreadyEnded }
        let isReordered = formats.contains { $0.kind == .video && $0.isReordered }
        if isReordered, doors?.refusesReordered == true { throw .refused(.noCommonCodecs, Self.reorderingRefusal) }
        for format in formats where format.withClockRateOfCodec.codec.clockRate != format.codec.clockRate {
            logger.warning(
                "the clock rate of the source's description is not that of its codec and is not used",
                metadata: Self.metadata(entry.record, [
                    "codec": "\(format.codec.name)", "described": "\(format.codec.clockRate)",
                    "used": "\(format.withClockRateOfCodec.codec.clockRate)",
                ]))
        }
        let link = entry.link
        let local: any LocalSource
        do {
            local = try await engine.addSource(to: stream, tracks: formats, onEvent: eventHandler(id, link: link))
        } catch {
            throw StreamRefusal(error)
        }
        guard entries[id]?.link == link else {
            await engine.removeEndpoint(local.id)
            throw .alreadyEnded
        }
        let audio = formats.first { $0.kind == .audio }, video = formats.first { $0.kind == .video }
        entries[id]?.endpoint = local.id
        entries[id]?.record.hasAudio = audio != nil
        entries[id]?.record.hasVideo = video != nil
        entries[id]?.record.audioCodec = audio?.codec.name
        entries[id]?.record.videoCodec = video?.codec.name
        if isReordered, let record = entries[id]?.record { noteReordering(id, record) }
        start(id, .publishing)
        return local
    }
}
