// SPDX-License-Identifier: Apache-2.0
// A publisher of the load generator: sends a StreamShape in real time, one system call a packet as browsers do, answers
// NACK and key frame requests, sends reports.
import DTLS
import Glibc
import Primitives
import RTP
import SDP
import WebRTC

final class LoadPublisher: LoadClient {
    /// What a publisher has done.
    struct Counters: Sendable {
        var packets: UInt64 = 0
        var keyFrames: UInt64 = 0
        var keyFrameRequests: UInt64 = 0
        var retransmissions: UInt64 = 0
    }

    private struct Track {
        let media: NegotiatedMedia
        var sequence: Int64
        var counter: UInt64 = 0
        var timestamp: UInt32
        /// What went out lately, encrypted, to be sent again as it is.
        var sent: [[UInt8]]
    }

    private static let historyLength = 512

    private let stream: UInt32
    private let shape: StreamShape
    private var audio: Track?
    private var video: Track?
    /// A packet of the picture that is being sent.
    private struct Fragment {
        let length: Int
        let frame: UInt32
        let packetsInFrame: UInt16
        let isKeyFrame: Bool
        let isFirst: Bool
        let isLast: Bool
        let timestamp: UInt32
    }

    private var waiting: [Fragment] = []
    private var nextBurst: Int64 = .max
    private static let burstInterval: Int64 = 5_000_000

    private var frameIndex = 0
    private var frameNumber: UInt32 = 0
    private var wantsKeyFrame = true
    private var nextVideo: Int64 = .max
    private var nextAudio: Int64 = .max
    private var nextReport: Int64 = 0
    private(set) var counters = Counters()
    private let buffer = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 64)

    /// - Parameter stream: number in the packets' stamps.
    init(id: LoadClientID, stream: UInt32, shape: StreamShape, certificate: DTLSCertificate, core: LoadCore) throws {
        self.stream = stream
        self.shape = shape
        let (socket, configuration) = try Self.open(certificate, gro: core.gro)
        let connection: PeerConnection
        do {
            connection = try PeerConnection.offerSending(
                tracks: Self.formats(shape), streamID: "load", configuration: configuration, random: .system)
        } catch {
            close(socket)
            throw error
        }
        super.init(id: id, socket: socket, connection: connection)
    }

    deinit { buffer.deallocate() }

    private static func formats(_ shape: StreamShape) -> [TrackFormat] {
        let h264 = Codec(
            payloadType: 108, name: "H264", clockRate: 90_000,
            parameters: ["level-asymmetry-allowed": "1", "packetization-mode": "1", "profile-level-id": "42e01f"],
            feedback: ["goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"])
        let opus = Codec(
            payloadType: 111, name: "opus", clockRate: 48_000, channels: 2, parameters: ["minptime": "10", "useinbandfec": "1"],
            feedback: ["transport-cc"])
        return (shape.audioBytes > 0 ? [TrackFormat(kind: .audio, codec: opus)] : []) + [TrackFormat(kind: .video, codec: h264)]
    }

    override func setAnswer(_ answer: String, _ core: LoadCore) throws {
        try super.setAnswer(answer, core)
        for media in connection.media where media.isActive {
            let track = Track(
                media: media, sequence: Int64.random(in: 1...0x6fff), timestamp: UInt32.random(in: 0...UInt32.max),
                sent: Array(repeating: [], count: Self.historyLength))
            if media.kind == .video { video = track } else { audio = track }
        }
    }

    override func connected(_ core: LoadCore) {
        // Streams must not all have their pictures at one moment.
        let phase = Int64.random(in: 0..<40_000_000)
        nextVideo = LoadClock.now() + phase
        nextAudio = audio == nil ? .max : nextVideo + 3_000_000
        mediaDeadline = min(nextVideo, nextAudio)
    }

    // MARK: media

    /// Sends no more media; the connection stays.
    func pause() { (nextVideo, nextAudio, nextBurst, mediaDeadline) = (.max, .max, .max, .max) }

    override func sendMedia(_ core: LoadCore) {
        let now = core.now
        if nextAudio <= now {
            sendAudio()
            nextAudio = Self.following(nextAudio, 20_000_000, now)
        }
        if nextVideo <= now {
            queuePicture()
            nextVideo = Self.following(nextVideo, 1_000_000_000 / Int64(shape.framesPerSecond), now)
            if nextBurst == .max { nextBurst = now }
        }
        if nextBurst <= now { sendBurst(now) }
        mediaDeadline = min(nextVideo, nextAudio, nextBurst)
    }

    /// The next time of a regular beat; what a stall has cost is not made up for.
    private static func following(_ due: Int64, _ interval: Int64, _ now: Int64) -> Int64 {
        let next = due + interval
        return now - next > 200_000_000 ? now + interval : next
    }

    private func sendAudio() {
        guard audio != nil else { return }
        let length = shape.audioBytes
        let sentAt = LoadClock.now()
        PacketContent.writeAudio(
            Stamp(stream: stream, counter: audio!.counter, frame: 0, packetsInFrame: 1, isKeyFrame: false, sentAt: sentAt),
            length: length, to: buffer)
        send(&audio!, length: length, timestamp: audio!.timestamp, marker: false)
        audio!.timestamp &+= 960
    }

    /// Cuts the next picture into packets. What a paced publisher has not sent of the last one goes first.
    private func queuePicture() {
        guard video != nil else { return }
        let isDue = shape.isKeyOnDemand ? frameNumber == 0 : frameIndex % StreamShape.keyFrameInterval == 0
        let isKey = isDue || wantsKeyFrame
        if isKey {
            // Behind a key frame out of turn the recording begins anew.
            if !isDue { frameIndex = 0 }
            wantsKeyFrame = false
            counters.keyFrames += 1
        }
        var index = frameIndex % shape.frames.count
        // On demand only: in the loop the recorded key frames' places are taken by ordinary frames.
        if shape.isKeyOnDemand, !isKey, index % StreamShape.keyFrameInterval == 0 { index += StreamShape.keyFrameInterval - 1 }
        let payloads = StreamShape.payloads(of: shape.frames[index])
        let total = UInt16(payloads.count + (isKey ? 1 : 0))
        func add(_ length: Int, isFirst: Bool, isLast: Bool) {
            waiting.append(
                Fragment(
                    length: length, frame: frameNumber, packetsInFrame: total, isKeyFrame: isKey, isFirst: isFirst, isLast: isLast,
                    timestamp: video!.timestamp))
        }
        // Length 0: the parameter sets.
        if isKey { add(0, isFirst: false, isLast: false) }
        for (i, length) in payloads.enumerated() { add(length, isFirst: i == 0, isLast: i == payloads.count - 1) }
        video!.timestamp &+= 90_000 / UInt32(shape.framesPerSecond)
        frameIndex += 1
        frameNumber &+= 1
    }

    /// Sends what may leave now: everything, or the share of 5 ms.
    private func sendBurst(_ now: Int64) {
        var sent = 0, bytes = 0
        while sent < waiting.count, shape.pacedBytes == 0 || bytes < shape.pacedBytes {
            bytes += waiting[sent].length
            send(waiting[sent])
            sent += 1
        }
        waiting.removeFirst(sent)
        nextBurst = waiting.isEmpty ? .max : now + Self.burstInterval
    }

    private func send(_ fragment: Fragment) {
        guard video != nil else { return }
        let stamp = Stamp(
            stream: stream, counter: video!.counter, frame: fragment.frame, packetsInFrame: fragment.packetsInFrame,
            isKeyFrame: fragment.isKeyFrame, sentAt: LoadClock.now())
        if fragment.length == 0 {
            PacketContent.writeParameterSets(stamp, to: buffer)
            send(&video!, length: PacketContent.parameterSetsLength, timestamp: fragment.timestamp, marker: false)
        } else {
            PacketContent.writeFragment(
                stamp, length: fragment.length, isFirst: fragment.isFirst, isLast: fragment.isLast, to: buffer)
            send(&video!, length: fragment.length, timestamp: fragment.timestamp, marker: fragment.isLast)
        }
    }

    /// Sends the payload in `buffer`.
    private func send(_ track: inout Track, length: Int, timestamp: UInt32, marker: Bool) {
        guard let sender = transport?.srtpSender, let remote = transport?.remote, let codec = track.media.codec else { return }
        var header: (UInt64, UInt32) = (0, 0)
        let packet = [UInt8](unsafeUninitializedCapacity: 12 + length + 32) { output, count in
            withUnsafeMutableBytes(of: &header) { bytes in
                var writer = RTPHeaderWriter(into: bytes)
                writer.writeFixed(
                    marker: marker, payloadType: codec.payloadType, sequenceNumber: UInt16(truncatingIfNeeded: track.sequence),
                    timestamp: timestamp, ssrc: track.media.localSSRC)
                count = max(
                    0,
                    sender.protectRTP(
                        header: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[..<12]),
                        payload: UnsafeRawBufferPointer(start: buffer, count: length), paddingLength: 0, ssrc: track.media.localSSRC,
                        index: UInt64(track.sequence), into: output.baseAddress!))
            }
        }
        packet.withUnsafeBytes { send($0, to: remote) }
        track.sent[Int(track.sequence) % Self.historyLength] = packet
        track.sequence += 1
        track.counter += 1
        counters.packets += 1
    }

    // MARK: feedback

    override func receiveRTCP(_ packets: [RTCPPacket], _ core: LoadCore) {
        for packet in packets {
            switch packet {
            case .nack(let nack):
                guard let track = [audio, video].compactMap({ $0 }).first(where: { $0.media.localSSRC == nack.mediaSSRC }) else { continue }
                for sequence in nack.sequenceNumbers { sendAgain(sequence, of: track) }
            case .pictureLossIndication, .fullIntraRequest:
                wantsKeyFrame = true
                counters.keyFrameRequests += 1
            default: break
            }
        }
    }

    private func sendAgain(_ sequence: UInt16, of track: Track) {
        let distance = Int64(Int16(bitPattern: UInt16(truncatingIfNeeded: track.sequence) &- sequence))
        guard distance > 0, distance < Int64(Self.historyLength), let remote = transport?.remote else { return }
        let packet = track.sent[Int(track.sequence - distance) % Self.historyLength]
        guard !packet.isEmpty else { return }
        counters.retransmissions += 1
        packet.withUnsafeBytes { send($0, to: remote) }
    }

    override func periodic(_ core: LoadCore) {
        guard core.now >= nextReport else { return }
        nextReport = core.now + 1_000_000_000
        let ntp = WallTime(nanoseconds: LoadClock.now() + LoadClock.realtimeOffset()).ntp
        for track in [audio, video].compactMap({ $0 }) where track.counter > 0 {
            sendRTCP([
                .senderReport(
                    SenderReport(
                        senderSSRC: track.media.localSSRC, ntpTimestamp: ntp, rtpTimestamp: track.timestamp,
                        packetCount: UInt32(truncatingIfNeeded: track.counter), octetCount: 0, reports: [])),
                .sourceDescription(SourceDescription(ssrc: track.media.localSSRC, cname: "load")),
            ])
        }
    }
}
