// SPDX-License-Identifier: Apache-2.0
// Video encoder: pictures in, access units out in the same order; for live media one for one, without look-ahead.
// Owned by one thread (a publish pipeline, a mixer).
import CFFmpeg

/// Encodes I420 pictures as H.264 (x264), VP8, VP9 (libvpx) or AV1 (libaom, else SVT-AV1).
/// Not Sendable: one thread at a time.
public final class VideoEncoder {
    /// Whom the result is for.
    public enum Purpose: Sendable {
        /// Receivers that decode at once: a packet for each picture, no B-frames.
        case live
        /// A file (H.264 only): packets come late, quality is constant and `bitrate` its limit. No B-frames either.
        case file
    }

    /// What to encode and how well.
    public struct Configuration: Sendable, Equatable {
        public var codec: VideoCodec
        /// Pixels. H.264 in 4:2:0 can't say odd sizes: the last column or row is cropped off there, as browsers do.
        public var width: Int
        public var height: Int
        /// Frames per second, 1…240; the rate control's expectation, the true times are the frames' own.
        public var frameRate: Int
        /// Bit/s, 10 000…100 000 000; kept on average over about a second.
        public var bitrate: Int
        /// Frames between two key frames; 0: only the first and on demand.
        public var keyFrameInterval: Int
        /// Encoder threads, 1…16.
        public var threads: Int
        /// H.264: spend half the time and some more bits.
        public var isQuick = false
        public var purpose: Purpose

        public init(
            codec: VideoCodec, width: Int, height: Int, frameRate: Int = 30, bitrate: Int = 1_000_000,
            keyFrameInterval: Int = 0, threads: Int = 1, purpose: Purpose = .live
        ) {
            self.codec = codec
            self.width = width
            self.height = height
            self.frameRate = frameRate
            self.bitrate = bitrate
            self.keyFrameInterval = keyFrameInterval
            self.threads = threads
            self.purpose = purpose
        }

        /// The size that comes out: as asked, but even for H.264.
        public var encodedSize: (width: Int, height: Int) {
            codec == .h264 ? (width & ~1, height & ~1) : (width, height)
        }
    }

    public let configuration: Configuration
    private let codec: CodecContext

    /// - Throws: `.invalid` for values outside their ranges, `.unavailable`, `.failed`.
    public init(_ configuration: Configuration) throws(CodecError) {
        try Self.validate(configuration)
        self.configuration = configuration
        codec = try CodecContext.encoder(configuration.codec.encoderNames)
        let context = codec.context
        context.pointee.width = Int32(configuration.encodedSize.width)
        context.pointee.height = Int32(configuration.encodedSize.height)
        context.pointee.pix_fmt = AV_PIX_FMT_YUV420P
        context.pointee.time_base = AVRational(num: 1, den: 90_000)
        context.pointee.framerate = AVRational(num: Int32(configuration.frameRate), den: 1)
        let isFile = configuration.purpose == .file && configuration.codec == .h264
        context.pointee.bit_rate = isFile ? 0 : Int64(configuration.bitrate)
        context.pointee.gop_size = configuration.keyFrameInterval > 0 ? Int32(configuration.keyFrameInterval) : 1_000_000
        context.pointee.max_b_frames = 0
        context.pointee.thread_count = Int32(configuration.threads)
        context.pointee.colorspace = AVCOL_SPC_SMPTE170M
        context.pointee.color_primaries = AVCOL_PRI_SMPTE170M
        context.pointee.color_trc = AVCOL_TRC_SMPTE170M
        context.pointee.color_range = AVCOL_RANGE_MPEG
        if !isFile { context.pointee.flags |= Int32(AV_CODEC_FLAG_LOW_DELAY) }
        if codec.name != "libsvtav1" {
            context.pointee.rc_max_rate = Int64(configuration.bitrate)
            if codec.name != "libx264" { context.pointee.rc_min_rate = Int64(configuration.bitrate) }
            context.pointee.rc_buffer_size = Int32(configuration.bitrate) * (isFile ? 2 : 1)
        }
        try codec.open(options: Self.options(encoder: codec.name, configuration))
    }

    private static func validate(_ configuration: Configuration) throws(CodecError) {
        let size = configuration.encodedSize
        guard (16...VideoFrame.maximumSide).contains(size.width), (16...VideoFrame.maximumSide).contains(size.height) else {
            throw .invalid("A video of \(configuration.width)x\(configuration.height) can't be encoded; each side must be 16 to \(VideoFrame.maximumSide) pixels.")
        }
        guard (1...240).contains(configuration.frameRate) else {
            throw .invalid("A frame rate of \(configuration.frameRate) is not possible; use 1 to 240.")
        }
        guard (10_000...100_000_000).contains(configuration.bitrate) else {
            throw .invalid("A video bitrate of \(configuration.bitrate) bit/s is not possible; use 10000 to 100000000.")
        }
        guard (1...16).contains(configuration.threads), configuration.keyFrameInterval >= 0 else {
            throw .invalid("Encoder threads must be 1 to 16 and the key frame interval not negative.")
        }
    }

    private static func options(encoder: String, _ configuration: Configuration) -> [String: String] {
        switch encoder {
        case "libx264" where configuration.purpose == .file:
            ["preset": "veryfast", "profile": "high", "crf": "23"]
        case "libx264":
            // Scene cuts off: key frames come when asked for and at the interval only.
            ["preset": configuration.isQuick ? "superfast" : "veryfast", "tune": "zerolatency", "profile": "baseline", "forced-idr": "1", "sc_threshold": "0"]
        case "libvpx":
            ["deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "auto-alt-ref": "0", "max-intra-rate": "600"]
        case "libvpx-vp9":
            ["deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "auto-alt-ref": "0", "row-mt": "1",
             "max-intra-rate": "600"]
        case "libaom-av1":
            ["usage": "realtime", "cpu-used": "8", "lag-in-frames": "0", "row-mt": "1"]
        case "libsvtav1":
            ["preset": "12", "svtav1-params": "pred-struct=1"]
        default: [:]
        }
    }

    /// Encodes one picture of the configured size. `timestamp` of the frame (90 kHz) must grow from call to call.
    /// - Parameter forceKeyFrame: makes this picture one that a decoder can start at.
    /// - Returns: normally one packet; none if the rate control dropped the picture.
    public func encode(_ frame: VideoFrame, forceKeyFrame: Bool = false) throws(CodecError) -> [EncodedPacket] {
        guard frame.width == configuration.width, frame.height == configuration.height else {
            throw .invalid("The encoder was made for \(configuration.width)x\(configuration.height) and got a picture of \(frame.width)x\(frame.height).")
        }
        // A new reference to the same pixels, so that what is set here never shows on the shared frame.
        guard let reference = av_frame_clone(frame.frame) else { throw .outOfMemory }
        defer {
            var doomed: UnsafeMutablePointer<AVFrame>? = reference
            av_frame_free(&doomed)
        }
        reference.pointee.width = codec.context.pointee.width
        reference.pointee.height = codec.context.pointee.height
        reference.pointee.pts = frame.timestamp
        reference.pointee.pict_type = forceKeyFrame ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE
        reference.pointee.key_frame = forceKeyFrame ? 1 : 0
        try check(avcodec_send_frame(codec.context, reference), "Encoding with \(codec.name)")
        return try codec.receivePackets()
    }

    /// Ends the stream and returns what was still inside; the encoder takes nothing afterwards.
    public func finish() throws(CodecError) -> [EncodedPacket] {
        try check(avcodec_send_frame(codec.context, nil), "Finishing \(codec.name)")
        return try codec.receivePackets()
    }
}
