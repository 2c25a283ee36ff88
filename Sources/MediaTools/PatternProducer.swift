// SPDX-License-Identifier: Apache-2.0
// The test pattern and the tone as encoded frames. Owned by a PublishEngine.
import Codecs
import Primitives
import RTP
import SDP

/// Draws, sounds and encodes in real time.
final class PatternProducer: MediaProducer {
    let formats: [TrackFormat]

    private struct Video {
        let pattern: TestPattern
        let encoder: VideoEncoder
        let track: Int
        var index: Int64 = 0
    }
    private struct Audio {
        var tone: Tone
        let encoder: AudioEncoder
        let track: Int
        /// Length and tone samples of one packet.
        let duration: TimeSpan
        let samples: Int
        var index: Int64 = 0
    }

    private var video: Video?
    private var audio: Audio?
    private let frameRate: Int
    private var wantsKeyFrame = false

    init(_ options: PublishOptions) throws(CodecError) {
        guard (1...120).contains(options.frameRate) else {
            throw .invalid("A frame rate of \(options.frameRate) is not possible; use 1 to 120.")
        }
        frameRate = options.frameRate
        var formats: [TrackFormat] = []
        if options.includesVideo {
            let codec = options.videoCodec ?? .h264, size = options.size ?? (640, 360)
            let encoder = try VideoEncoder(.init(
                codec: codec, width: size.width, height: size.height, frameRate: options.frameRate,
                bitrate: options.videoBitrate, keyFrameInterval: options.keyFrameSeconds * options.frameRate,
                threads: options.encoderThreads))
            let pattern = try TestPattern(width: size.width, height: size.height, frameRate: options.frameRate, isNoisy: options.isNoisy)
            video = Video(pattern: pattern, encoder: encoder, track: formats.count)
            formats.append(TrackFormats.video(codec, width: size.width, height: size.height, frameRate: options.frameRate))
        }
        if options.includesAudio {
            let codec = options.audioCodec ?? .opus
            guard let format = TrackFormats.audio(codec) else {
                throw .invalid("\(codec.rawValue) can't be sent over WebRTC; use opus, pcmu, pcma or g722.")
            }
            let encoder = try AudioEncoder(.init(codec: codec, bitrate: options.audioBitrate))
            let milliseconds = encoder.configuration.packetMilliseconds
            audio = Audio(
                tone: Tone(channels: encoder.configuration.channels), encoder: encoder, track: formats.count,
                duration: .milliseconds(Int64(milliseconds)), samples: Tone.sampleRate * milliseconds / 1000)
            formats.append(format)
        }
        guard !formats.isEmpty else { throw .invalid("Nothing to publish: both audio and video are switched off.") }
        self.formats = formats
    }

    var nextDue: TimeSpan? { [video.map { time(ofPicture: $0.index) }, audio.map { $0.duration * ($0.index + 1) }].compactMap { $0 }.min() }

    private func time(ofPicture index: Int64) -> TimeSpan { TimeSpan(ticks: index, clockRate: frameRate) }

    func requestKeyFrame() { wantsKeyFrame = true }

    func produce(upTo elapsed: TimeSpan, unixMilliseconds: Int64) throws -> [ProducedUnit] {
        var units: [ProducedUnit] = []
        // Sound first: it is small, and a picture takes milliseconds to encode.
        try produceAudio(upTo: elapsed, into: &units)
        try produceVideo(at: elapsed, unixMilliseconds, into: &units)
        return units
    }

    private func produceVideo(at elapsed: TimeSpan, _ unixMilliseconds: Int64, into units: inout [ProducedUnit]) throws {
        guard var video, elapsed >= time(ofPicture: video.index) else { return }
        // One picture a call, the newest that is due: a machine that is too slow loses pictures, not time.
        video.index = max(video.index, elapsed.ticks(clockRate: frameRate))
        let ticks = video.index * 90_000 / Int64(frameRate)
        video.index += 1
        self.video = video
        let frame = try video.pattern.frame(unixMilliseconds: unixMilliseconds, timestamp: ticks)
        let forced = wantsKeyFrame
        wantsKeyFrame = false
        for packet in try video.encoder.encode(frame, forceKeyFrame: forced) {
            units.append(ProducedUnit(track: video.track, bytes: packet.bytes, ticks: packet.timestamp, isKeyFrame: packet.isKeyFrame))
        }
    }

    private func produceAudio(upTo elapsed: TimeSpan, into units: inout [ProducedUnit]) throws {
        guard var audio else { return }
        defer { self.audio = audio }
        while elapsed >= audio.duration * (audio.index + 1) {
            audio.index += 1
            let frame = audio.tone.next(audio.samples)
            // After a long stall nobody wants a burst of old sound; its time still counts.
            guard elapsed - audio.duration * audio.index < .milliseconds(500) else {
                skipped += 1
                continue
            }
            for packet in try audio.encoder.encode(frame) {
                let lost = Int64(skipped) * Int64(audio.encoder.packetSamples)
                units.append(ProducedUnit(
                    track: audio.track, bytes: packet.bytes,
                    ticks: audio.encoder.configuration.codec.rtpTicks(samples: packet.timestamp + lost), isKeyFrame: true))
            }
        }
    }

    /// Audio packets left out after stalls; their time still counts.
    private var skipped = 0
}
