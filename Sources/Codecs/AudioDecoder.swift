// SPDX-License-Identifier: Apache-2.0
// Audio decoder: packets in, interleaved samples out. Owned by one thread.
import CFFmpeg

/// Decodes Opus, G.711, G.722 or AAC. Not Sendable: one thread at a time.
public final class AudioDecoder {
    public let audioCodec: AudioCodec
    private let codec: CodecContext

    /// - Parameters:
    ///   - sampleRate, channels: what the description says; needed for G.711 in a container, else the codec's own.
    ///   - extradata: AudioSpecificConfig for AAC (without it, ADTS is expected); empty for the others.
    public init(_ audioCodec: AudioCodec, sampleRate: Int? = nil, channels: Int? = nil, extradata: [UInt8] = []) throws(CodecError) {
        self.audioCodec = audioCodec
        codec = try CodecContext.decoder(audioCodec.decoderNames)
        let rate = sampleRate ?? audioCodec.fixedSampleRate ?? 48_000
        guard (4_000...384_000).contains(rate) else { throw .invalid("Sound of \(rate) Hz can't be decoded.") }
        codec.context.pointee.sample_rate = Int32(rate)
        av_channel_layout_default(&codec.context.pointee.ch_layout, Int32(min(2, max(1, channels ?? audioCodec.maximumChannels))))
        codec.context.pointee.request_sample_fmt = AV_SAMPLE_FMT_FLT
        codec.context.pointee.pkt_timebase = AVRational(num: 1, den: Int32(rate))
        codec.context.pointee.thread_count = 1
        try codec.setExtradata(extradata)
        try codec.open(options: [:])
    }

    /// Decodes one packet. `timestamp` comes back on the first frame, in the caller's ticks.
    public func decode(_ bytes: [UInt8], timestamp: Int64) throws(CodecError) -> [AudioFrame] {
        let sent: Result<Void, CodecError> = bytes.withUnsafeBytes { buffer in
            do throws(CodecError) { return .success(try codec.send(buffer, timestamp: timestamp)) } catch { return .failure(error) }
        }
        try sent.get()
        var frames: [AudioFrame] = []
        while try codec.receiveFrame() {
            defer { av_frame_unref(codec.frame) }
            frames.append(try Self.frame(codec.frame, fallback: timestamp))
        }
        return frames
    }

    private static func frame(_ source: UnsafeMutablePointer<AVFrame>, fallback: Int64) throws(CodecError) -> AudioFrame {
        let count = Int(source.pointee.nb_samples), channels = Int(source.pointee.ch_layout.nb_channels)
        guard (1...8).contains(channels), count >= 0 else { throw .invalid("Sound with \(channels) channels can't be used.") }
        let kept = min(2, channels)
        var samples = [Float](repeating: 0, count: count * kept)
        // Of surround sound only the front is kept: left, right, and the centre in both. Order: FFmpeg's native one. The third channel is the
        // centre unless the layout says that it is a rear one (quad) or the bass (2.1).
        let third = channels > 2 ? av_channel_layout_channel_from_index(&source.pointee.ch_layout, 2) : AV_CHAN_NONE
        let hasCentre = channels > 2 && (third == AV_CHAN_FRONT_CENTER || third == AV_CHAN_NONE)
        for channel in 0..<min(channels, hasCentre ? 3 : 2) {
            let gain: Float = hasCentre ? (channel == 2 ? 0.414 : 0.586) : 1
            let targets = channel == 2 ? 0..<2 : channel..<channel + 1
            try forEachSample(of: source, channel: channel, channels: channels, count: count) { index, value in
                for target in targets { samples[index * kept + target] += gain * value }
            }
        }
        let time = source.pointee.pts
        return AudioFrame(
            samples: samples, channels: kept, sampleRate: Int(source.pointee.sample_rate),
            timestamp: time == martlet_ff_no_timestamp ? fallback : time)
    }

    private static func forEachSample(
        of frame: UnsafeMutablePointer<AVFrame>, channel: Int, channels: Int, count: Int, _ body: (Int, Float) -> Void
    ) throws(CodecError) {
        let data = frame.pointee.data
        let plane = [data.0, data.1, data.2][channel]
        switch AVSampleFormat(frame.pointee.format) {
        case AV_SAMPLE_FMT_FLTP:
            plane?.withMemoryRebound(to: Float.self, capacity: count) { input in
                for index in 0..<count { body(index, input[index]) }
            }
        case AV_SAMPLE_FMT_FLT:
            data.0?.withMemoryRebound(to: Float.self, capacity: count * channels) { input in
                for index in 0..<count { body(index, input[index * channels + channel]) }
            }
        case AV_SAMPLE_FMT_S16:
            data.0?.withMemoryRebound(to: Int16.self, capacity: count * channels) { input in
                for index in 0..<count { body(index, Float(input[index * channels + channel]) / 32768) }
            }
        case AV_SAMPLE_FMT_S16P:
            plane?.withMemoryRebound(to: Int16.self, capacity: count) { input in
                for index in 0..<count { body(index, Float(input[index]) / 32768) }
            }
        default:
            throw .invalid("The decoder gave sound in a form that is not handled (sample format \(frame.pointee.format)).")
        }
    }
}
