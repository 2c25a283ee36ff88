// SPDX-License-Identifier: Apache-2.0
// The whole way of a publication without threads and clocks: producer → packets → pacing. Driven by PublishPipeline,
// or by a test in virtual time.
import Codecs
import Primitives
import SDP

/// Counters of a publication.
public struct PublishFigures: Sendable, Equatable {
    public var videoFrames = 0
    public var keyFrames = 0
    public var audioFrames = 0
    public var packets = 0
    /// RTP headers included.
    public var bytes = 0
    public var keyFrameRequests = 0
}

/// Gives RTP packets when their time has come. Not Sendable: one thread at a time.
public final class PublishEngine {
    /// The tracks with the payload types the packets carry, video first. Packets name them by index.
    public let tracks: [TrackFormat]
    /// The SSRC of each track.
    public var ssrcs: [UInt32] { senders.map(\.ssrc) }
    public private(set) var figures = PublishFigures()

    private let producer: any MediaProducer
    private var senders: [RTPTrackSender]
    private var pacer = PacketPacer()
    private let pacingWindow: TimeSpan
    private var audioHasStarted = false

    /// - Throws: `CodecError` for a file that can't be read or settings that can't be met.
    public init(_ options: PublishOptions, random: RandomSource = .system) throws(CodecError) {
        guard (200...1400).contains(options.maximumPayload), (0...100).contains(options.pacingMilliseconds) else {
            throw .invalid("RTP payloads may have 200 to 1400 bytes, and pacing may take 0 to 100 ms.")
        }
        switch options.source {
        case .pattern: producer = try PatternProducer(options)
        case .file(let path, let loops): producer = try FileProducer(path: path, loops: loops, options: options)
        }
        tracks = producer.formats
        var random = random
        senders = []
        for format in producer.formats {
            guard let sender = RTPTrackSender(format, maximumPayload: options.maximumPayload, random: &random) else {
                throw .invalid("The codec \(format.codec.name) can't be sent over RTP.")
            }
            senders.append(sender)
        }
        pacingWindow = min(.milliseconds(Int64(options.pacingMilliseconds)), .seconds(1) / Int64(max(1, options.frameRate)) / 3)
    }

    /// When `advance` wants to be called next (since the start); `nil` when everything has been sent.
    public var nextDue: TimeSpan? { [producer.nextDue, pacer.nextDue].compactMap { $0 }.min() }

    /// The RTP timestamp that each track has reached `elapsed` after the start.
    public func timestamps(at elapsed: TimeSpan) -> [UInt32] { senders.map { $0.timestamp(at: elapsed) } }

    /// The next picture is to be a key frame. Of no effect on video that is passed through from a file.
    public func requestKeyFrame() {
        figures.keyFrameRequests += 1
        producer.requestKeyFrame()
    }

    /// The packets that are due.
    /// - Parameters:
    ///   - elapsed: since the start of the publication; never decreasing.
    ///   - unixMilliseconds: the wall clock, for the burnt-in clock.
    public func advance(to elapsed: TimeSpan, unixMilliseconds: Int64) throws -> [(track: Int, packet: [UInt8])] {
        if let due = producer.nextDue, due <= elapsed {
            for unit in try producer.produce(upTo: elapsed, unixMilliseconds: unixMilliseconds) {
                queue(unit, now: elapsed)
            }
        }
        return pacer.take(upTo: elapsed).map { entry in
            figures.packets += 1
            figures.bytes += entry.bytes.count
            return (entry.track, entry.bytes)
        }
    }

    private func queue(_ unit: ProducedUnit, now: TimeSpan) {
        let isVideo = tracks[unit.track].kind == .video
        if isVideo {
            figures.videoFrames += 1
            if unit.isKeyFrame { figures.keyFrames += 1 }
        } else {
            figures.audioFrames += 1
        }
        let packets = senders[unit.track].packets(for: unit, startsTalk: !isVideo && !audioHasStarted)
        if !isVideo { audioHasStarted = true }
        pacer.add(packets, track: unit.track, now: now, window: pacingWindow)
    }
}
