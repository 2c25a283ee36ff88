// SPDX-License-Identifier: Apache-2.0
// A player: a peer connection that takes a stream's tracks. Answers its NACKs and key frame requests, sends it reports.
import Primitives
import RTP
import SDP
import SRTP
import WebRTC

/// A sink over WebRTC: a browser that plays, or another server that we push to.
public final class PlayerEndpoint: Endpoint {
    struct Line {
        var track: UplinkTrack
        let transport: Int
        var media: NegotiatedMedia
        var sink: UnsafeMutablePointer<DownlinkTrack>?
        var lag = Lag()
        var nacks: UInt64 = 0
        var plis: UInt64 = 0
        var lost: UInt64 = 0
        var rates = RateMeter()
        /// The compound of its sender reports; made once, of which only the figures change.
        var report: SenderReportPacket?
    }

    /// By transport index; made when its keys are there.
    var paths: [PlayerPath?] = []
    /// NTP middle bits of a report sent, and when: to read the round trip from the receiver report (RFC 3550 §6.4.1).
    private var sentReports: [(middle: UInt32, at: Instant)] = []
    var lines: [Line] = []
    private var random = RandomSource.system
    private var nextReport = Instant.zero
    private let cname: String
    /// What the negotiation's track numbers mean.
    private let offered: [UplinkTrack]
    /// The stream goes to another server, with an offer of ours.
    private let isPush: Bool

    /// Tracks that the stream has lost meanwhile are simply not sent.
    /// - Parameter tracks: those that were negotiated with, in that order.
    public init(
        id: EndpointID, stream: MediaStream, connection: PeerConnection, options: EndpointOptions, socket: Int32,
        tracks: [UplinkTrack]? = nil, onEvent: @escaping EndpointEventHandler
    ) {
        cname = "martlet-\(stream.handle.rawValue)"
        offered = tracks ?? stream.forms
        isPush = tracks != nil
        super.init(id: id, stream: stream, connection: connection, options: options, socket: socket, onEvent: onEvent)
        stream.join(self)
        takeLines()
    }

    /// Reads what was agreed. For a push it is called again when the answer is there.
    public func takeLines() {
        lines = connection.media.compactMap { media in
            guard media.codec != nil, media.direction == .sendonly || media.direction == .sendrecv else { return nil }
            let kind: MediaKind = media.kind == .video ? .video : .audio
            let chosen = media.trackIndex.flatMap { offered.indices.contains($0) ? offered[$0] : nil }
            // The source may have come back with other tracks meanwhile.
            if let track = stream.forms.first(where: { $0 === chosen && $0.kind == kind }) {
                return Line(track: track, transport: media.transportIndex, media: media, sink: nil)
            }
            // A push's answer says nothing of other codecs: what is there is sent, as it always was.
            guard media.alternatives.isEmpty else { return bind(media) }
            return stream.track(of: kind).map { Line(track: $0, transport: media.transportIndex, media: media, sink: nil) }
        }
    }

    /// What of the stream a section can be sent; `nil` when there is nothing, or nothing that the peer takes.
    private func bind(_ media: NegotiatedMedia) -> Line? {
        for track in stream.forms {
            guard let agreed = media.agreement(for: track.format) else { continue }
            var media = media
            media.codec = agreed.codec
            media.rtx = agreed.rtx
            return Line(track: track, transport: media.transportIndex, media: media, sink: nil)
        }
        return nil
    }

    // MARK: tracks that come, change and go

    /// The stream has other tracks than before: takes up what comes new, and goes on with what replaces a track that is gone, or that has
    /// turned out to be none for it. Of the latter it gets what there is until there is something else.
    func tracksChanged(arena: SendArena, at now: Instant) {
        for i in lines.indices where lines[i].track.format.isReordered || !stream.forms.contains(where: { $0 === lines[i].track }) {
            guard let next = bind(lines[i].media), let codec = next.media.codec else { continue }
            let old = lines[i].track
            lines[i].track = next.track
            lines[i].media = next.media
            lines[i].lag = .live
            guard let sink = lines[i].sink else { continue }
            let isStalled = sink.pointee.isSuspended
            old.move(sink, to: next.track, AgreedCodec(codec: codec, rtx: next.media.rtx), arena: arena, at: now)
            guard !isStalled else { continue }
            sink.pointee.resume()
            openSink(sink, of: i, arena: arena, at: now)
        }
        for media in connection.media where media.direction.sends && !media.alternatives.isEmpty {
            guard !lines.contains(where: { $0.media.mLineIndex == media.mLineIndex }), let line = bind(media) else { continue }
            lines.append(line)
            makeSink(lines.count - 1, arena: arena, at: now)
        }
        nextReport = now
        deadline = min(deadline, now)
    }

    /// What the peer wants of the stream and does not get: each with the codecs that it takes. Without any a new negotiation is needed.
    public func missingTracks() -> [MissingTrack] {
        stream.tracks.indices.compactMap { index in
            let track = stream.tracks[index]
            if lines.contains(where: { $0.track === track && !track.format.isReordered || $0.track.origin === track }) { return nil }
            // The first of a kind only, as in an answer.
            guard stream.track(of: track.kind) === track else { return nil }
            let sections = connection.media.filter { $0.kind == track.format.kind }
            if let section = sections.first(where: { $0.direction.sends && $0.codec != nil }) {
                let codecs = section.alternatives.isEmpty ? [section.codec].compactMap { $0 } : section.alternatives.map(\.codec)
                return MissingTrack(track: index, format: track.format, codecs: codecs.map(\.name))
            }
            // It has been told that there is none it can take.
            if track.kind == .audio, options.leavesOutAudio { return nil }
            // What we send ourselves was offered by us, with a section for each track that there was.
            let isWanted = sections.contains(where: \.isWanted) || (sections.isEmpty && isPush)
            return isWanted ? MissingTrack(track: index, format: track.format, codecs: []) : nil
        }
    }

    override func transportConnected(_ index: Int, arena: SendArena, at now: Instant) {
        for i in lines.indices where lines[i].transport == index && lines[i].sink == nil { makeSink(i, arena: arena, at: now) }
        nextReport = now
    }

    /// Line `i` begins, once its transport is up.
    private func makeSink(_ i: Int, arena: SendArena, at now: Instant) {
        let media = lines[i].media, transport = connection.transports[lines[i].transport]
        guard let codec = media.codec, let sender = transport.srtpSender, let remote = transport.remote else { return }
        var parameters = DownlinkTrack.Parameters(ssrc: media.localSSRC, payloadType: codec.payloadType)
        parameters.rtxPayloadType = media.rtx
        parameters.rtxSSRC = media.localRTXSSRC
        parameters.midID = media.extensionID(ExtensionURI.mid)
        parameters.audioLevelID = media.extensionID(ExtensionURI.audioLevel)
        parameters.orientationID = media.extensionID(ExtensionURI.videoOrientation)
        parameters.playoutDelayID = media.extensionID(ExtensionURI.playoutDelay)
        // Without RTX a retransmission must be the same packet again, which one with a number of its own can't be.
        if media.transportCC, (media.rtx != nil && media.localRTXSSRC != nil) || !media.nack {
            parameters.transportSequenceID = media.extensionID(ExtensionURI.transportWideCC)
        }
        parameters.mid = media.mid ?? ""
        let sink = lines[i].track.addSink(
            parameters, sender: sender, destination: Destination(address: remote, socket: socket),
            history: path(of: lines[i].transport).history, random: &random)
        lines[i].sink = sink
        openSink(sink, of: i, arena: arena, at: now)
    }

    private func openSink(_ sink: UnsafeMutablePointer<DownlinkTrack>, of i: Int, arena: SendArena, at now: Instant) {
        if lines[i].track.open(sink, arena: arena, at: now) { join(i, path(of: lines[i].transport), arena: arena, at: now) }
        if lines[i].track.wantsKeyFrame { stream.requestKeyFrame(of: lines[i].track, arena: arena, at: now) }
    }

    override func transportMoved(_ index: Int, to address: SocketAddress) {
        for line in lines where line.transport == index {
            guard let sink = line.sink else { continue }
            sink.pointee.destination = Destination(address: address, socket: socket)
            // Whatever held the old way up, this one is free.
            line.track.resume(sink)
        }
    }

    override func transportStalled(_ index: Int, _ isStalled: Bool, arena: SendArena, at now: Instant) {
        for i in lines.indices where lines[i].transport == index {
            let line = lines[i]
            guard let sink = line.sink else { continue }
            guard !isStalled else {
                line.track.suspend(sink)
                lines[i].lag = .live
                continue
            }
            line.track.resume(sink)
            if line.track.wantsKeyFrame { stream.requestKeyFrame(of: line.track, arena: arena, at: now) }
        }
    }

    public override func detach() {
        stream.leave(self)
        for i in lines.indices {
            if let sink = lines[i].sink { lines[i].track.removeSink(sink) }
            lines[i].sink = nil
        }
        lines = []
        paths = []
    }

    private func path(of transport: Int) -> PlayerPath {
        while paths.count <= transport { paths.append(nil) }
        if let path = paths[transport] { return path }
        let hasFeedback = connection.media.contains { $0.codec != nil && $0.transportIndex == transport && $0.transportCC }
        let path = PlayerPath(hasFeedback: hasFeedback)
        paths[transport] = path
        return path
    }

    override func receiveFeedback(_ feedback: TransportFeedbackView, transport: Int, at now: Instant) {
        guard transport < paths.count, let path = paths[transport] else { return }
        path.receive(feedback, at: now)
        // A line without trouble is looked at once a second.
        if path.controller.hasBackedOff || path.alarm.isRaised { deadline = min(deadline, now) }
    }

    override func receiveRTCP(_ packets: [RTCPPacket], transport: Int, arena: SendArena, at now: Instant) {
        for packet in packets {
            switch packet {
            case .nack(let nack):
                guard let i = index(of: nack.mediaSSRC), let sink = lines[i].sink else { continue }
                lines[i].nacks &+= UInt64(nack.sequenceNumbers.count)
                let path = path(of: lines[i].transport)
                let room = path.retransmissionRoom(at: now)
                var left = room
                lines[i].track.retransmit(nack.sequenceNumbers, to: sink, room: &left, arena: arena, at: now)
                path.spendOnRetransmissions(room - left)
            case .receiverEstimatedMaximumBitrate(let remb):
                path(of: transport).limit(to: remb.bitrate)
                deadline = min(deadline, now)
            case .pictureLossIndication(_, let mediaSSRC):
                requestKeyFrame(mediaSSRC, arena: arena, at: now)
            case .fullIntraRequest(let request):
                for entry in request.entries.prefix(4) { requestKeyFrame(entry.ssrc, arena: arena, at: now) }
            case .receiverReport(let report):
                for block in report.reports { receive(block, at: now) }
            case .senderReport(let report):
                for block in report.reports { receive(block, at: now) }
            case .extendedReport(let report):
                // Another server that we push to asks how long the way is.
                guard let reference = report.referenceTime, let line = lines.first(where: { $0.transport == transport }) else { continue }
                let own = line.media.localSSRC
                sendRTCP(
                    [
                        .receiverReport(ReceiverReport(senderSSRC: own, reports: [])),
                        .extendedReport(.answer(senderSSRC: own, to: report.senderSSRC, referenceTime: reference)),
                    ], transport: transport, arena: arena)
            default:
                break
            }
        }
    }

    private func index(of ssrc: UInt32) -> Int? {
        lines.firstIndex { $0.media.localSSRC == ssrc || $0.media.localRTXSSRC == ssrc }
    }

    private func requestKeyFrame(_ ssrc: UInt32, arena: SendArena, at now: Instant) {
        guard let i = index(of: ssrc) else { return }
        lines[i].plis &+= 1
        stream.requestKeyFrame(of: lines[i].track, arena: arena, at: now)
    }

    private func receive(_ block: ReportBlock, at now: Instant) {
        guard let i = index(of: block.ssrc), let sink = lines[i].sink else { return }
        sink.pointee.noteReport()
        lines[i].lost = UInt64(max(0, block.cumulativeLost))
        guard block.lastSR != 0, let sent = sentReports.last(where: { $0.middle == block.lastSR }) else { return }
        let held = TimeSpan(ticks: Int64(block.delaySinceLastSR), clockRate: 65_536)
        let roundTrip = now.span(since: sent.at) - held
        if roundTrip >= .zero, roundTrip < .seconds(10) { roundTripMilliseconds = roundTrip.fractionalMilliseconds }
    }

    override func periodic(arena: SendArena, at now: Instant) {
        guard isConnected else { return }
        if now >= nextReport {
            // The first report goes out as soon as the publisher's is known: players need it to put sound and picture together.
            let known = lines.allSatisfy { $0.track.isWithheld || $0.track.reportedNTP != 0 && $0.sink?.pointee.isStarted ?? false }
            nextReport = now + (known ? TimeSpan.seconds(1) : .milliseconds(100))
            for i in lines.indices {
                guard let sink = lines[i].sink, let report = lines[i].track.senderReport(for: sink, at: now) else { continue }
                sentReports.append((UInt32(truncatingIfNeeded: report.ntpTimestamp >> 16), now))
                if sentReports.count > 16 { sentReports.removeFirst(8) }
                if lines[i].report == nil { lines[i].report = SenderReportPacket(ssrc: report.senderSSRC, cname: cname) }
                lines[i].report?.update(report)
                if let bytes = lines[i].report?.bytes { sendRTCP(bytes, transport: lines[i].transport, arena: arena) }
            }
        }
        deadline = min(deadline, nextReport)
        for i in lines.indices {
            lines[i].track.updateRates(at: now)
            if let sink = lines[i].sink {
                lines[i].rates.update(bytes: sink.pointee.bytes, frames: sink.pointee.frames, at: now)
            }
        }
        adapt(arena: arena, at: now)
    }

    public override func statistics() -> EndpointStatistics {
        var result = super.statistics()
        for case let path? in paths where path.controller.isInformed {
            result.bandwidth = max(result.bandwidth ?? 0, path.controller.estimate)
            if path.alarm.isRaised { result.lacksBandwidth = true }
        }
        for line in lines {
            guard let sink = line.sink else { continue }
            var track = TrackStatistics()
            track.codec = line.track.format.codec.name
            track.payloadType = sink.pointee.payloadType
            track.packets = sink.pointee.packets
            track.bytes = sink.pointee.bytes
            track.frames = sink.pointee.frames
            track.keyFrames = sink.pointee.keyFrames
            track.lostPackets = line.lost
            track.nacks = line.nacks
            track.retransmissions = sink.pointee.retransmitted
            track.refusedRetransmissions = sink.pointee.refusedRetransmissions
            track.missedRetransmissions = sink.pointee.missedRetransmissions
            track.droppedFrames = sink.pointee.droppedFrames
            track.plis = line.plis
            track.bitrate = line.rates.bitrate
            track.framesPerSecond = line.rates.framesPerSecond
            track.width = line.track.width
            track.height = line.track.height
            if line.track.kind == .video { result.video = track } else { result.audio = track }
        }
        return result
    }
}
