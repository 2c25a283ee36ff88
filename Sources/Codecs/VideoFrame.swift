// SPDX-License-Identifier: Apache-2.0
// One uncompressed picture, always I420 (8 bit, 4:2:0, limited range). Made by decoders, the scaler and test patterns;
// taken by encoders and readers.
import CFFmpeg

/// A picture that owns its FFmpeg frame.
///
/// Thread rule: the pixels are written only inside the initialisers; afterwards nobody changes them, so a frame may be
/// handed to and read from any number of threads. FFmpeg's own reference counts are atomic.
public final class VideoFrame: @unchecked Sendable {  // safe: immutable after init, see the thread rule
    let frame: UnsafeMutablePointer<AVFrame>
    /// In pixels; odd numbers are allowed.
    public let width: Int
    public let height: Int
    /// Presentation time, 90 kHz ticks.
    public let timestamp: Int64

    /// The largest side of a picture that is taken.
    public static let maximumSide = 8192

    /// Takes over a reference made elsewhere in this module. It must be I420.
    init(adopting frame: UnsafeMutablePointer<AVFrame>, timestamp: Int64) {
        self.frame = frame
        width = Int(frame.pointee.width)
        height = Int(frame.pointee.height)
        self.timestamp = timestamp
    }

    /// A new picture, drawn by `draw`. The canvas starts with undefined pixels and must not be kept.
    /// - Throws: `CodecError.invalid` for a size outside 2…8192.
    public convenience init(width: Int, height: Int, timestamp: Int64, draw: (inout I420Canvas) -> Void) throws(CodecError) {
        let frame = try Self.allocate(width: width, height: height)
        var canvas = I420Canvas(frame)
        draw(&canvas)
        self.init(adopting: frame, timestamp: timestamp)
    }

    /// A copy of `other` with `draw` painted over it.
    public convenience init(copying other: VideoFrame, timestamp: Int64, draw: (inout I420Canvas) -> Void) throws(CodecError) {
        let frame = try Self.allocate(width: other.width, height: other.height)
        av_frame_copy(frame, other.frame)
        var canvas = I420Canvas(frame)
        draw(&canvas)
        self.init(adopting: frame, timestamp: timestamp)
    }

    deinit {
        var frame: UnsafeMutablePointer<AVFrame>? = frame
        av_frame_free(&frame)
    }

    /// An I420 frame with memory of its own, its colours tagged as BT.601 limited range.
    static func allocate(width: Int, height: Int) throws(CodecError) -> UnsafeMutablePointer<AVFrame> {
        guard (2...maximumSide).contains(width), (2...maximumSide).contains(height) else {
            throw .invalid("A picture of \(width)x\(height) is not possible; each side must be 2 to \(maximumSide) pixels.")
        }
        guard let frame = av_frame_alloc() else { throw .outOfMemory }
        frame.pointee.width = Int32(width)
        frame.pointee.height = Int32(height)
        frame.pointee.format = AV_PIX_FMT_YUV420P.rawValue
        frame.pointee.colorspace = AVCOL_SPC_SMPTE170M
        frame.pointee.color_range = AVCOL_RANGE_MPEG
        guard av_frame_get_buffer(frame, 0) == 0 else {
            var doomed: UnsafeMutablePointer<AVFrame>? = frame
            av_frame_free(&doomed)
            throw .outOfMemory
        }
        return frame
    }

    /// Reads the pixels. The view must not be kept beyond `body`.
    public func read<Result>(_ body: (I420View) -> Result) -> Result { body(I420View(frame)) }

    /// The mean luma (0…255) of the whole picture: enough to tell black from not black.
    public var meanLuma: Int { read { $0.meanLuma(x: 0, y: 0, width: width, height: height) } }
}
