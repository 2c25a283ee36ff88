// SPDX-License-Identifier: Apache-2.0
// Decodes a run of frames for the sake of the last one: no conversion, no copies, damage noticed. Owned by one thread of a worker.
import CFFmpeg

/// A video decoder that keeps only the newest picture. Not Sendable: one thread at a time.
public final class PictureDecoder {
    public let videoCodec: VideoCodec
    private let codec: CodecContext
    /// The newest undamaged picture.
    public private(set) var newest: DecodedPicture?
    /// A picture came out with damage that the decoder had to invent something for; its successors show it too.
    public private(set) var isDamaged = false

    /// - Parameter extradata: out-of-band headers (H.264 parameter sets in Annex B), empty for streams that carry them in band.
    /// - Throws: `.unavailable`, `.failed`.
    public init(_ videoCodec: VideoCodec, extradata: [UInt8] = [], threads: Int = 1) throws(CodecError) {
        self.videoCodec = videoCodec
        codec = try CodecContext.decoder(videoCodec.decoderNames)
        let context = codec.context
        // One in, one out: the decoder is kept for the next picture of the stream and may hold nothing back.
        context.pointee.flags |= Int32(AV_CODEC_FLAG_LOW_DELAY)
        context.pointee.thread_count = Int32(min(16, max(1, threads)))
        context.pointee.thread_type = Int32(FF_THREAD_SLICE)
        context.pointee.pkt_timebase = AVRational(num: 1, den: 90_000)
        context.pointee.max_pixels = Int64(VideoFrame.maximumSide * VideoFrame.maximumSide)
        try codec.setExtradata(extradata)
        try codec.open(options: [:])
    }

    /// Decodes one access unit (H.264: Annex B; AV1: low-overhead temporal unit; VP8, VP9: a frame).
    /// - Throws: `.failed` when the codec rejects it; what follows up to the next key frame is worthless then.
    public func decode(_ bytes: [UInt8], timestamp: Int64) throws(CodecError) {
        let sent: Result<Void, CodecError> = bytes.withUnsafeBytes { buffer in
            do throws(CodecError) { return .success(try codec.send(buffer, timestamp: timestamp)) } catch { return .failure(error) }
        }
        try sent.get()
        while try codec.receiveFrame() {
            defer { av_frame_unref(codec.frame) }
            let frame = codec.frame.pointee
            if frame.flags & AV_FRAME_FLAG_CORRUPT != 0 || frame.decode_error_flags != 0 { isDamaged = true }
            guard !isDamaged, frame.width >= 2, frame.height >= 2 else { continue }
            guard let clone = av_frame_clone(codec.frame) else { throw .outOfMemory }
            // Where VP9 and AV1 leave the matrix open browsers take BT.709, for the older codecs BT.601 (the encoder's default).
            if clone.pointee.colorspace == AVCOL_SPC_UNSPECIFIED, videoCodec == .vp9 || videoCodec == .av1 {
                clone.pointee.colorspace = AVCOL_SPC_BT709
            }
            newest = DecodedPicture(adopting: clone, timestamp: frame.pts == martlet_ff_no_timestamp ? timestamp : frame.pts)
        }
    }
}
