// SPDX-License-Identifier: Apache-2.0
// A tap's records as the RTP and RTCP of one client: in order, from a key frame on, with reports of our own before the first packet.
// Sans-IO; one client's task only.
import MediaIO
import Primitives
import RTP
import SDP

struct RTPForwarder {
    struct Packet: Equatable {
        var track: Int
        var isReport: Bool
        var bytes: [UInt8]
    }

    /// How a client knows a track: kept while it pauses, so that the track goes on as the same one.
    struct Numbering: Equatable {
        var ssrc: UInt32
        /// Of the next packet to go out, and what the source calls it; `nil`: there was none yet.
        var next: UInt16?
        var source: UInt16?
        var packets: UInt32 = 0
        var octets: UInt32 = 0
    }

    /// A missing packet is waited for by this much; what WebRTC repairs comes within it.
    static let patience = TimeSpan.milliseconds(150)
    static let maximumWaiting = 512
    /// Packets further apart than this are of a source that has begun anew.
    static let maximumReturn: Int16 = 3000
    /// The source's reports are waited for by this much before the first packet, and no longer than until so many bytes are held.
    static let reportPatience = TimeSpan.seconds(1)
    static let maximumHeld = 1 << 20
    /// Sound may lie this far before the first picture; reports may be off by less.
    static let earlySound = TimeSpan.milliseconds(100)
    /// Ours are sent this often.
    static let reportInterval = TimeSpan.seconds(1)
    /// From one to the next they move a track by so much at most: clients set their clocks by each, and a step back by a packet's length
    /// would give two packets the same time.
    static let maximumBend = TimeSpan.milliseconds(1)
    /// A difference from here on is another clock, which is taken at once.
    static let otherClock = TimeSpan.seconds(1)

    private struct Track {
        let codec: CodecKind
        let payloadType: UInt8
        var numbering: Numbering
        /// From the source's numbers to those that go out; `nil`: the first packet to go out decides.
        var shift: UInt16?
        var isWanted: Bool
        /// The first packets wait for its reports.
        var isAwaited: Bool
        var isStarted: Bool
        /// What comes before this number of the source has been sent already; `nil` from there on.
        var resumes: UInt16?
        /// When the next report is due, by the arrival of packets; `nil`: with the next one.
        var nextReport: Instant?
        /// Time less media time, as last reported.
        var reportedOffset: TimeSpan?
        /// The source's number of the next packet to go out.
        var next: UInt16?
        var waiting: [UInt16: (bytes: [UInt8], arrival: Instant)] = [:]
    }

    private var tracks: [Track]
    /// Where the source's reports put each packet. Those of a browser are up to 50 ms off, each on its own; handed on as they are, they
    /// would make clients jump.
    private var timeline: StreamTimeline
    /// The wall clock less that of arrivals.
    private let wallOffset: TimeSpan
    private var held: [TapRecord] = [], heldBytes = 0
    private var firstArrival: Instant?
    private var hasBegun = false
    /// When the newest record arrived, on the monotonic clock.
    private(set) var newestArrival = Instant.zero

    /// - Parameters:
    ///   - wanted: the tracks that the client has set up.
    ///   - silent: those of which nothing comes at present.
    ///   - wallOffset: from 1970 to the zero of the monotonic clock.
    ///   - before: what the client knows the tracks by, where it has played them before.
    init(
        formats: [TrackFormat], payloadTypes: [UInt8], wanted: Set<Int>, silent: Set<Int> = [], wallOffset: TimeSpan,
        continuing before: [Numbering] = [], random: inout RandomSource
    ) {
        tracks = []
        timeline = StreamTimeline(clockRates: formats.map(\.codec.clockRate))
        self.wallOffset = wallOffset
        for (index, (format, payloadType)) in zip(formats, payloadTypes).enumerated() {
            let codec = CodecKind(encodingName: format.codec.name)
            let fresh = Numbering(ssrc: UInt32.random(in: 1...UInt32.max, using: &random))
            let shift = UInt16.random(in: 0...UInt16.max, using: &random)
            let numbering = before.indices.contains(index) ? before[index] : fresh
            tracks.append(Track(
                codec: codec, payloadType: payloadType, numbering: numbering, shift: numbering.next == nil ? shift : nil,
                isWanted: wanted.contains(index), isAwaited: wanted.contains(index) && !silent.contains(index), isStarted: !codec.isVideo,
                resumes: numbering.source))
        }
    }

    /// For who goes on after this one.
    var numbering: [Numbering] { tracks.map(\.numbering) }

    mutating func take(_ bytes: [UInt8]) -> [Packet] {
        var rest = bytes[...], output: [Packet] = []
        while let record = TapRecord.next(in: &rest) {
            guard tracks.indices.contains(record.track), tracks[record.track].isWanted else { continue }
            newestArrival = max(newestArrival, record.arrival)
            if firstArrival == nil { firstArrival = record.arrival }
            note(record)
            if hasBegun { take(record, &output) } else { hold(record, &output) }
        }
        for index in tracks.indices { release(index, &output) }
        return output
    }

    private mutating func note(_ record: TapRecord) {
        switch record.content {
        case .report(let ntp, let timestamp): timeline.report(ntp: ntp, timestamp: timestamp, track: record.track, arrival: record.arrival)
        case .restart:
            timeline.restart()
            for index in tracks.indices { (tracks[index].nextReport, tracks[index].reportedOffset) = (nil, nil) }
        case .packet(_, _, let rtp):
            guard rtp.count > 12 else { return }
            timeline.note(Self.timestamp(rtp), track: record.track, arrival: record.arrival)
        }
    }

    private static func timestamp(_ packet: some Collection<UInt8>) -> UInt32 { packet.dropFirst(4).prefix(4).reduce(0) { $0 << 8 | UInt32($1) } }

    /// Without reports a client can't put sound and picture together: the first packets follow them.
    private mutating func hold(_ record: TapRecord, _ output: inout [Packet]) {
        held.append(record)
        // A record is no longer than a packet, and few are held: this can't overflow.
        if case .packet(_, _, let rtp) = record.content { heldBytes += rtp.count }
        let isComplete = tracks.indices.allSatisfy { !tracks[$0].isAwaited || timeline.hasReports(of: $0) }
        let waited = record.arrival.span(since: firstArrival ?? record.arrival)
        guard isComplete || waited >= Self.reportPatience || heldBytes > Self.maximumHeld || held.count > 4096 else { return }
        hasBegun = true
        timeline.settle()
        let records = withoutEarlySound(held)
        (held, heldBytes) = ([], 0)
        for record in records {
            guard case .packet(_, _, let rtp) = record.content, rtp.count > 12, tracks[record.track].nextReport == nil else { continue }
            report(record.track, timestamp: Self.timestamp(rtp), at: record.arrival, &output)
        }
        for record in records { take(record, &output) }
    }

    /// Sound that lies before the first picture: with what a source has sent at once much of it may have come. Clients would wait for the picture.
    private mutating func withoutEarlySound(_ records: [TapRecord]) -> [TapRecord] {
        var start: Instant?
        for record in records where start == nil && tracks[record.track].codec.isVideo {
            guard case .packet(_, _, let rtp) = record.content, rtp.count > 12, Self.isKeyFrameStart(Array(rtp), tracks[record.track].codec)
            else { continue }
            start = time(of: rtp, track: record.track)
        }
        guard let start else { return records }
        return records.filter { record in
            guard case .packet(_, _, let rtp) = record.content, rtp.count > 12, !tracks[record.track].codec.isVideo,
                let time = time(of: rtp, track: record.track)
            else { return true }
            return start.span(since: time) <= Self.earlySound
        }
    }

    private mutating func time(of packet: some Collection<UInt8>, track: Int) -> Instant? {
        timeline.time(timeline.media(Self.timestamp(packet), track: track), track: track)
    }

    private static func isKeyFrameStart(_ packet: [UInt8], _ codec: CodecKind) -> Bool {
        packet.withUnsafeBytes { PayloadInspector.isKeyFrameStart(codec: codec, payload: UnsafeRawBufferPointer(rebasing: $0[12...])) }
    }

    private mutating func report(_ index: Int, timestamp: UInt32, at arrival: Instant, _ output: inout [Packet]) {
        let media = timeline.media(timestamp, track: index)
        guard let found = timeline.time(media, track: index) else { return }
        let mediaTime = Instant(nanoseconds: media.nanoseconds)
        var offset = found.span(since: mediaTime)
        if let before = tracks[index].reportedOffset, (offset - before).magnitude < Self.otherClock {
            offset = max(before - Self.maximumBend, min(before + Self.maximumBend, offset))
        }
        tracks[index].reportedOffset = offset
        let time = mediaTime + offset
        tracks[index].nextReport = arrival + Self.reportInterval
        let numbering = tracks[index].numbering
        let report = SenderReport(
            senderSSRC: numbering.ssrc, ntpTimestamp: (WallTime(nanoseconds: time.nanoseconds) + wallOffset).ntp, rtpTimestamp: timestamp,
            packetCount: numbering.packets, octetCount: numbering.octets, reports: [])
        output.append(Packet(
            track: index, isReport: true,
            bytes: RTCP.serialize([.senderReport(report), .sourceDescription(SourceDescription(ssrc: numbering.ssrc, cname: "martlet"))])))
    }

    private mutating func take(_ record: TapRecord, _ output: inout [Packet]) {
        let index = record.track
        switch record.content {
        case .restart, .report: break
        case .packet(_, _, let rtp):
            guard rtp.count > 12 else { return }
            let packet = Array(rtp)
            let number = UInt16(packet[2]) << 8 | UInt16(packet[3])
            if !tracks[index].isStarted {
                tracks[index].isStarted = Self.isKeyFrameStart(packet, tracks[index].codec)
            }
            if let resumes = tracks[index].resumes {
                let distance = Int16(bitPattern: number &- resumes)
                if distance < 0, distance > -Self.maximumReturn { return }
                if tracks[index].isStarted { tracks[index].resumes = nil }
            }
            guard tracks[index].isStarted else { return }
            let next = tracks[index].next ?? number
            tracks[index].next = next
            // What lies in the past has been given up, or came twice.
            let distance = Int16(bitPattern: number &- next)
            if distance < 0, distance > -Self.maximumReturn { return }
            if distance < 0 || distance > Self.maximumReturn {
                tracks[index].waiting = [:]
                tracks[index].next = number
            }
            tracks[index].waiting[number] = (packet, record.arrival)
            release(index, &output)
        }
    }

    private mutating func release(_ index: Int, _ output: inout [Packet]) {
        while let next = tracks[index].next, !tracks[index].waiting.isEmpty {
            if let found = tracks[index].waiting.removeValue(forKey: next) {
                tracks[index].next = next &+ 1
                if tracks[index].nextReport.map({ found.arrival >= $0 }) ?? true { report(index, timestamp: Self.timestamp(found.bytes), at: found.arrival, &output) }
                output.append(finished(index, found.bytes))
                continue
            }
            let oldest = tracks[index].waiting.values.map(\.arrival).min() ?? newestArrival
            guard newestArrival.span(since: oldest) > Self.patience || tracks[index].waiting.count > Self.maximumWaiting else { return }
            let nearest = tracks[index].waiting.keys.min { ($0 &- next) < ($1 &- next) }
            tracks[index].next = nearest
        }
    }

    private mutating func finished(_ index: Int, _ packet: [UInt8]) -> Packet {
        var bytes = packet
        let source = UInt16(packet[2]) << 8 | UInt16(packet[3])
        let shift = tracks[index].shift ?? (tracks[index].numbering.next ?? source) &- source
        tracks[index].shift = shift
        let number = source &+ shift, ssrc = tracks[index].numbering.ssrc
        bytes[0] = 0x80
        bytes[1] = packet[1] & 0x80 | tracks[index].payloadType
        bytes[2] = UInt8(number >> 8)
        bytes[3] = UInt8(number & 0xff)
        for offset in 0..<4 { bytes[8 + offset] = UInt8(ssrc >> UInt32(24 - 8 * offset) & 0xff) }
        (tracks[index].numbering.next, tracks[index].numbering.source) = (number &+ 1, source &+ 1)
        tracks[index].numbering.packets &+= 1
        // Longer than its head, which `take` has seen to, and no longer than a datagram.
        tracks[index].numbering.octets &+= UInt32(packet.count - 12)
        return Packet(track: index, isReport: false, bytes: bytes)
    }
}
