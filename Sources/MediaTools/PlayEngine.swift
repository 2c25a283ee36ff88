// SPDX-License-Identifier: Apache-2.0
// The whole way of received media without threads: RTP packets → frames → pictures and sound → figures.
// Driven by PlayPipeline, or by a test in virtual time.
import Clocks
import Codecs
import Primitives
import RTP
import SDP

/// What a play pipeline can be told.
public struct PlayOptions: Sendable {
    /// How long a missing packet is waited for before a frame is given up.
    public var patience = TimeSpan.milliseconds(200)
    /// Least time between two key frame requests.
    public var keyFrameRequestGap = TimeSpan.milliseconds(300)
    public var decodesVideo = true
    public var decodesAudio = true

    public init() {}
}

/// Decodes the tracks of one stream. Not Sendable: one thread at a time. Times are the wall clock's.
public final class PlayEngine {
    /// The newest picture; `nil` before the first.
    public private(set) var lastFrame: VideoFrame?
    /// Burnt-in clocks seen, with the arrival of each picture.
    public private(set) var clock = ClockReader()

    private var counters = PlayFigures()
    private var video: [Int: VideoReceiver] = [:]
    private var audio: [Int: AudioReceiver] = [:]
    private var frameRate = RateMeter()
    private var byteRate = RateMeter()
    private var start: WallTime?
    private let options: PlayOptions
    private let now: () -> WallTime
    private let requestKeyFrame: (Int) -> Void

    /// - Parameters:
    ///   - tracks: the formats, in the order of the track indices; ones that can't be decoded are only counted.
    ///   - now: the wall clock, asked after each picture for its latency.
    ///   - requestKeyFrame: called with a track's index when only a key frame can help.
    public init(
        tracks: [TrackFormat], options: PlayOptions = PlayOptions(), now: @escaping () -> WallTime = { WallClock.now() },
        requestKeyFrame: @escaping (Int) -> Void
    ) {
        self.options = options
        self.now = now
        self.requestKeyFrame = requestKeyFrame
        for (index, track) in tracks.enumerated() {
            if track.kind == .video {
                video[index] = VideoReceiver(track, patience: options.patience, decodes: options.decodesVideo)
            } else if track.kind == .audio {
                audio[index] = AudioReceiver(track, patience: options.patience, decodes: options.decodesAudio)
            }
        }
    }

    /// The time to first frame counts from here; from the first packet if this is never called.
    public func markStart(at now: WallTime) { start = now }

    /// Takes one RTP packet.
    public func receive(track: Int, packet: [UInt8], arrival: WallTime) {
        if start == nil { start = arrival }
        let time = Instant(arrival)
        counters.bytes += packet.count
        byteRate.add(Double(packet.count), at: time)
        packet.withUnsafeBytes { bytes in
            guard let view = RTPView(bytes) else { return counters.malformedPackets += 1 }
            if let receiver = video[track] {
                counters.videoPackets += 1
                show(receiver.receive(view, at: time), track, receiver)
            } else if let receiver = audio[track] {
                counters.audioPackets += 1
                receiver.receive(view, at: time)
            } else {
                counters.malformedPackets += 1
            }
        }
    }

    /// Gives up what has been waited for long enough.
    public func advance(to wall: WallTime) {
        let now = Instant(wall)
        for (track, receiver) in video { show(receiver.advance(to: now), track, receiver) }
        for receiver in audio.values { receiver.advance(to: now) }
    }

    /// When `advance` wants to be called; `nil` when nothing waits.
    public var nextDeadline: WallTime? {
        (video.values.compactMap(\.nextDeadline) + audio.values.compactMap(\.nextDeadline)).min().map { WallTime($0) }
    }

    /// The figures as of `now`.
    public func figures(at now: WallTime) -> PlayFigures {
        var figures = counters
        for receiver in video.values {
            figures.lostPackets += receiver.lostPackets
            figures.framesDropped += receiver.framesDropped
            figures.keyFrames += receiver.keyFrames
            figures.decodeErrors += receiver.decodeErrors
        }
        var level = AudioLevel()
        for receiver in audio.values {
            figures.lostPackets += receiver.lostPackets
            figures.decodeErrors += receiver.decodeErrors
            figures.audioSamples += receiver.samples
            level.add(receiver.recentLevel)
        }
        figures.audioRMS = level.rms
        figures.audioDecibels = level.decibels
        figures.framesPerSecond = frameRate.rate(at: Instant(now))
        figures.bitrate = byteRate.rate(at: Instant(now)) * 8
        figures.clocksRead = clock.readable
        figures.clocksUnreadable = clock.unreadable
        figures.latencyMedian = clock.latency(percentile: 0.5)
        figures.latency95 = clock.latency(percentile: 0.95)
        return figures
    }

    private func show(_ received: VideoReceiver.Received, _ track: Int, _ receiver: VideoReceiver) {
        for picture in received.pictures {
            let shownAt = now()
            counters.framesDecoded += 1
            counters.width = picture.frame.width
            counters.height = picture.frame.height
            if counters.firstFrameMilliseconds == nil, let start {
                counters.firstFrameMilliseconds = (shownAt - start).fractionalMilliseconds
            }
            frameRate.add(1, at: Instant(shownAt))
            clock.add(picture.frame, arrival: WallTime(picture.arrival), shownAt: shownAt)
            lastFrame = picture.frame
        }
        if let at = received.needsKeyFrameAt, receiver.mayRequest(at: at, gap: options.keyFrameRequestGap) {
            counters.keyFrameRequests += 1
            requestKeyFrame(track)
        }
    }
}

// What receives here is told the time of day: clocks burnt into pictures are held against it.
extension Instant {
    fileprivate init(_ wall: WallTime) { self.init(nanoseconds: wall.nanoseconds) }
}

extension WallTime {
    fileprivate init(_ instant: Instant) { self.init(nanoseconds: instant.nanoseconds) }
}
