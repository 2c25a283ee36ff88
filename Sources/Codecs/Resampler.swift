// SPDX-License-Identifier: Apache-2.0
// Changes the sampling rate and the number of channels of sound. Owned by one thread.
import CFFmpeg
import Primitives

/// Converts between rates and channel counts (1 or 2). Not Sendable: one thread at a time.
public final class Resampler {
    public let sampleRate: Int
    public let channels: Int
    private var context: OpaquePointer?
    private var sourceRate: Int?
    /// Samples given out since the first frame; times are counted, so that rounding never adds up.
    private var produced: Int64 = 0
    private var origin: Int64 = 0

    /// - Parameters: what comes out: `sampleRate` 8 000…192 000 Hz, `channels` 1 or 2.
    public init(sampleRate: Int, channels: Int) throws(CodecError) {
        guard (8_000...192_000).contains(sampleRate), (1...2).contains(channels) else {
            throw .invalid("Sound of \(sampleRate) Hz with \(channels) channels is not possible; use 8000 to 192000 Hz and 1 or 2 channels.")
        }
        self.sampleRate = sampleRate
        self.channels = channels
    }

    deinit { swr_free(&context) }

    /// Converts one frame; a change of the input's format starts a new conversion. A few samples stay inside until the next call.
    public func convert(_ frame: AudioFrame) throws(CodecError) -> AudioFrame {
        let frame = Self.mixed(frame, to: channels)
        guard frame.sampleRate != sampleRate else { return frame }
        if sourceRate != frame.sampleRate { try configure(for: frame) }
        let capacity = Int(av_rescale_rnd(
            swr_get_delay(context, Int64(frame.sampleRate)) + Int64(frame.sampleCount),
            Int64(sampleRate), Int64(frame.sampleRate), AV_ROUND_UP)) + 32
        var output = [Float](repeating: 0, count: capacity * channels)
        let count = frame.samples.withUnsafeBytes { input in
            output.withUnsafeMutableBytes { output -> Int32 in
                var inputPlane = input.bindMemory(to: UInt8.self).baseAddress
                var outputPlane = output.bindMemory(to: UInt8.self).baseAddress
                return swr_convert(context, &outputPlane, Int32(capacity), &inputPlane, Int32(frame.sampleCount))
            }
        }
        try check(count, "Resampling sound")
        output.removeLast(output.count - Int(count) * channels)
        let result = AudioFrame(samples: output, channels: channels, sampleRate: sampleRate, timestamp: origin.addingSaturating(produced))
        produced += Int64(count)
        return result
    }

    /// One channel becomes two equal ones, two become their mean: loudness stays, nothing clips.
    /// (FFmpeg's own matrix takes 3 dB off one way and adds them the other.)
    private static func mixed(_ frame: AudioFrame, to channels: Int) -> AudioFrame {
        guard frame.channels != channels else { return frame }
        var samples: [Float] = []
        samples.reserveCapacity(frame.sampleCount * channels)
        for index in 0..<frame.sampleCount {
            let first = index * frame.channels
            if channels == 1 {
                samples.append(frame.samples[first..<first + frame.channels].reduce(0, +) / Float(frame.channels))
            } else {
                samples.append(frame.samples[first])
                samples.append(frame.samples[first + (frame.channels > 1 ? 1 : 0)])
            }
        }
        return AudioFrame(samples: samples, channels: channels, sampleRate: frame.sampleRate, timestamp: frame.timestamp)
    }

    private func configure(for frame: AudioFrame) throws(CodecError) {
        guard (1_000...384_000).contains(frame.sampleRate) else {
            throw .invalid("Sound of \(frame.sampleRate) Hz can't be converted.")
        }
        swr_free(&context)
        var layout = AVChannelLayout()
        av_channel_layout_default(&layout, Int32(channels))
        var sameLayout = layout
        try check(
            swr_alloc_set_opts2(
                &context, &layout, AV_SAMPLE_FMT_FLT, Int32(sampleRate),
                &sameLayout, AV_SAMPLE_FMT_FLT, Int32(frame.sampleRate), 0, nil),
            "Setting up a resampler")
        try check(swr_init(context), "Setting up a resampler")
        sourceRate = frame.sampleRate
        origin = frame.timestamp.rescaledSaturating(from: Int64(max(1, frame.sampleRate)), to: Int64(sampleRate))
        produced = 0
    }
}
