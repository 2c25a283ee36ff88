// SPDX-License-Identifier: Apache-2.0
// Video decoder without delay: an access unit in, its picture out. Owned by one thread (a play pipeline, later workers).
import CFFmpeg

/// Decodes H.264 (Annex B), VP8, VP9 or AV1 into I420 pictures. Not Sendable: one thread at a time.
///
/// Everything that comes from a remote may be damaged: `decode` throws for what the codec rejects, and can be called
/// on with later packets (best from the next key frame).
public final class VideoDecoder {
    public let videoCodec: VideoCodec
    private let codec: CodecContext
    private var converter: Scaler?

    /// - Parameters:
    ///   - extradata: out-of-band headers of a container, empty for streams that carry them in band.
    ///   - reordersFrames: give pictures in display order, late if need be (files with B-frames); otherwise each at once.
    ///   - maximumPixels: larger frames are refused by `decode`.
    /// - Throws: `.unavailable`, `.failed`.
    public init(
        _ videoCodec: VideoCodec, extradata: [UInt8] = [], reordersFrames: Bool = false, threads: Int = 1,
        maximumPixels: Int = VideoFrame.maximumSide * VideoFrame.maximumSide
    ) throws(CodecError) {
        self.videoCodec = videoCodec
        codec = try CodecContext.decoder(videoCodec.decoderNames)
        let context = codec.context
        if !reordersFrames { context.pointee.flags |= Int32(AV_CODEC_FLAG_LOW_DELAY) }
        context.pointee.thread_count = Int32(min(16, max(1, threads)))
        // Frame threads add one picture of delay each; slices don't.
        context.pointee.thread_type = Int32(FF_THREAD_SLICE)
        context.pointee.pkt_timebase = AVRational(num: 1, den: 90_000)
        context.pointee.max_pixels = Int64(max(1, min(maximumPixels, VideoFrame.maximumSide * VideoFrame.maximumSide)))
        try codec.setExtradata(extradata)
        try codec.open(options: [:])
    }

    /// Decodes one access unit.
    /// - Parameter timestamp: 90 kHz ticks; comes back on the picture.
    /// - Returns: the pictures that are ready; one as a rule.
    public func decode(_ bytes: UnsafeRawBufferPointer, timestamp: Int64) throws(CodecError) -> [VideoFrame] {
        try codec.send(bytes, timestamp: timestamp)
        return try drain()
    }

    /// The same for an array.
    public func decode(_ bytes: [UInt8], timestamp: Int64) throws(CodecError) -> [VideoFrame] {
        let result: Result<[VideoFrame], CodecError> = bytes.withUnsafeBytes { buffer in
            do throws(CodecError) { return .success(try decode(buffer, timestamp: timestamp)) } catch { return .failure(error) }
        }
        return try result.get()
    }

    /// Ends the stream and returns the pictures still inside; `reset()` makes the decoder usable again.
    public func finish() throws(CodecError) -> [VideoFrame] {
        try check(avcodec_send_packet(codec.context, nil), "Finishing \(codec.name)")
        return try drain()
    }

    /// Forgets all reference pictures: for a jump in the stream.
    public func reset() { avcodec_flush_buffers(codec.context) }

    private func drain() throws(CodecError) -> [VideoFrame] {
        var frames: [VideoFrame] = []
        while try codec.receiveFrame() {
            defer { av_frame_unref(codec.frame) }
            let time = codec.frame.pointee.pts
            let timestamp = time == martlet_ff_no_timestamp ? 0 : time
            guard codec.frame.pointee.width >= 2, codec.frame.pointee.height >= 2 else { continue }
            if codec.frame.pointee.format == AV_PIX_FMT_YUV420P.rawValue, codec.frame.pointee.color_range != AVCOL_RANGE_JPEG {
                guard let clone = av_frame_clone(codec.frame) else { throw .outOfMemory }
                frames.append(VideoFrame(adopting: clone, timestamp: timestamp))
            } else {
                let converter = self.converter ?? Scaler()
                self.converter = converter
                frames.append(try converter.convert(
                    codec.frame, width: Int(codec.frame.pointee.width), height: Int(codec.frame.pointee.height), timestamp: timestamp))
            }
        }
        return frames
    }
}
