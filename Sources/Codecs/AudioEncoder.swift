// SPDX-License-Identifier: Apache-2.0
// Audio encoder that takes sound of any rate and length and gives packets of equal duration. Owned by one thread.
import CFFmpeg
import Primitives

/// Encodes Opus, G.711, G.722 or AAC-LC. Not Sendable: one thread at a time.
public final class AudioEncoder {
    public struct Configuration: Sendable, Equatable {
        public var codec: AudioCodec
        /// Hz; codecs that know one rate only (all but AAC) ignore it.
        public var sampleRate: Int
        /// 1 or 2; G.711 and G.722 are always mono.
        public var channels: Int
        /// Bit/s for Opus and AAC, 6 000…510 000.
        public var bitrate: Int
        /// Milliseconds of sound in a packet: 10, 20, 40 or 60. AAC has its own (1024 samples).
        public var packetMilliseconds: Int

        public init(codec: AudioCodec, sampleRate: Int = 48_000, channels: Int = 2, bitrate: Int = 64_000, packetMilliseconds: Int = 20) {
            self.codec = codec
            self.sampleRate = codec.fixedSampleRate ?? sampleRate
            self.channels = min(channels, codec.maximumChannels)
            self.bitrate = bitrate
            self.packetMilliseconds = packetMilliseconds
        }
    }

    public let configuration: Configuration
    /// Samples per channel in one packet.
    public let packetSamples: Int
    /// Samples by which what a packet decodes to lies before its timestamp: AAC's overlap, Opus's look-ahead. Whoever writes a file
    /// subtracts them; real-time receivers don't.
    public let delay: Int
    /// The codec's out-of-band header (AAC's AudioSpecificConfig, OpusHead); empty for the others.
    public let extradata: [UInt8]
    private let codec: CodecContext
    private let resampler: Resampler
    private var pending: [Float] = []
    private var nextTimestamp: Int64?
    private var outputTimestamp: Int64?

    /// - Throws: `.invalid`, `.unavailable`, `.failed`.
    public init(_ configuration: Configuration) throws(CodecError) {
        guard [10, 20, 40, 60].contains(configuration.packetMilliseconds), (6_000...510_000).contains(configuration.bitrate) else {
            throw .invalid("Audio packets last 10, 20, 40 or 60 ms and their bitrate is 6000 to 510000 bit/s.")
        }
        self.configuration = configuration
        resampler = try Resampler(sampleRate: configuration.sampleRate, channels: configuration.channels)
        codec = try CodecContext.encoder(configuration.codec.encoderNames)
        let context = codec.context
        context.pointee.sample_rate = Int32(configuration.sampleRate)
        av_channel_layout_default(&context.pointee.ch_layout, Int32(configuration.channels))
        context.pointee.time_base = AVRational(num: 1, den: Int32(configuration.sampleRate))
        context.pointee.sample_fmt = switch configuration.codec {
        case .opus: AV_SAMPLE_FMT_FLT
        case .aac: AV_SAMPLE_FMT_FLTP
        default: AV_SAMPLE_FMT_S16
        }
        var options: [String: String] = [:]
        switch configuration.codec {
        case .opus:
            context.pointee.bit_rate = Int64(configuration.bitrate)
            options = ["frame_duration": "\(configuration.packetMilliseconds)", "application": "audio", "vbr": "on"]
        case .aac:
            context.pointee.bit_rate = Int64(configuration.bitrate)
            context.pointee.flags |= Int32(AV_CODEC_FLAG_GLOBAL_HEADER)
        case .g722:
            // Left alone, the encoder chooses a frame size of its own.
            context.pointee.frame_size = Int32(configuration.sampleRate * configuration.packetMilliseconds / 1000)
        default: break
        }
        try codec.open(options: options)
        let codecSize = Int(context.pointee.frame_size)
        packetSamples = codecSize > 0 ? codecSize : configuration.sampleRate * configuration.packetMilliseconds / 1000
        delay = Int(context.pointee.initial_padding)
        if let data = context.pointee.extradata, context.pointee.extradata_size > 0 {
            extradata = Array(UnsafeBufferPointer(start: data, count: Int(context.pointee.extradata_size)))
        } else {
            extradata = []
        }
    }

    /// Takes any amount of sound, converts it as needed and returns the packets that are full.
    /// Their timestamps count samples at the configured rate, from the first frame's time on.
    public func encode(_ frame: AudioFrame) throws(CodecError) -> [EncodedPacket] {
        let converted = try resampler.convert(frame)
        if nextTimestamp == nil {
            nextTimestamp = converted.timestamp
            outputTimestamp = converted.timestamp
        }
        pending += converted.samples
        var packets: [EncodedPacket] = []
        let size = packetSamples * configuration.channels
        var start = 0
        while pending.count - start >= size {
            try send(pending[start..<start + size])
            start += size
            for var packet in try codec.receivePackets() {
                // Counted here: FFmpeg's own times are shifted by the codec's delay, which real-time receivers don't expect.
                packet.timestamp = outputTimestamp ?? converted.timestamp
                packet.duration = Int64(packetSamples)
                outputTimestamp = packet.timestamp.addingSaturating(packet.duration)
                packets.append(packet)
            }
        }
        pending.removeFirst(start)
        return packets
    }

    /// Drops what is not yet a full packet and counts on from `timestamp` (samples at the configured rate): after a gap in the input.
    public func restart(at timestamp: Int64) {
        pending.removeAll(keepingCapacity: true)
        nextTimestamp = timestamp
        outputTimestamp = timestamp
    }

    private func send(_ samples: ArraySlice<Float>) throws(CodecError) {
        let frame = codec.frame
        defer { av_frame_unref(frame) }
        frame.pointee.nb_samples = Int32(packetSamples)
        frame.pointee.format = codec.context.pointee.sample_fmt.rawValue
        frame.pointee.sample_rate = Int32(configuration.sampleRate)
        av_channel_layout_default(&frame.pointee.ch_layout, Int32(configuration.channels))
        try check(av_frame_get_buffer(frame, 0), "Allocating a sound frame")
        let channels = configuration.channels
        switch codec.context.pointee.sample_fmt {
        case AV_SAMPLE_FMT_S16:
            frame.pointee.data.0?.withMemoryRebound(to: Int16.self, capacity: samples.count) { output in
                for (index, sample) in samples.enumerated() { output[index] = Int16(max(-1, min(1, sample)) * 32767) }
            }
        case AV_SAMPLE_FMT_FLT:
            frame.pointee.data.0?.withMemoryRebound(to: Float.self, capacity: samples.count) { output in
                for (index, sample) in samples.enumerated() { output[index] = sample }
            }
        default:
            let planes = [frame.pointee.data.0, frame.pointee.data.1]
            for channel in 0..<channels {
                planes[channel]?.withMemoryRebound(to: Float.self, capacity: packetSamples) { output in
                    for index in 0..<packetSamples { output[index] = samples[samples.startIndex + index * channels + channel] }
                }
            }
        }
        let timestamp = nextTimestamp ?? 0
        frame.pointee.pts = timestamp
        nextTimestamp = timestamp.addingSaturating(Int64(packetSamples))
        try check(avcodec_send_frame(codec.context, frame), "Encoding with \(codec.name)")
    }
}
