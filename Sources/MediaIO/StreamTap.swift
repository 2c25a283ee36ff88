// SPDX-License-Identifier: Apache-2.0
// Listening in on a stream for work that is done elsewhere: all packets and sender reports of its tracks, copied into a pipe.
// What recorders stand on. Any thread; carried out on the stream's home reactor.
import MediaGraph
import Primitives
import SDP

/// What recorders need of the media engine.
public protocol StreamTapping: Sendable {
    /// Copies everything that arrives on the stream's tracks from now on into `pipe`, as `TapRecord`s. Ends with
    /// `removeEndpoint`, or with the stream.
    ///
    /// - Parameter backlog: what is still in the rings and not older than this comes first, video from a key frame on.
    ///   Without such a key frame one is asked for.
    /// - Throws: `.noSuchStream`, `.notReady` while the stream has no tracks.
    func tap(_ stream: StreamHandle, into pipe: PacketPipe, backlog: TimeSpan, choice: TapChoice) async throws(EngineError) -> StreamTap
    /// Asks for a key frame of what a tap takes.
    func requestKeyFrame(of stream: StreamHandle, choice: TapChoice)
    func removeEndpoint(_ endpoint: EndpointID) async
    func requestKeyFrame(of stream: StreamHandle)
}

extension StreamTapping {
    public func tap(_ stream: StreamHandle, into pipe: PacketPipe, backlog: TimeSpan) async throws(EngineError) -> StreamTap {
        try await tap(stream, into: pipe, backlog: backlog, choice: TapChoice())
    }
}

/// What of a stream is tapped.
public struct TapChoice: Sendable {
    /// What is tapped instead of a track, by the track's index: the id of the conversion.
    public var conversions: [Int: EndpointID] = [:]
    /// Tracks that are left out.
    public var skipped: Set<Int> = []
    /// Of sound no more of the past is wanted than of the pictures.
    public var beginsTogether = false
    /// It is for a player, who wants to see something at once: of a source that can't be asked for a key frame the newest group of pictures
    /// comes first, however old it is.
    public var isForPlayer = false

    public init() {}

    func tracks(of stream: MediaStream, on core: ReactorCore) -> [UplinkTrack] {
        stream.tracks.indices.map { index in conversions[index].flatMap { core.conversions[$0.rawValue]?.track } ?? stream.tracks[index] }
    }
}

/// A tap that has been set.
public struct StreamTap: Sendable {
    public let id: EndpointID
    /// In the order of the records' track numbers.
    public let tracks: [TrackFormat]
    /// Which tracks those are: one that comes again has another number, though its format may be the same.
    public let numbers: [Int]
    /// Places in `tracks` of those of which nothing comes at present: they are there, but who begins doesn't wait for them.
    public let silent: Set<Int>
    /// The sender reports are those of a WebRTC publisher, made as it sends; of other sources they are exact.
    public let isFromPublisher: Bool

    public init(id: EndpointID, tracks: [TrackFormat], numbers: [Int], silent: Set<Int> = [], isFromPublisher: Bool = false) {
        self.id = id
        self.tracks = tracks
        self.numbers = numbers
        self.silent = silent
        self.isFromPublisher = isFromPublisher
    }
}

/// Writes what one track gets into the pipe. Its reactor's thread only.
final class TrackTap {
    private unowned let track: UplinkTrack
    private let index: UInt8
    private let pipe: PacketPipe
    private var seenReport = Instant.zero
    private var seenRestarts: UInt32
    /// The head of a record, built here and copied from here.
    private let head = UnsafeMutableRawPointer.allocate(byteCount: TapRecord.packetHead, alignment: 8)

    init(_ track: UplinkTrack, index: Int, pipe: PacketPipe) {
        self.track = track
        self.index = UInt8(truncatingIfNeeded: index)
        self.pipe = pipe
        seenRestarts = track.restarts
    }

    deinit { head.deallocate() }

    @inline(__always)
    private func store(_ value: some FixedWidthInteger, at offset: Int) {
        head.storeBytes(of: value.bigEndian, toByteOffset: offset, as: type(of: value).self)
    }

    private func begin(_ kind: UInt8, length: Int, arrival: Instant) {
        store(UInt32(length - 4), at: 0)
        store(kind, at: 4)
        store(index, at: 5)
        store(arrival.nanoseconds, at: 6)
    }

    /// What has changed about the source since the packet before.
    @inline(never)
    private func noteSource(at arrival: Instant) {
        if track.restarts != seenRestarts {
            seenRestarts = track.restarts
            begin(TapRecord.restartKind, length: 14, arrival: arrival)
            pipe.write(UnsafeRawBufferPointer(start: head, count: 14), UnsafeRawBufferPointer(start: nil, count: 0))
        }
        if track.reportedNTP != 0, track.reportArrival != seenReport {
            seenReport = track.reportArrival
            begin(TapRecord.reportKind, length: TapRecord.reportLength, arrival: seenReport)
            store(track.reportedNTP, at: 14)
            store(track.reportedTimestamp, at: 22)
            pipe.write(UnsafeRawBufferPointer(start: head, count: TapRecord.reportLength), UnsafeRawBufferPointer(start: nil, count: 0))
        }
    }

    @inline(__always)
    func take(_ slot: UnsafePointer<PacketSlot>) {
        let packet = slot.pointee
        if track.reportArrival != seenReport || track.restarts != seenRestarts { noteSource(at: packet.arrival) }
        let payload = track.ring.payload(of: slot)
        begin(TapRecord.packetKind, length: TapRecord.packetHead + payload.count, arrival: packet.arrival)
        store(packet.orientation, at: 14)
        store(packet.audioLevel, at: 15)
        store(UInt8(0x80), at: 16)
        store(UInt8(packet.marker ? 0x80 : 0), at: 17)
        store(UInt16(truncatingIfNeeded: packet.sequence), at: 18)
        store(packet.timestamp, at: 20)
        store(UInt32(index) + 1, at: 24)
        pipe.write(UnsafeRawBufferPointer(start: head, count: TapRecord.packetHead), payload)
        pipe.announce()
    }

    /// Hands over what the ring still holds from `first` on.
    func takeBacklog(from first: Int64) {
        guard first > 0 else { return }
        track.visit(from: first) { _, slot in take(slot) }
    }
}

extension ReactorEngine: StreamTapping {
    public func tap(
        _ stream: StreamHandle, into pipe: PacketPipe, backlog: TimeSpan, choice: TapChoice
    ) async throws(EngineError) -> StreamTap {
        let reactor = reactor(of: stream.rawValue)
        let id = newEndpointID(on: reactor)
        let result = await reactor.run { core -> Result<StreamTap, EngineError> in
            guard let stream = core.stream(stream) else { return .failure(.noSuchStream) }
            guard !stream.tracks.isEmpty else { return .failure(.notReady) }
            // Whatever waits for this turn's end is fanned out first, so that no packet comes twice.
            let tracks = choice.tracks(of: stream, on: core)
            for track in tracks { track.flush(into: core.arena, at: core.now) }
            var oldest = core.now - backlog
            // Who reads is there already, so that the pipe has room again soon.
            let maximumBytes = choice.isForPlayer ? pipe.capacity / 4 * 3 : pipe.capacity / 4
            func backlogStart(of track: UplinkTrack) -> Int64 {
                track.backlogStart(since: oldest, maximumBytes: maximumBytes, joinsAt: choice.isForPlayer ? core.now : nil)
            }
            if choice.beginsTogether, let picture = tracks.indices.first(where: { tracks[$0].kind == .video && !choice.skipped.contains($0) }) {
                let start = backlogStart(of: tracks[picture])
                oldest = start > 0 ? tracks[picture].ring.slot(start)?.pointee.arrival ?? core.now : core.now
            }
            for (index, track) in tracks.enumerated() where !choice.skipped.contains(index) {
                let writer = TrackTap(track, index: index, pipe: pipe)
                let start = backlogStart(of: track)
                if start > 0 {
                    writer.takeBacklog(from: start)
                } else {
                    stream.requestKeyFrame(of: track, arena: core.arena, at: core.now)
                }
                // Who takes it may be a muxer, or a player by a protocol without feedback.
                track.addTap(id: id.rawValue, isPassive: true) { _, slot in writer.take(slot) }
            }
            core.addTap(id, on: stream)
            return .success(StreamTap(
                id: id, tracks: tracks.map(\.format), numbers: tracks.map(\.number),
                silent: Set(tracks.indices.filter { stream.isSilent(tracks[$0], at: core.now) }),
                isFromPublisher: stream.source is PublisherEndpoint))
        }
        return try (result ?? .failure(.shutDown)).get()
    }
}

extension ReactorEngine {
    public func requestKeyFrame(of stream: StreamHandle, choice: TapChoice) {
        reactor(of: stream.rawValue).post { core in
            guard let stream = core.stream(stream) else { return }
            for (index, track) in choice.tracks(of: stream, on: core).enumerated() where track.kind == .video && !choice.skipped.contains(index) {
                stream.requestKeyFrame(of: track, arena: core.arena, at: core.now)
            }
        }
    }
}

extension UplinkTrack {
    /// What the ring holds from packet `first` on.
    func visit(from first: Int64, _ take: Tap) {
        guard ring.newest >= first else { return }
        for sequence in first...ring.newest {
            if let slot = ring.slot(sequence) { take(ring.bytes(of: slot), slot) }
        }
    }

    /// First packet in the ring that arrived after `oldest`, for video the start of the newest key frame if that did; 0 = none.
    /// - Parameter joinsAt: now, for a player.
    func backlogStart(since oldest: Instant, maximumBytes: Int, joinsAt: Instant? = nil) -> Int64 {
        guard ring.newest > 0 else { return 0 }
        var first = ring.newest, bytes = 0
        if kind == .video {
            guard let start = ring.joinPoint, start.pointee.arrival >= oldest || joinsAt.map({ servesJoiners(from: start, at: $0) }) ?? false
            else { return 0 }
            first = start.pointee.sequence
            for sequence in first...ring.newest { bytes += ring.slot(sequence)?.pointee.length ?? 0 }
            return bytes <= maximumBytes ? first : 0
        }
        guard let newest = ring.slot(first), newest.pointee.arrival >= oldest else { return 0 }
        while first > 1, let slot = ring.slot(first - 1), slot.pointee.arrival >= oldest, bytes < maximumBytes {
            bytes += slot.pointee.length
            first -= 1
        }
        return first
    }
}
