// SPDX-License-Identifier: Apache-2.0
// The result while it is written: H.264 and AAC in MP4. Encodes beside the decoding of what comes next.
import Codecs
import Foundation
import Primitives
import RTP

actor MixWriter {
    /// Of media between two fragments of the unfinished file.
    static let flushPeriod = TimeSpan.seconds(5)

    private let path: String
    private let settings: MixSettings
    private let picture: VideoEncoder?
    private let sound: AudioEncoder?
    private var muxer: Muxer?
    /// Sound that came out before the first picture did.
    private var waiting: [EncodedPacket] = []
    private var nextFlush = MediaTime.zero + flushPeriod
    /// Samples.
    private var soundPosition: Int64 = 0
    /// Hz, of pictures' timestamps.
    private static let clockRate = 90_000

    /// - Parameter path: of the unfinished file.
    init(_ path: String, _ settings: MixSettings, hasPictures: Bool, hasSound: Bool, threads: Int) throws(CodecError) {
        self.path = path
        self.settings = settings
        picture = hasPictures
            ? try VideoEncoder(VideoEncoder.Configuration(
                codec: .h264, width: settings.width, height: settings.height, frameRate: settings.frameRate, bitrate: settings.videoBitrate,
                keyFrameInterval: settings.frameRate * 2, threads: threads, purpose: .file))
            : nil
        sound = hasSound ? try AudioEncoder(AudioEncoder.Configuration(codec: .aac, bitrate: settings.audioBitrate)) : nil
        if picture == nil { muxer = try Muxer(path: path, container: .mp4, tracks: [Self.track(of: sound)].compactMap { $0 }) }
    }

    /// Pictures in their order (times in 90 kHz), and interleaved sound that follows what came before.
    func write(_ pictures: [VideoFrame], _ samples: [Float]) throws(CodecError) {
        if let picture {
            for frame in pictures { for packet in try picture.encode(frame) { try write(picture: packet) } }
        }
        try write(sound: samples)
        try flushIfDue(pictures.last.map { MediaTime(ticks: $0.timestamp, clockRate: Self.clockRate) } ?? MediaTime(ticks: soundPosition, clockRate: SoundMix.rate))
    }

    /// Ends the file, but for its last form.
    func finish() throws(CodecError) {
        if let picture { for packet in try picture.finish() { try write(picture: packet) } }
        // The last packet, and what the encoder is behind by.
        if let sound { try write(sound: [Float](repeating: 0, count: 2 * (sound.packetSamples + sound.delay))) }
        guard let muxer else { throw .invalid("There is nothing to write.") }
        try muxer.finish()
    }

    private static func track(of sound: AudioEncoder?) -> MuxerTrack? {
        sound.map { MuxerTrack(.audio(.aac, sampleRate: SoundMix.rate, channels: 2, header: $0.extradata)) }
    }

    private func write(picture packet: EncodedPacket) throws(CodecError) {
        if muxer == nil {
            let header = FrameHeader(codec: .h264, keyFrame: packet.bytes)
            let track = MuxerTrack(.video(
                .h264, width: settings.width, height: settings.height, parameterSets: header.parameterSets, rotation: .none))
            muxer = try Muxer(path: path, container: .mp4, tracks: [track, Self.track(of: sound)].compactMap { $0 })
            for packet in waiting { try write(sound: packet) }
            waiting = []
        }
        try muxer?.write(
            track: 0, packet.bytes, time: MediaTime(ticks: packet.timestamp, clockRate: Self.clockRate).microseconds,
            duration: TimeSpan(ticks: 1, clockRate: settings.frameRate).microseconds, isKeyFrame: packet.isKeyFrame)
    }

    private func write(sound samples: [Float]) throws(CodecError) {
        guard let sound, !samples.isEmpty else { return }
        let frame = AudioFrame(samples: samples, channels: 2, sampleRate: SoundMix.rate, timestamp: soundPosition)
        soundPosition += Int64(frame.sampleCount)
        for packet in try sound.encode(frame) {
            if muxer == nil { waiting.append(packet) } else { try write(sound: packet) }
        }
    }

    private func write(sound packet: EncodedPacket) throws(CodecError) {
        guard let sound else { return }
        let time = MediaTime(ticks: packet.timestamp - Int64(sound.delay), clockRate: SoundMix.rate)
        let duration = TimeSpan(ticks: packet.duration, clockRate: SoundMix.rate)
        // The first packet decodes to what was before the beginning.
        guard time + duration > .zero else { return }
        try muxer?.write(track: picture == nil ? 0 : 1, packet.bytes, time: max(.zero, time).microseconds, duration: duration.microseconds, isKeyFrame: true)
    }

    private func flushIfDue(_ time: MediaTime) throws(CodecError) {
        guard time >= nextFlush, let muxer else { return }
        nextFlush = time + Self.flushPeriod
        try muxer.flush()
    }
}
