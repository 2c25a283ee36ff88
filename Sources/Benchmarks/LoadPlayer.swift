// SPDX-License-Identifier: Apache-2.0
// A player of the load generator: takes a stream, decrypts every packet, checks that nothing is missing, doubled, mixed
// up or changed, and gives the feedback a browser gives. Decodes nothing.
import DTLS
import Glibc
import Primitives
import RTP
import SDP
import WebRTC

/// What a player has counted since it began.
struct PlayerCounters: Sendable {
    var packets: UInt64 = 0
    var bytes: UInt64 = 0
    /// Sequence numbers passed, whether their packets came or not.
    var expected: UInt64 = 0
    var retransmissions: UInt64 = 0
    var duplicates: UInt64 = 0
    /// Packets whose content is not what the publisher put in.
    var corrupt: UInt64 = 0
    /// Packets of the publisher that were left out although no sequence number is missing.
    var skipped: UInt64 = 0
    var keyFrameRequests: UInt64 = 0
    var nacks: UInt64 = 0
    var frames: UInt64 = 0
    /// ns; 0 = not yet.
    var connectedAt: Int64 = 0
    var firstPacketAt: Int64 = 0
    /// First packet of the first key frame, and when the publisher had sent it.
    var keyFrameAt: Int64 = 0
    var keyFrameSentAt: Int64 = 0
    /// All packets of that key frame are there.
    var firstFrameAt: Int64 = 0

    static func += (a: inout PlayerCounters, b: PlayerCounters) {
        a.packets += b.packets
        a.bytes += b.bytes
        a.expected += b.expected
        a.retransmissions += b.retransmissions
        a.duplicates += b.duplicates
        a.corrupt += b.corrupt
        a.skipped += b.skipped
        a.keyFrameRequests += b.keyFrameRequests
        a.nacks += b.nacks
        a.frames += b.frames
    }

    /// What has been added since `earlier`.
    func since(_ earlier: PlayerCounters) -> PlayerCounters {
        var d = PlayerCounters()
        d.packets = packets - earlier.packets
        d.bytes = bytes - earlier.bytes
        d.expected = expected - earlier.expected
        d.retransmissions = retransmissions - earlier.retransmissions
        d.duplicates = duplicates - earlier.duplicates
        d.corrupt = corrupt - earlier.corrupt
        d.skipped = skipped - earlier.skipped
        d.keyFrameRequests = keyFrameRequests - earlier.keyFrameRequests
        d.nacks = nacks - earlier.nacks
        d.frames = frames - earlier.frames
        return d
    }
}

final class LoadPlayer: LoadClient {
    private struct Track {
        let isVideo: Bool
        let media: NegotiatedMedia
        var ssrc: UInt32 = 0
        var sequence = SequenceCheck()
        /// Publisher's counter minus sequence number: constant as long as the server leaves nothing out.
        var offset: Int64?
        var nack = NACKGenerator()
        var reception: ReceiverStatistics
        var keyFrame: UInt32?
        var keyFramePackets = 0
    }

    private let stream: UInt32
    private var tracks: [Track] = []
    private(set) var counters = PlayerCounters()
    private var nextReport: Int64 = 0
    /// Arrivals by transport-wide number, over all tracks.
    private var arrivals = TransportFeedbackRecorder()
    private var transportSequenceID: UInt8 = 0
    private var nextFeedback: Int64 = 0
    /// As browsers report.
    private static let feedbackInterval: Int64 = 100_000_000

    /// - Parameter stream: number that the packets' stamps must carry.
    init(id: LoadClientID, stream: UInt32, certificate: DTLSCertificate, core: LoadCore) throws {
        self.stream = stream
        let (socket, configuration) = try Self.open(certificate, gro: core.gro)
        let connection: PeerConnection
        do {
            connection = try PeerConnection.offerReceiving(
                kinds: [.audio, .video], configuration: configuration, random: .system)
        } catch {
            close(socket)
            throw error
        }
        super.init(id: id, socket: socket, connection: connection)
    }

    override func setAnswer(_ answer: String, _ core: LoadCore) throws {
        try super.setAnswer(answer, core)
        tracks = connection.media.compactMap { media in
            guard media.isActive, let codec = media.codec else { return nil }
            if media.transportCC { transportSequenceID = media.extensions[ExtensionURI.transportWideCC] ?? 0 }
            return Track(isVideo: media.kind == .video, media: media, reception: ReceiverStatistics(clockRate: UInt32(codec.clockRate)))
        }
    }

    override func connected(_ core: LoadCore) { counters.connectedAt = LoadClock.now() }

    // MARK: packets

    override func receiveRTP(_ packet: UnsafeMutableRawBufferPointer, at arrival: Int64, _ core: LoadCore) {
        guard let view = RTPView(UnsafeRawBufferPointer(packet)) else { return counters.corrupt += 1 }
        if transportSequenceID != 0, let number = view.extensionElement(id: transportSequenceID), number.count >= 2 {
            arrivals.record(sequence: UInt16(number[0]) << 8 | UInt16(number[1]), at: Instant(nanoseconds: arrival))
        }
        for i in tracks.indices {
            if view.payloadType == tracks[i].media.codec?.payloadType {
                return receive(view, payload: view.payload, sequence: view.sequenceNumber, track: i, isRetransmission: false, at: arrival, core)
            }
            if view.payloadType == tracks[i].media.rtx {
                let payload = view.payload
                guard payload.count >= 2 else { return }
                counters.retransmissions += 1
                return receive(
                    view, payload: UnsafeRawBufferPointer(rebasing: payload[2...]), sequence: UInt16(payload[0]) << 8 | UInt16(payload[1]),
                    track: i, isRetransmission: true, at: arrival, core)
            }
        }
        counters.corrupt += 1
    }

    private func receive(
        _ view: RTPView, payload: UnsafeRawBufferPointer, sequence: UInt16, track i: Int, isRetransmission: Bool, at arrival: Int64,
        _ core: LoadCore
    ) {
        let instant = Instant(nanoseconds: arrival)
        if !isRetransmission { tracks[i].ssrc = view.ssrc }
        tracks[i].nack.receive(sequence, isRetransmission: isRetransmission, at: instant)
        if !isRetransmission { tracks[i].reception.receive(sequence: sequence, timestamp: view.timestamp, at: instant) }
        let (number, passed, isNew) = tracks[i].sequence.receive(sequence)
        counters.expected += passed
        guard isNew else { return counters.duplicates += 1 }
        if counters.firstPacketAt == 0 { counters.firstPacketAt = arrival }
        counters.packets += 1
        counters.bytes += UInt64(payload.count)

        guard let stamp = Self.check(payload, isVideo: tracks[i].isVideo, stream: stream) else { return counters.corrupt += 1 }
        let offset = Int64(bitPattern: stamp.counter) - number
        if let known = tracks[i].offset, offset != known, !isRetransmission { counters.skipped += UInt64(abs(offset - known)) }
        if !isRetransmission { tracks[i].offset = offset }
        if stamp.sentAt >= core.window.from, stamp.sentAt < core.window.to {
            core.measured.note(stamp, bytes: payload.count, arrival: arrival, isRetransmission: isRetransmission)
        }
        guard tracks[i].isVideo else { return }
        if view.marker { counters.frames += 1 }
        if counters.firstFrameAt == 0, stamp.isKeyFrame { noteKeyFrame(stamp, track: i, at: arrival) }
    }

    private func noteKeyFrame(_ stamp: Stamp, track i: Int, at arrival: Int64) {
        if tracks[i].keyFrame != stamp.frame {
            guard tracks[i].keyFrame == nil else { return }
            tracks[i].keyFrame = stamp.frame
            counters.keyFrameAt = arrival
            counters.keyFrameSentAt = stamp.sentAt
        }
        tracks[i].keyFramePackets += 1
        if tracks[i].keyFramePackets == stamp.packetsInFrame { counters.firstFrameAt = arrival }
    }

    /// The stamp of a packet whose every byte is as its publisher made it.
    static func check(_ payload: UnsafeRawBufferPointer, isVideo: Bool, stream: UInt32) -> Stamp? {
        let start = PacketContent.stampOffset(payload, isVideo: isVideo)
        guard let base = payload.baseAddress, payload.count >= start + Stamp.length, let stamp = Stamp(reading: base + start),
            stamp.stream == stream
        else { return nil }
        let rest = start + Stamp.length
        guard memcmp(base + rest, Noise.bytes(stamp.counter), payload.count - rest) == 0 else { return nil }
        return stamp
    }

    // MARK: feedback

    override func receiveRTCP(_ packets: [RTCPPacket], _ core: LoadCore) {
        for case .senderReport(let report) in packets {
            for i in tracks.indices where tracks[i].ssrc == report.senderSSRC {
                tracks[i].reception.receiveSenderReport(ntpTimestamp: report.ntpTimestamp, at: Instant(nanoseconds: core.now))
            }
        }
    }

    override func periodic(_ core: LoadCore) {
        let now = Instant(nanoseconds: core.now)
        for i in tracks.indices where tracks[i].media.nack && tracks[i].nack.count > 0 {
            let missing = tracks[i].nack.pending(at: now, rtt: .milliseconds(20))
            guard !missing.isEmpty else { continue }
            counters.nacks += UInt64(missing.count)
            let media = tracks[i].media
            sendRTCP([
                .receiverReport(ReceiverReport(senderSSRC: media.localSSRC, reports: [])),
                .nack(NACK(senderSSRC: media.localSSRC, mediaSSRC: tracks[i].ssrc, sequenceNumbers: missing)),
            ])
        }
        for i in tracks.indices where tracks[i].nack.needsKeyFrame {
            tracks[i].nack.needsKeyFrame = false
            counters.keyFrameRequests += 1
            let media = tracks[i].media
            sendRTCP([
                .receiverReport(ReceiverReport(senderSSRC: media.localSSRC, reports: [])),
                .pictureLossIndication(senderSSRC: media.localSSRC, mediaSSRC: tracks[i].ssrc),
            ])
        }
        if transportSequenceID != 0, core.now >= nextFeedback, let media = tracks.first?.media {
            nextFeedback = core.now + Self.feedbackInterval
            while let feedback = arrivals.makeFeedback(
                senderSSRC: media.localSSRC, mediaSSRC: tracks.last?.ssrc ?? 0, at: now)
            {
                sendRTCP([.transportFeedback(feedback)])
            }
        }
        guard core.now >= nextReport else { return }
        nextReport = core.now + 1_000_000_000
        guard let own = tracks.first?.media.localSSRC else { return }
        let blocks = tracks.indices.filter { tracks[$0].ssrc != 0 }.map { tracks[$0].reception.makeReportBlock(ssrc: tracks[$0].ssrc, at: now) }
        sendRTCP([
            .receiverReport(ReceiverReport(senderSSRC: own, reports: blocks)),
            .sourceDescription(SourceDescription(ssrc: own, cname: "load")),
        ])
    }
}
