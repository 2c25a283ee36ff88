// SPDX-License-Identifier: Apache-2.0
// Frames of a stream for somebody inside the server: taken from a tap, put together, placed on one clock, bounded. Used by RTMP and
// the like.
import Primitives
import RTP
import SDP
import Synchronization

/// One track that a subscription brings.
public struct SubscribedTrack: Sendable {
    /// As SDP describes it.
    public let format: TrackFormat
    public let codec: CodecKind
    public var kind: MediaKind { codec.isVideo ? .video : .audio }
    /// Hz
    public var clockRate: Int { format.codec.clockRate }
    public var channels: Int { format.codec.channels }
    /// AAC: the AudioSpecificConfig.
    public var aacConfig: [UInt8] { format.aacConfig }
    /// Nothing came of it when the subscription began: there is no use in waiting for it.
    public let isSilent: Bool

    init(_ format: TrackFormat, isSilent: Bool = false) {
        self.format = format
        self.isSilent = isSilent
        codec = CodecKind(encodingName: format.codec.name)
    }
}

/// One frame of a subscription.
public struct SubscribedFrame: Sendable {
    /// Index into the subscription's tracks.
    public var track: Int
    /// H.264: Annex B, SPS and PPS in front of key frames. Audio: one frame as it lies in its packet.
    public var bytes: [UInt8]
    /// ns on one clock for all tracks; the first frame is at 0.
    public var time: Int64
    public var isKeyFrame: Bool
    /// When its last packet came, on the server's clock.
    public var arrival: Instant
}

/// The reading end: one task calls `next`.
public actor FrameSubscription {
    public enum Item: Sendable {
        case frame(SubscribedFrame)
        case resized(width: Int, height: Int)

        /// About how many bytes of memory it takes.
        var footprint: Int { if case .frame(let frame) = self { frame.bytes.count + 128 } else { 128 } }
    }

    /// Frames older than this are dropped up to a key frame.
    static let maximumAge = TimeSpan.seconds(4)
    /// Sender reports are waited for by this much.
    static let reportPatience = TimeSpan.seconds(1)
    static let keyFrameGap = TimeSpan.seconds(1)

    private struct Lane {
        let track: SubscribedTrack
        var assembler: FrameAssembler
        /// Of video.
        var gate = EntryGate()
        var parameterSets: [[UInt8]]
        var size: (width: Int, height: Int)?
    }
    private struct Waiting {
        var lane: Int
        var frame: EncodedFrame
        var arrival: Instant
    }

    public nonisolated let tracks: [SubscribedTrack]
    private let pipe: PacketPipe
    private nonisolated let signal: WakeSignal
    private let requestKeyFrame: @Sendable () -> Void
    /// By the tap's track numbers; `nil` = not wanted.
    private var lanes: [Lane]
    private let laneOfTrack: [Int?]
    private var timeline: StreamTimeline
    private var waiting: [Waiting] = []
    /// Newest first.
    private var ready: [Item] = []
    /// Bytes of `ready`.
    private nonisolated let readyBytes = Atomic<Int>(0)
    private var firstArrival: Instant?
    private var now = Instant.zero
    /// Time 0 of the frames, on the server's clock.
    public private(set) var origin: Instant?
    private var hasBegun = false, hasGiven = false
    private var lastKeyFrameRequest = Instant.distantPast
    private var isOver = false
    /// Frames left out: the reader was slow, or packets were missing.
    public private(set) var dropped = 0

    /// - Parameters:
    ///   - formats: the tap's tracks; `nil` for those that are not wanted.
    ///   - silent: those of which nothing comes at present.
    ///   - isFromPublisher: its reports are those of a real-time sender over a network.
    ///   - signal: set by the pipe.
    ///   - origin: of a subscription that this one takes the place of.
    init(
        formats: [TrackFormat?], silent: Set<Int> = [], isFromPublisher: Bool = false, pipe: PacketPipe, signal: WakeSignal, origin: Instant? = nil,
        requestKeyFrame: @escaping @Sendable () -> Void
    ) {
        self.origin = origin
        self.pipe = pipe
        self.signal = signal
        self.requestKeyFrame = requestKeyFrame
        var lanes: [Lane] = [], numbers: [Int?] = []
        for (number, format) in formats.enumerated() {
            guard let format, let assembler = FrameAssembler(
                codec: CodecKind(encodingName: format.codec.name), aac: format.aacPayload ?? AACPayloadFormat())
            else {
                numbers.append(nil)
                continue
            }
            let track = SubscribedTrack(format, isSilent: silent.contains(number))
            numbers.append(lanes.count)
            lanes.append(Lane(
                track: track, assembler: assembler,
                parameterSets: Base64.parameterSets(format.described.parameters["sprop-parameter-sets"] ?? "")))
        }
        self.lanes = lanes
        laneOfTrack = numbers
        tracks = lanes.map(\.track)
        timeline = StreamTimeline(clockRates: lanes.map(\.track.clockRate), weighsArrivals: isFromPublisher)
    }

    /// The next frame; `nil` when the stream or the subscription is over. One task at a time.
    public func next() async -> Item? {
        while true {
            if let item = ready.popLast() {
                readyBytes.subtract(item.footprint, ordering: .relaxed)
                return item
            }
            if isOver { return nil }
            fill()
            if !ready.isEmpty { continue }
            await signal.wait()
        }
    }

    /// Bytes that wait for the reader.
    public nonisolated var heldBytes: Int { max(0, pipe.waiting) + readyBytes.load(ordering: .relaxed) }

    /// Ends it; the reader is woken.
    public func finish() {
        isOver = true
        ready = []
        readyBytes.store(0, ordering: .relaxed)
        signal.set()
    }

    // MARK: from the pipe

    private func fill() {
        let bytes = pipe.read()
        var rest = bytes[...]
        while let record = TapRecord.next(in: &rest) { take(record) }
        for lane in lanes.indices { keep(lanes[lane].assembler.advance(to: now), lane, now) }
        release()
        readyBytes.store(ready.reduce(0) { $0 + $1.footprint }, ordering: .relaxed)
        ready.reverse()
    }

    private func take(_ record: TapRecord) {
        guard laneOfTrack.indices.contains(record.track), let lane = laneOfTrack[record.track] else { return }
        now = max(now, record.arrival)
        if firstArrival == nil { firstArrival = record.arrival }
        switch record.content {
        case .report(let ntp, let timestamp): timeline.report(ntp: ntp, timestamp: timestamp, track: lane, arrival: record.arrival)
        case .restart: timeline.restart()
        case .packet(_, _, let rtp):
            rtp.withUnsafeBytes { bytes in
                guard let view = RTPView(bytes) else { return }
                timeline.note(view.timestamp, track: lane, arrival: record.arrival)
                keep(lanes[lane].assembler.push(view, at: record.arrival), lane, record.arrival)
            }
        }
    }

    private func keep(_ frames: [EncodedFrame], _ lane: Int, _ arrival: Instant) {
        for frame in frames {
            if lanes[lane].track.kind == .video {
                let verdict = lanes[lane].gate.judge(frame)
                guard verdict == .take else {
                    dropped += 1
                    if verdict == .wait { askForKeyFrame() }
                    continue
                }
            }
            waiting.append(Waiting(lane: lane, frame: frame, arrival: arrival))
        }
    }

    private func askForKeyFrame() {
        guard now.span(since: lastKeyFrameRequest) >= Self.keyFrameGap else { return }
        lastKeyFrameRequest = now
        requestKeyFrame()
    }

    // MARK: to the reader

    private func release() {
        guard !waiting.isEmpty, let firstArrival else { return }
        if !hasBegun {
            let isComplete = lanes.indices.allSatisfy { lanes[$0].track.isSilent || timeline.hasReports(of: $0) }
            guard isComplete || now.span(since: firstArrival) >= Self.reportPatience else { return }
            timeline.settle()
            hasBegun = true
        }
        leaveOutTheOld()
        hasGiven = true
        for one in waiting {
            let media = timeline.media(one.frame.timestamp, track: one.lane)
            guard let time = timeline.time(media, track: one.lane), let start = origin ?? beginning() else { continue }
            origin = start
            // Of sound that lies before the first picture nobody would know where to put it. A picture is never left out: those that follow need it,
            // and conversions of sound can be quicker than those of pictures.
            guard time >= start || lanes[one.lane].track.kind == .video else { continue }
            ready += finished(one, max(0, time.span(since: start).nanoseconds))
        }
        waiting = []
    }

    /// The time of the first picture that waits; without one, of the first sound.
    private func beginning() -> Instant? {
        let first = waiting.first { lanes[$0.lane].track.kind == .video } ?? waiting.first
        guard let first else { return nil }
        var timeline = timeline
        return timeline.time(timeline.media(first.frame.timestamp, track: first.lane), track: first.lane)
    }

    /// A reader that was away for too long goes on with the newest key frame. What it begins with may be older.
    private func leaveOutTheOld() {
        guard let oldest = waiting.first, now.span(since: oldest.arrival) > Self.maximumAge, hasGiven else { return }
        let video = lanes.firstIndex { $0.track.kind == .video }
        let start = waiting.lastIndex { $0.lane == video && $0.frame.isKeyFrame && now.span(since: $0.arrival) <= Self.maximumAge }
        if let start {
            dropped += start
            waiting.removeFirst(start)
        } else {
            let fresh = waiting.filter { $0.lane != video && now.span(since: $0.arrival) <= Self.maximumAge }
            dropped += waiting.count - fresh.count
            waiting = fresh
            if let video {
                lanes[video].gate.close()
                askForKeyFrame()
            }
        }
    }

    private func finished(_ one: Waiting, _ time: Int64) -> [Item] {
        var items: [Item] = [], bytes = one.frame.bytes
        let lane = one.lane
        if lanes[lane].track.kind == .video, one.frame.isKeyFrame {
            if lanes[lane].track.codec == .h264 {
                let own = H264Framing.parameterSets(inAnnexB: bytes)
                if own.isEmpty {
                    bytes = lanes[lane].parameterSets.flatMap { [0, 0, 0, 1] + $0 } + bytes
                } else {
                    lanes[lane].parameterSets = own
                }
            }
            let header = FrameHeader(codec: lanes[lane].track.codec, keyFrame: bytes)
            if let width = header.width, let height = header.height, lanes[lane].size.map({ $0 != (width, height) }) ?? true {
                lanes[lane].size = (width, height)
                items.append(.resized(width: width, height: height))
            }
        }
        items.append(.frame(SubscribedFrame(
            track: lane, bytes: bytes, time: time, isKeyFrame: one.frame.isKeyFrame, arrival: one.arrival)))
        return items
    }
}

extension StreamTapping {
    /// Subscribes to a stream's frames. End it with `removeEndpoint` and `finish`.
    /// - Parameters:
    ///   - backlog: a picture not older than this is given at once.
    ///   - origin: time 0 of the frames, of a subscription that this one takes the place of.
    public func subscribe(
        to stream: StreamHandle, choice: TapChoice = TapChoice(), backlog: TimeSpan = .seconds(2), origin: Instant? = nil
    ) async throws(EngineError) -> (id: EndpointID, subscription: FrameSubscription) {
        var choice = choice
        choice.beginsTogether = true
        choice.isForPlayer = origin == nil
        let signal = WakeSignal()
        let pipe = PacketPipe(onData: { signal.set() })
        let tap = try await tap(stream, into: pipe, backlog: backlog, choice: choice)
        let formats = tap.tracks.enumerated().map { choice.skipped.contains($0.offset) ? nil : $0.element }
        let tapped = choice
        let subscription = FrameSubscription(
            formats: formats, silent: tap.silent, isFromPublisher: tap.isFromPublisher, pipe: pipe, signal: signal, origin: origin
        ) {
            requestKeyFrame(of: stream, choice: tapped)
        }
        return (tap.id, subscription)
    }
}
