// SPDX-License-Identifier: Apache-2.0
// A track that is made of another one outside the reactor: a bridge's way out of the stream and back into it. Made by the
// bridges; any thread, carried out on the stream's home reactor.
import MediaGraph
import Primitives
import RTP
import SDP
import Synchronization

/// What bridges need of the media engine.
public protocol StreamConverting: Sendable {
    /// Adds to the stream a track of `format`, to be filled by the returned conversion, and copies everything that arrives on track
    /// `format.converts` into `pipe`, as `TapRecord`s of track 0. Ends with `removeConversion`, or with the stream.
    ///
    /// - Parameters:
    ///   - backlog: as for `tap`.
    ///   - onKeyFrameRequest: a sink of the new track needs a key frame; on a reactor thread.
    func addConversion(
        to stream: StreamHandle, format: TrackFormat, pipe: PacketPipe, backlog: TimeSpan, onKeyFrameRequest: @escaping @Sendable () -> Void
    ) async throws(EngineError) -> Conversion
    /// Ends a conversion; false when its track has to stay because a mirror of the stream shows it: it goes on then.
    func removeConversion(_ id: EndpointID) async -> Bool
    /// Whether the conversion's track is still part of its stream: not when the track that it is made of has been replaced.
    func isCurrent(_ id: EndpointID) async -> Bool
    func requestKeyFrame(of stream: StreamHandle)
}

extension StreamConverting {
    public func isCurrent(_ id: EndpointID) async -> Bool { true }
}

/// The way back into the stream. Safe from any thread; never blocks.
public struct Conversion: Sendable {
    public let id: EndpointID
    /// Of the track that is converted.
    public let source: TrackFormat
    private let reactor: Reactor
    private static let mailboxLimit = 4096

    init(id: EndpointID, source: TrackFormat, reactor: Reactor) {
        self.id = id
        self.source = source
        self.reactor = reactor
    }

    /// Complete RTP packets, in order.
    /// - Returns: false when the stream is gone or the reactor is stuck.
    @discardableResult
    public func write(_ packets: [[UInt8]]) -> Bool {
        let id = id
        return reactor.post(limit: Self.mailboxLimit) { core in
            guard let conversion = core.conversions[id.rawValue] else { return }
            for packet in packets { conversion.receive(packet, arena: core.arena, at: core.now) }
            core.touch(conversion.stream)
        }
    }

    /// The source's sender report in terms of the new track's clock.
    public func report(ntp: UInt64, timestamp: UInt32) {
        let id = id
        reactor.post(limit: Self.mailboxLimit) { core in
            core.conversions[id.rawValue]?.track.receiveReport(ntp: ntp, timestamp: timestamp, at: core.now)
        }
    }
}

/// The reactor's half. Its reactor's thread only.
final class ConversionCore: StreamSource {
    let id: EndpointID
    let stream: MediaStream
    let track: UplinkTrack
    private let origin: UplinkTrack
    private let keyFrameGap: TimeSpan
    private let refreshInterval: TimeSpan
    private let onKeyFrameRequest: @Sendable () -> Void
    private static let extensions = UplinkExtensions()

    init(
        id: EndpointID, stream: MediaStream, format: TrackFormat, origin: UplinkTrack, keyFrameGap: TimeSpan, refreshInterval: TimeSpan,
        onKeyFrameRequest: @escaping @Sendable () -> Void
    ) {
        self.id = id
        self.stream = stream
        self.origin = origin
        self.keyFrameGap = keyFrameGap
        self.refreshInterval = refreshInterval
        self.onKeyFrameRequest = onKeyFrameRequest
        track = UplinkTrack(format: format, codec: CodecKind(encodingName: format.codec.name))
        if origin.playoutDelay != nil { track.followSound() }
        stream.addConverted(track, source: self)
    }

    func receive(_ packet: [UInt8], arena: SendArena, at now: Instant) {
        packet.withUnsafeBytes { bytes in
            guard let view = RTPView(bytes) else { return }
            track.receive(view, bytes: bytes, isRetransmission: false, extensions: Self.extensions, arena: arena, at: now)
        }
    }

    func keyFrameWanted(of track: UplinkTrack, arena: SendArena, at now: Instant) {
        guard track.mayRequestKeyFrame(gap: keyFrameGap, repeatAfter: LocalSourceCore.keyFrameRepeat, at: now) else { return }
        onKeyFrameRequest()
    }

    func advance(arena: SendArena, at now: Instant) {
        if track.isRefreshDue(interval: refreshInterval, at: now) { track.requestKeyFrame() }
        if track.wantsKeyFrame { keyFrameWanted(of: track, arena: arena, at: now) }
    }

    var isCurrent: Bool { stream.converted.contains { $0 === track } }

    /// Nothing is converted any more; false when the track has to stay for a mirror's sake, and goes on.
    func end() -> Bool {
        guard !isCurrent || stream.removeConverted(track) else { return false }
        origin.removeTap(id: id.rawValue)
        return true
    }
}

extension ReactorEngine: StreamConverting {
    public func removeConversion(_ id: EndpointID) async -> Bool {
        await reactor(of: id.rawValue).run { $0.removeConversion(id) } ?? true
    }

    public func isCurrent(_ id: EndpointID) async -> Bool {
        await reactor(of: id.rawValue).run { $0.conversions[id.rawValue]?.isCurrent ?? false } ?? false
    }

    public func addConversion(
        to stream: StreamHandle, format: TrackFormat, pipe: PacketPipe, backlog: TimeSpan, onKeyFrameRequest: @escaping @Sendable () -> Void
    ) async throws(EngineError) -> Conversion {
        let reactor = reactor(of: stream.rawValue)
        let id = newEndpointID(on: reactor)
        let gap = configuration.keyFrameRequestGap, refresh = configuration.refreshInterval
        let result = await reactor.run { core -> Result<TrackFormat, EngineError> in
            guard let stream = core.stream(stream) else { return .failure(.noSuchStream) }
            guard let index = format.converts, stream.tracks.indices.contains(index) else { return .failure(.notReady) }
            let origin = stream.tracks[index]
            origin.flush(into: core.arena, at: core.now)
            let conversion = ConversionCore(
                id: id, stream: stream, format: format, origin: origin, keyFrameGap: gap, refreshInterval: refresh,
                onKeyFrameRequest: onKeyFrameRequest)
            core.addConversion(conversion)
            let writer = TrackTap(origin, index: 0, pipe: pipe)
            let start = origin.backlogStart(since: core.now - backlog, maximumBytes: pipe.capacity / 4, joinsAt: core.now)
            if start > 0 {
                writer.takeBacklog(from: start)
            } else {
                stream.requestKeyFrame(of: origin, arena: core.arena, at: core.now)
            }
            origin.addTap(id: id.rawValue) { _, slot in writer.take(slot) }
            // Players may have waited for it, since what they had before is gone.
            core.settleTracks(of: stream)
            return .success(origin.format)
        }
        return Conversion(id: id, source: try (result ?? .failure(.shutDown)).get(), reactor: reactor)
    }
}
