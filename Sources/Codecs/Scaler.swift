// SPDX-License-Identifier: Apache-2.0
// Changes the size of pictures and turns them into RGB. Owned by one thread; keeps its tables between calls.
import CFFmpeg

/// Scales I420 pictures and converts them to RGB. Not Sendable: one thread at a time.
public final class Scaler {
    private var context: OpaquePointer?
    private let flags: Int32

    /// - Parameter isFast: bilinear, with less care for colours: a third of the time.
    public init(isFast: Bool = false) {
        // Scaling down by much needs an averaging filter, or the picture shimmers.
        flags = Int32(isFast ? SWS_BILINEAR : SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT)
    }

    deinit { sws_freeContext(context) }

    /// A picture of `width` x `height` with the same timestamp; the same one when the size fits already.
    public func scale(_ frame: VideoFrame, width: Int, height: Int) throws(CodecError) -> VideoFrame {
        if frame.width == width, frame.height == height { return frame }
        return try convert(frame.frame, width: width, height: height, timestamp: frame.timestamp)
    }

    /// The picture as RGB; the matrix follows the picture's colour tags, BT.601 where there are none.
    public func rgb(_ frame: VideoFrame) throws(CodecError) -> RGBImage {
        let source = frame.frame
        try prepare(source, width: frame.width, height: frame.height, format: AV_PIX_FMT_RGB24)
        var pixels = [UInt8](repeating: 0, count: frame.width * frame.height * 3)
        let stride = Int32(frame.width * 3)
        let lines = pixels.withUnsafeMutableBufferPointer { buffer -> Int32 in
            let destination: [UnsafeMutablePointer<UInt8>?] = [buffer.baseAddress, nil, nil, nil]
            let strides: [Int32] = [stride, 0, 0, 0]
            return run(source, destination, strides)
        }
        try check(lines, "Converting a picture to RGB")
        return RGBImage(width: frame.width, height: frame.height, pixels: pixels)
    }

    /// Converts any picture FFmpeg knows to I420 of the size given.
    func convert(
        _ source: UnsafeMutablePointer<AVFrame>, width: Int, height: Int, timestamp: Int64
    ) throws(CodecError) -> VideoFrame {
        let target = try VideoFrame.allocate(width: width, height: height)
        let result = VideoFrame(adopting: target, timestamp: timestamp)  // owns `target` from here on
        target.pointee.colorspace = source.pointee.colorspace
        try prepare(source, width: width, height: height, format: AV_PIX_FMT_YUV420P)
        let data = target.pointee.data, linesize = target.pointee.linesize
        let lines = run(source, [data.0, data.1, data.2, nil], [linesize.0, linesize.1, linesize.2, 0])
        try check(lines, "Scaling a picture")
        return result
    }

    private func prepare(
        _ source: UnsafeMutablePointer<AVFrame>, width: Int, height: Int, format: AVPixelFormat
    ) throws(CodecError) {
        context = sws_getCachedContext(
            context, source.pointee.width, source.pointee.height, AVPixelFormat(source.pointee.format),
            Int32(width), Int32(height), format, flags, nil, nil, nil)
        guard let context else {
            throw .invalid("A picture of \(source.pointee.width)x\(source.pointee.height) can't be scaled to \(width)x\(height).")
        }
        let matrix = source.pointee.colorspace == AVCOL_SPC_BT709 ? SWS_CS_ITU709 : SWS_CS_ITU601
        let coefficients = sws_getCoefficients(Int32(matrix))
        let fullRange: Int32 = source.pointee.color_range == AVCOL_RANGE_JPEG ? 1 : 0
        sws_setColorspaceDetails(context, coefficients, fullRange, coefficients, format == AV_PIX_FMT_RGB24 ? 1 : 0, 0, 1 << 16, 1 << 16)
    }

    private func run(
        _ source: UnsafeMutablePointer<AVFrame>, _ destination: [UnsafeMutablePointer<UInt8>?], _ strides: [Int32]
    ) -> Int32 {
        let data = source.pointee.data, linesize = source.pointee.linesize
        let planes: [UnsafePointer<UInt8>?] = [
            UnsafePointer(data.0), UnsafePointer(data.1), UnsafePointer(data.2), UnsafePointer(data.3),
        ]
        let sourceStrides = [linesize.0, linesize.1, linesize.2, linesize.3]
        return sws_scale(context, planes, sourceStrides, 0, source.pointee.height, destination, strides)
    }
}
