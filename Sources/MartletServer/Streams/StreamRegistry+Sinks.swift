// SPDX-License-Identifier: Apache-2.0
// Playing inside the server: the door for RTMP, RTSP and whatever else is not WebRTC.
import MediaIO
import RTP
import SDP
import Signalling

extension StreamRegistry {
    /// Subscribes to a stream's frames, converted where need be. The owner is told `.started` and `.ended`.
    func openSink(_ request: SinkRequest, owner: StreamOwner) async throws(StreamRefusal) -> SubscribedSink {
        try await fetch(request.name)
        let (stream, link, choice) = try await reserveSink(request, owner: owner)
        let opened: (id: EndpointID, subscription: FrameSubscription)
        do throws(EngineError) {
            guard let taps = doors?.taps else { throw .shutDown }
            opened = try await taps.subscribe(to: stream, choice: choice)
        } catch {
            withdraw(request.mediaSessionID, link: link)
            throw StreamRefusal(error)
        }
        let sink = SubscribedSink(request.mediaSessionID, ownerID: owner.id, registry: self, subscription: opened.subscription)
        try await startSink(request.mediaSessionID, link: link, opened.id) { sink.finish() }
        entries[request.mediaSessionID]?.frames = (request, sink)
        await catchUpWithTracks(request.mediaSessionID)
        return sink
    }

    /// The same for packets.
    func openPackets(_ request: SinkRequest, owner: StreamOwner) async throws(StreamRefusal) -> PacketSubscription {
        let (stream, link, choice) = try await reserveSink(request, owner: owner)
        let opened: (id: EndpointID, subscription: PacketSubscription)
        do throws(EngineError) {
            guard let taps = doors?.taps else { throw .shutDown }
            opened = try await taps.packets(of: stream, choice: choice)
        } catch {
            withdraw(request.mediaSessionID, link: link)
            throw StreamRefusal(error)
        }
        let subscription = opened.subscription
        try await startSink(request.mediaSessionID, link: link, opened.id) { subscription.finish() }
        await catchUpWithTracks(request.mediaSessionID)
        return subscription
    }

    /// A tap has been set for a reserved sink: PLAYING.
    /// - Parameter onEnd: called when the media session is over; returns at once.
    func startSink(_ id: String, link: UInt64, _ endpoint: EndpointID, onEnd: @escaping @Sendable () -> Void) async throws(StreamRefusal) {
        guard entries[id]?.link == link else {
            onEnd()
            await engine.removeEndpoint(endpoint)
            throw .alreadyEnded
        }
        entries[id]?.endpoint = endpoint
        entries[id]?.onEnd = onEnd
        entries[id]?.record.transport = .tcp
        start(id, .playing)
    }

    /// Takes a place among the stream's players and begins the conversions that are needed.
    func reserveSink(_ request: SinkRequest, owner: StreamOwner) async throws(StreamRefusal) -> (StreamHandle, UInt64, TapChoice) {
        var message = StreamRequest(mediaSessionID: request.mediaSessionID, name: request.name, published: false, sdp: "")
        message.custom = request.custom
        let (stream, link) = try reservePlayer(message, kind: .sink, owner: owner)
        let id = request.mediaSessionID
        entries[id]?.record.mediaProvider = request.mediaProvider
        do throws(StreamRefusal) {
            return (stream, link, try await choose(request, of: stream, link: link))
        } catch {
            withdraw(id, link: link)
            throw error
        }
    }

    /// What a sink gets of a stream's tracks as they are now; begins the conversions that are needed.
    func choose(_ request: SinkRequest, of stream: StreamHandle, link: UInt64) async throws(StreamRefusal) -> TapChoice {
        let id = request.mediaSessionID
        var choice = TapChoice()
        let forms = await engine.forms(of: stream)
        var hasAny = false
        for (index, form) in forms.enumerated() where form.converts == nil {
            let wishes = request.wishes(form.kind == .video)
            guard let first = wishes.first, form.kind == .audio || form.kind == .video else {
                choice.skipped.insert(index)
                continue
            }
            hasAny = true
            if wishes.contains(CodecKind(encodingName: form.codec.name)), !form.isReordered || request.takesReordered { continue }
            choice.conversions[index] = try await convert(stream, track: index, source: form, to: first, for: id, link: link)
        }
        guard hasAny else { throw .refused(.noCommonCodecs, "the stream has none of the media that is wanted") }
        for kind in [SDPMediaKind.audio, .video] {
            let has = forms.indices.contains { forms[$0].kind == kind && forms[$0].converts == nil && !choice.skipped.contains($0) }
            if kind == .audio { entries[id]?.record.hasAudio = has } else { entries[id]?.record.hasVideo = has }
        }
        return choice
    }
}
