// SPDX-License-Identifier: Apache-2.0
// A publisher: a peer connection whose media fills a stream. Sorts packets to tracks, undoes RTX, and gives the
// sender the feedback it lives on: reports, NACK, key frame requests, transport-cc or REMB.
import Primitives
import RTP
import SDP
import WebRTC

/// A source over WebRTC: a browser that publishes, or another server that we pull from.
public final class PublisherEndpoint: Endpoint, StreamSource {
    /// Time bounds of a publisher.
    public struct Timing: Sendable {
        /// No RTP for this long after the transport came up: the endpoint fails.
        public var activityTimeout = TimeSpan.seconds(60)
        /// Smallest gap between two key frame requests.
        public var keyFrameGap = TimeSpan.seconds(1)
        /// Ask for a key frame this often without being asked; zero = never.
        public var keyFrameInterval = TimeSpan.zero
        /// Ask for a key frame when none has come for this long and somebody takes the track who can't ask; zero = never.
        public var refreshInterval = TimeSpan.seconds(3)
        public init() {}
    }

    private struct Line {
        var track: UplinkTrack
        var media: NegotiatedMedia
        let transport: Int
        /// What an earlier source had brought into the track.
        var packetsBefore: UInt64, keyFramesBefore: UInt64
        /// Left out of the stream because nothing of it had come when the stream began.
        var isAwaited = false
        var toldWidth = 0, toldHeight = 0
        /// That it has B-frames is known to the players.
        var isReordered = false
        /// When a source that is not the line's was first seen; `nil`: never.
        var otherSince: Instant?
        /// The line's source has said goodbye.
        var isOver = false
        /// Until then its codec stays.
        var nextCodecChange = Instant.zero
        var codecChangeGap = PublisherEndpoint.codecChangeGap / 2
        /// Packets of sources that are not the line's.
        var otherPackets: UInt64 = 0

        var hasMedia: Bool { track.packets > packetsBefore }
    }

    /// What an SSRC is to a line.
    private enum Role { case media, rtx, other }
    /// Which track an SSRC belongs to.
    private struct Binding {
        var ssrc: UInt32
        var line: Int
        var role: Role
    }

    private var lines: [Line] = []
    /// We fetch from another server, which may answer with sections and codecs that it does not use yet.
    private let isPull: Bool
    private var bindings: ContiguousArray<Binding> = []
    private static let maximumBindings = 16
    /// A line's source has been silent for so long that another of the same line may take its place.
    static let sourceSilence = TimeSpan.seconds(2)
    /// The same for one that was named and has never been heard.
    static let namedPatience = TimeSpan.milliseconds(500)
    private var extensions = UplinkExtensions()
    private var transportSequenceID: UInt8 = 0
    private var midID: UInt8 = 0
    private var recorder = TransportFeedbackRecorder()
    private let timing: Timing
    private var started = false
    private var mediaSince: Instant?
    private var lastPacket = Instant.zero
    private var nextReport = Instant.zero
    private var nextFeedback = Instant.zero
    /// NTP middle bits of reference times sent, and when: to read the round trip from the answer (RFC 3611 §4.5).
    private var sentReferences: [(middle: UInt32, at: Instant)] = []
    private var nextPeriodicKeyFrame = Instant.zero
    /// Packets of an SSRC that could not be given to a track.
    public private(set) var unknownPackets: UInt64 = 0

    /// Until a codec may change again, doubled each time up to what counts as calm.
    static let codecChangeGap = TimeSpan.seconds(1), codecChangeCalm = TimeSpan.seconds(60)
    static let feedbackInterval = TimeSpan.milliseconds(50)
    static let tick = TimeSpan.milliseconds(20)
    /// An unanswered request is repeated sooner than the gap that follows a key frame.
    static let keyFrameRepeat = TimeSpan.milliseconds(300)
    /// A track that stays silent delays the start of the stream by this much at most.
    static let startPatience = TimeSpan.seconds(1)

    public init(
        id: EndpointID, stream: MediaStream, connection: PeerConnection, options: EndpointOptions, timing: Timing,
        socket: Int32, onEvent: @escaping EndpointEventHandler
    ) {
        self.timing = timing
        isPull = connection.transports.isEmpty
        super.init(id: id, stream: stream, connection: connection, options: options, socket: socket, onEvent: onEvent)
        stream.source = self
        // Of a pull nothing is agreed on before the answer is there.
        if !connection.transports.isEmpty { takeLines() }
    }

    /// Reads what was agreed. For a pull it is called again when the answer is there.
    public func takeLines() {
        lines = []
        bindings = []
        // A far server accepts audio that it doesn't have: who watches already is told of it when it comes.
        let isBack = isPull && !stream.tracks.isEmpty
        for media in connection.media {
            guard let codec = media.codec, media.direction == .recvonly || media.direction == .sendrecv,
                media.kind == .audio || media.kind == .video
            else { continue }
            let isVideo = media.kind == .video
            let format = TrackFormat(kind: media.kind, codec: codec)
            let track = stream.track(like: format.withClockRateOfCodec) ?? UplinkTrack(format: format, codec: CodecKind(encodingName: codec.name))
            // One source makes a track. Of several (layers of simulcast, by SDP munging) that is the first named.
            for (index, source) in media.remoteSources.prefix(4).enumerated() {
                bind(source.ssrc, line: lines.count, index == 0 ? .media : .other)
                if let rtx = source.rtx { bind(rtx, line: lines.count, index == 0 ? .rtx : .other) }
            }
            // Whatever the numbers of a new connection are, they are no continuation of the old one's.
            if track.packets > 0 { track.restart() }
            lines.append(
                Line(
                    track: track, media: media, transport: media.transportIndex, packetsBefore: track.packets,
                    keyFramesBefore: track.keyFrames, isAwaited: isBack && !isVideo && track.packets == 0))
            if isVideo {
                extensions.orientation = media.extensionID(ExtensionURI.videoOrientation)
                extensions.playoutDelay = media.extensionID(ExtensionURI.playoutDelay)
            } else {
                extensions.audioLevel = media.extensionID(ExtensionURI.audioLevel)
            }
            transportSequenceID = max(transportSequenceID, media.extensionID(ExtensionURI.transportWideCC))
            midID = max(midID, media.extensionID(ExtensionURI.mid))
        }
        setTracks()
    }

    /// Tells the owner that the stream's tracks are others than before. Called by the driver.
    public func tellTracks() { tell(.tracksChanged(stream.info)) }

    /// The far side has changed to another codec of its answer: a new track, in the place of the old one.
    ///
    /// - Returns: false when the payload type is none of the answer's, or the last change is too close.
    @inline(never)
    private func changeCodec(of line: Int, to payloadType: UInt8, at now: Instant) -> Bool {
        // What is still on its way of the codec before is no change back.
        guard now >= lines[line].nextCodecChange,
            let agreed = lines[line].media.alternatives.first(where: { $0.codec.payloadType == payloadType })
        else { return false }
        // Each change makes a new track for everybody. One that comes again and again has to wait longer each time.
        let calm = now.span(since: lines[line].nextCodecChange) >= Self.codecChangeCalm
        lines[line].codecChangeGap = calm ? Self.codecChangeGap : min(lines[line].codecChangeGap * 2, Self.codecChangeCalm)
        lines[line].nextCodecChange = now + lines[line].codecChangeGap
        lines[line].media.codec = agreed.codec
        lines[line].media.rtx = agreed.rtx
        let track = UplinkTrack(
            format: TrackFormat(kind: lines[line].media.kind, codec: agreed.codec), codec: CodecKind(encodingName: agreed.codec.name))
        lines[line].track = track
        (lines[line].packetsBefore, lines[line].keyFramesBefore, lines[line].isReordered) = (0, 0, false)
        setTracks()
        return true
    }

    private func setTracks() { stream.setTracks(lines.filter { !$0.isAwaited }.map(\.track)) }

    /// The first packet of a track that was not there when the stream began.
    @inline(never)
    private func takeUp(_ line: Int) {
        lines[line].isAwaited = false
        setTracks()
    }

    // MARK: packets

    @inline(__always)
    private func binding(of ssrc: UInt32) -> Int {
        for i in 0..<bindings.count where bindings[i].ssrc == ssrc { return i }
        return -1
    }

    private func bind(_ ssrc: UInt32, line: Int, _ role: Role) {
        if bindings.count == Self.maximumBindings { bindings.remove(at: bindings.firstIndex { $0.role == .other } ?? 0) }
        bindings.append(Binding(ssrc: ssrc, line: line, role: role))
    }

    override func receiveRTP(_ packet: UnsafeMutableRawBufferPointer, transport: Int, arena: SendArena, at now: Instant) {
        guard let view = RTPView(UnsafeRawBufferPointer(packet)) else { return unknownPackets &+= 1 }
        lastPacket = now
        if transportSequenceID != 0, let value = view.extensionElement(id: transportSequenceID), value.count >= 2 {
            recorder.record(sequence: UInt16(value[0]) << 8 | UInt16(value[1]), at: now)
        }
        var i = binding(of: view.ssrc)
        if i < 0 {
            i = learn(view)
            if i < 0 { return unknownPackets &+= 1 }
        }
        if bindings[i].role == .other {
            let line = bindings[i].line
            guard mayReplace(line, view, at: now) else { return lines[line].otherPackets &+= 1 }
            i = replace(line, by: view.ssrc)
        }
        let binding = bindings[i]
        if binding.role == .media {
            if view.payloadType != lines[binding.line].media.codec?.payloadType {
                guard changeCodec(of: binding.line, to: view.payloadType, at: now) else { return unknownPackets &+= 1 }
            }
            if lines[binding.line].isAwaited { takeUp(binding.line) }
            lines[binding.line].track.receive(
                view, bytes: UnsafeRawBufferPointer(packet), isRetransmission: false, extensions: extensions, arena: arena, at: now)
        } else {
            receiveRTX(view, packet, line: binding.line, arena: arena, at: now)
        }
        if !started { startIfComplete(arena: arena, at: now) }
    }

    /// Gives the original packet back (RFC 4588 §4): the two bytes in front of the payload are its sequence number.
    private func receiveRTX(
        _ view: RTPView, _ packet: UnsafeMutableRawBufferPointer, line: Int, arena: SendArena, at now: Instant
    ) {
        let payload = view.payload
        let media = lines[line].media
        // An empty one is padding that a browser probes the bandwidth with.
        // Those of the codec before mean nothing any more.
        guard payload.count >= 2, media.rtx == nil || view.payloadType == media.rtx, let codec = media.codec, let base = packet.baseAddress,
            lines[line].track.ssrc != 0
        else { return }
        let original = UInt16(payload[0]) << 8 | UInt16(payload[1])
        let marker = view.marker
        (base + 2).copyMemory(from: base, byteCount: view.headerLength)
        let restored = UnsafeMutableRawBufferPointer(start: base + 2, count: packet.count - 2)
        restored[1] = codec.payloadType | (marker ? 0x80 : 0)
        restored.storeBytes(of: original.bigEndian, toByteOffset: 2, as: UInt16.self)
        restored.storeBytes(of: lines[line].track.ssrc.bigEndian, toByteOffset: 8, as: UInt32.self)
        guard let whole = RTPView(UnsafeRawBufferPointer(restored)) else { return unknownPackets &+= 1 }
        lines[line].track.receive(
            whole, bytes: UnsafeRawBufferPointer(restored), isRetransmission: true, extensions: extensions, arena: arena, at: now)
    }

    /// An SSRC that the offer did not name: known by its MID, or by a payload type that only one line uses.
    private func learn(_ view: RTPView) -> Int {
        var candidates = lines.indices.filter {
            lines[$0].media.codec?.payloadType == view.payloadType || lines[$0].media.rtx == view.payloadType
        }
        if candidates.isEmpty {
            candidates = lines.indices.filter {
                lines[$0].media.alternatives.contains { $0.codec.payloadType == view.payloadType || $0.rtx == view.payloadType }
            }
        }
        if candidates.count > 1, midID != 0, let value = view.extensionElement(id: midID) {
            let mid = String(decoding: value, as: UTF8.self)
            candidates = candidates.filter { lines[$0].media.mid == mid }
        }
        guard let line = candidates.first else { return -1 }
        let others = bindings.filter { $0.line == line }
        if isMedia(view.payloadType, of: line) {
            bind(view.ssrc, line: line, others.contains { $0.role == .media } ? .other : .media)
        } else {
            // Whose retransmissions they are is not said: of the only source, or nobody knows.
            bind(view.ssrc, line: line, others.contains { $0.role != .media } ? .other : .rtx)
        }
        return bindings.count - 1
    }

    /// Of the line's codec, or of another that has been agreed on.
    private func isMedia(_ payloadType: UInt8, of line: Int) -> Bool {
        let media = lines[line].media
        return media.codec?.payloadType == payloadType || media.alternatives.contains { $0.codec.payloadType == payloadType }
    }

    /// Whether a further source of a line takes the place of the line's own: when that one has ended, has been silent for long, or has never
    /// come. Two at a time would be mixed into one track, which no decoder can take apart.
    @inline(never)
    private func mayReplace(_ line: Int, _ view: RTPView, at now: Instant) -> Bool {
        guard isMedia(view.payloadType, of: line) else { return false }
        let otherSince = lines[line].otherSince ?? now
        lines[line].otherSince = otherSince
        let track = lines[line].track
        let isSilent = lines[line].hasMedia
            ? now.span(since: track.lastArrival) >= Self.sourceSilence : now.span(since: otherSince) >= Self.namedPatience
        return isSilent || lines[line].isOver
    }

    /// From now on `ssrc` is the line's source. Returns its binding.
    private func replace(_ line: Int, by ssrc: UInt32) -> Int {
        lines[line].isOver = false
        // Others that are still there are learned anew.
        bindings.removeAll { $0.line == line }
        if let rtx = lines[line].media.remoteSources.first(where: { $0.ssrc == ssrc })?.rtx { bind(rtx, line: line, .rtx) }
        bind(ssrc, line: line, .media)
        return bindings.count - 1
    }

    override func receiveRTCP(_ packets: [RTCPPacket], transport: Int, arena: SendArena, at now: Instant) {
        for case .goodbye(let goodbye) in packets {
            for i in lines.indices where goodbye.ssrcs.contains(lines[i].track.ssrc) { lines[i].isOver = true }
        }
        for case .senderReport(let report) in packets {
            for line in lines where line.track.ssrc == report.senderSSRC {
                line.track.receiveReport(ntp: report.ntpTimestamp, timestamp: report.rtpTimestamp, at: now)
                line.track.reception.receiveSenderReport(ntpTimestamp: report.ntpTimestamp, at: now)
            }
        }
        for case .extendedReport(let report) in packets { receive(report, at: now) }
    }

    /// The answer to a reference time of ours: how long the way to the publisher and back takes.
    private func receive(_ report: ExtendedReport, at now: Instant) {
        for line in lines {
            guard let answer = report.answer(to: line.media.localSSRC) else { continue }
            guard let sent = sentReferences.last(where: { $0.middle == answer.reference }) else { return }
            let roundTrip = now.span(since: sent.at) - answer.delay
            if roundTrip >= .zero, roundTrip < .seconds(10) { roundTripMilliseconds = roundTrip.fractionalMilliseconds }
            return
        }
    }

    // MARK: start of the stream

    /// PUBLISHING may be said once every track that was agreed on has come, or one of them and the others keep silent.
    private func startIfComplete(arena: SendArena, at now: Instant) {
        guard !started, isConnected else { return }
        if mediaSince == nil, lines.contains(where: \.hasMedia) { mediaSince = now }
        guard let mediaSince else { return }
        let complete = lines.allSatisfy { $0.hasMedia && ($0.track.kind == .audio || $0.track.keyFrames > $0.keyFramesBefore) }
        guard complete || now.span(since: mediaSince) >= Self.startPatience else { return }
        started = true
        // Servers accept audio that they have not got yet: it is no part of the stream before it comes.
        if isPull, lines.contains(where: { $0.track.kind == .audio && !$0.hasMedia }) {
            for i in lines.indices where lines[i].track.kind == .audio && !lines[i].hasMedia { lines[i].isAwaited = true }
            setTracks()
        }
        stream.markReady()
        let video = lines.first { $0.track.kind == .video }
        tell(
            .mediaStarted(
                MediaInfo(
                    audioCodec: lines.first { $0.track.kind == .audio && !$0.isAwaited }?.track.format.codec.name,
                    videoCodec: video?.track.format.codec.name,
                    width: video?.track.width ?? 0, height: video?.track.height ?? 0)))
    }

    // MARK: feedback

    public func keyFrameWanted(of track: UplinkTrack, arena: SendArena, at now: Instant) {
        guard isConnected, let line = lines.first(where: { $0.track === track }), track.ssrc != 0 else { return }
        guard track.mayRequestKeyFrame(gap: timing.keyFrameGap, repeatAfter: Self.keyFrameRepeat, at: now) else { return }
        let request: RTCPPacket
        if line.media.pli || !line.media.fir {
            request = .pictureLossIndication(senderSSRC: line.media.localSSRC, mediaSSRC: track.ssrc)
        } else {
            request = .fullIntraRequest(
                FullIntraRequest(
                    senderSSRC: line.media.localSSRC,
                    entries: [.init(ssrc: track.ssrc, sequenceNumber: UInt8(truncatingIfNeeded: track.keyFrameRequests))]))
        }
        sendFeedback([request], line, arena: arena)
    }

    private func sendFeedback(_ packets: [RTCPPacket], _ line: Line, arena: SendArena) {
        // Compound packets begin with a report (RFC 3550 §6.1); an empty one costs eight bytes and is right everywhere.
        sendRTCP(
            [.receiverReport(ReceiverReport(senderSSRC: line.media.localSSRC, reports: []))] + packets,
            transport: line.transport, arena: arena)
    }

    override func periodic(arena: SendArena, at now: Instant) {
        guard isConnected else { return }
        startIfComplete(arena: arena, at: now)
        if now.span(since: max(lastPacket, connectedAt)) > timing.activityTimeout { return fail(.rtpActivity) }
        if let count = stream.clocks.toTell(at: now) { tell(.clockJumped(count: count)) }
        if stream.clocks.isBeyondReason(at: now) { return fail(.timestampJumps(perMinute: SourceClockGroup.maximumPerMinute)) }

        for i in lines.indices {
            let track = lines[i].track
            track.updateRates(at: now)
            guard track.ssrc != 0 else { continue }
            if lines[i].media.nack {
                track.nack.tellsRetransmissions = lines[i].media.rtx != nil
                let missing = track.nack.pending(at: now, rtt: .milliseconds(Int64(roundTripMilliseconds ?? 50)))
                if !missing.isEmpty {
                    track.nacksSent &+= UInt64(missing.count)
                    let nack = NACK(senderSSRC: lines[i].media.localSSRC, mediaSSRC: track.ssrc, sequenceNumbers: missing)
                    for part in nack.split() { sendFeedback([.nack(part)], lines[i], arena: arena) }
                }
                if track.nack.needsKeyFrame {
                    track.nack.needsKeyFrame = false
                    track.breakOff()
                }
            }
            if track.isRefreshDue(interval: timing.refreshInterval, at: now) { track.requestKeyFrame() }
            if track.wantsKeyFrame { keyFrameWanted(of: track, arena: arena, at: now) }
            if track.format.isReordered, !lines[i].isReordered {
                lines[i].isReordered = true
                stream.noteOtherForms()
            }
            if track.kind == .video, track.width != lines[i].toldWidth || track.height != lines[i].toldHeight, started {
                lines[i].toldWidth = track.width
                lines[i].toldHeight = track.height
                tell(.resized(width: track.width, height: track.height))
            }
        }
        if timing.keyFrameInterval > .zero, now >= nextPeriodicKeyFrame {
            nextPeriodicKeyFrame = now + timing.keyFrameInterval
            for line in lines { line.track.requestKeyFrame() }
        }
        if transportSequenceID != 0, now >= nextFeedback, let line = lines.first {
            nextFeedback = now + Self.feedbackInterval
            let mediaSSRC = lines.last?.track.ssrc ?? 0
            while let feedback = recorder.makeFeedback(
                senderSSRC: line.media.localSSRC, mediaSSRC: mediaSSRC, at: now)
            {
                sendFeedback([.transportFeedback(feedback)], line, arena: arena)
            }
        }
        if now >= nextReport {
            nextReport = now + .seconds(1)
            sendReports(arena: arena, at: now)
        }
        deadline = min(deadline, now + Self.tick)
    }

    private func sendReports(arena: SendArena, at now: Instant) {
        var asksForRoundTrip = true
        for i in lines.indices where lines[i].track.ssrc != 0 {
            let media = lines[i].media
            let block = lines[i].track.reception.makeReportBlock(ssrc: lines[i].track.ssrc, at: now)
            var packets: [RTCPPacket] = [
                .receiverReport(ReceiverReport(senderSSRC: media.localSSRC, reports: [block])),
                .sourceDescription(SourceDescription(ssrc: media.localSSRC, cname: "martlet")),
            ]
            if asksForRoundTrip {
                asksForRoundTrip = false
                // Any clock will do: the publisher only gives its middle bits back.
                let reference = WallTime(nanoseconds: now.nanoseconds).ntp
                sentReferences.append((UInt32(truncatingIfNeeded: reference >> 16), now))
                if sentReferences.count > 16 { sentReferences.removeFirst(8) }
                packets.append(.extendedReport(.referenceTime(senderSSRC: media.localSSRC, ntp: reference)))
            }
            // Browsers keep below it beside transport-cc as well; without that they have no other way to learn what is welcome.
            if media.remb, let limit = options.publisherLimit {
                packets.append(
                    .receiverEstimatedMaximumBitrate(
                        ReceiverEstimatedMaximumBitrate(
                            senderSSRC: media.localSSRC, bitrate: UInt64(limit), ssrcs: [lines[i].track.ssrc])))
            }
            sendRTCP(packets, transport: lines[i].transport, arena: arena)
        }
    }

    public override func detach() {
        if stream.source === self { stream.sourceLeft() }
    }

    public override func statistics() -> EndpointStatistics {
        var result = super.statistics()
        if result.roundTripMilliseconds == nil, let measured = lines.map(\.track.nack.roundTrip).max(), measured > .zero {
            result.roundTripMilliseconds = measured.fractionalMilliseconds
        }
        for line in lines {
            var track = line.track.statistics()
            track.otherSourcePackets = line.otherPackets
            if line.track.kind == .video { result.video = track } else { result.audio = track }
        }
        return result
    }
}
