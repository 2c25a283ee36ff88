// SPDX-License-Identifier: Apache-2.0
// Writes a decoded picture as PNG or JPEG: right colours, scaled to fit, turned upright. Owned by one thread of a worker.
import CFFmpeg

/// Keeps its tables between calls. Not Sendable: one thread at a time.
public final class PictureEncoder {
    private var toRGB: OpaquePointer?
    private var toJPEG: OpaquePointer?

    public init() {}

    deinit {
        sws_freeContext(toRGB)
        sws_freeContext(toJPEG)
    }

    /// - Parameter rotation: applied after scaling; the box of `format` is meant for the upright picture.
    public func encode(
        _ picture: DecodedPicture, as format: PictureFormat, rotation: PictureRotation = .none
    ) throws(CodecError) -> EncodedPicture {
        let upright = rotation.swapsSides
            ? format.fitted(width: picture.height, height: picture.width) : format.fitted(width: picture.width, height: picture.height)
        let lying = rotation.swapsSides ? (upright.height, upright.width) : upright
        var rgb = try Self.allocate(width: lying.0, height: lying.1, format: AV_PIX_FMT_RGB24)
        defer { Self.free(rgb) }
        try convert(picture.frame, to: rgb)
        if rotation != .none {
            let turned = try Self.allocate(width: upright.width, height: upright.height, format: AV_PIX_FMT_RGB24)
            Self.turn(rgb, into: turned, rotation)
            Self.free(rgb)
            rgb = turned
        }
        let bytes = format.kind == .png ? try png(rgb, compression: format.compression) : try jpeg(rgb, quality: format.quality)
        return EncodedPicture(bytes: bytes, width: upright.width, height: upright.height)
    }

    // MARK: colours

    /// To full-range RGB by the range and the matrix that the bitstream named; BT.601, as browsers assume, where it named none.
    private func convert(_ source: UnsafeMutablePointer<AVFrame>, to target: UnsafeMutablePointer<AVFrame>) throws(CodecError) {
        let isScaled = source.pointee.width != target.pointee.width || source.pointee.height != target.pointee.height
        // Scaling down needs an averaging filter, or fine structure shimmers. Without scaling the quick path is exact enough.
        let flags = isScaled ? SWS_AREA | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT : SWS_BILINEAR
        toRGB = sws_getCachedContext(
            toRGB, source.pointee.width, source.pointee.height, AVPixelFormat(source.pointee.format), target.pointee.width,
            target.pointee.height, AV_PIX_FMT_RGB24, Int32(flags), nil, nil, nil)
        guard let toRGB else { throw .invalid("A picture of pixel format \(source.pointee.format) can't be converted to RGB.") }
        let isFull = source.pointee.color_range == AVCOL_RANGE_JPEG || Self.isFullRangeFormat(source.pointee.format)
        let matrix = sws_getCoefficients(Self.matrix(of: source.pointee.colorspace))
        sws_setColorspaceDetails(toRGB, matrix, isFull ? 1 : 0, sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16, 1 << 16)
        try run(toRGB, source, target, "Converting a picture to RGB")
    }

    /// H.264 of older FFmpeg says "full range" by the format instead of the tag.
    private static func isFullRangeFormat(_ format: Int32) -> Bool {
        [AV_PIX_FMT_YUVJ420P, AV_PIX_FMT_YUVJ422P, AV_PIX_FMT_YUVJ444P, AV_PIX_FMT_YUVJ440P].contains { $0.rawValue == format }
    }

    private static func matrix(of space: AVColorSpace) -> Int32 {
        switch space {
        case AVCOL_SPC_BT709: SWS_CS_ITU709
        case AVCOL_SPC_FCC: SWS_CS_FCC
        case AVCOL_SPC_SMPTE240M: SWS_CS_SMPTE240M
        case AVCOL_SPC_BT2020_NCL, AVCOL_SPC_BT2020_CL: SWS_CS_BT2020
        default: SWS_CS_ITU601
        }
    }

    // MARK: turning

    private static func turn(
        _ source: UnsafeMutablePointer<AVFrame>, into target: UnsafeMutablePointer<AVFrame>, _ rotation: PictureRotation
    ) {
        guard let from = source.pointee.data.0, let to = target.pointee.data.0 else { return }
        let width = Int(source.pointee.width), height = Int(source.pointee.height)
        let fromStride = Int(source.pointee.linesize.0), toStride = Int(target.pointee.linesize.0)
        for y in 0..<height {
            // Where the row's first pixel goes, and how far apart its pixels are there.
            let (start, step) = switch rotation {
            case .none: (y * toStride, 3)
            case .quarter: ((height - 1 - y) * 3, toStride)
            case .half: ((height - 1 - y) * toStride + (width - 1) * 3, -3)
            case .threeQuarters: ((width - 1) * toStride + y * 3, -toStride)
            }
            var read = from + y * fromStride, write = to + start
            for _ in 0..<width {
                write[0] = read[0]
                write[1] = read[1]
                write[2] = read[2]
                read += 3
                write += step
            }
        }
    }

    // MARK: files

    private func png(_ rgb: UnsafeMutablePointer<AVFrame>, compression: Int) throws(CodecError) -> [UInt8] {
        try write(rgb, encoder: "png", options: ["pred": compression < 3 ? "sub" : "mixed"]) { context in
            context.pointee.compression_level = Int32(compression)
        }
    }

    private func jpeg(_ rgb: UnsafeMutablePointer<AVFrame>, quality: Int) throws(CodecError) -> [UInt8] {
        let yuv = try Self.allocate(
            width: Int(rgb.pointee.width), height: Int(rgb.pointee.height), format: AV_PIX_FMT_YUVJ420P)
        defer { Self.free(yuv) }
        toJPEG = sws_getCachedContext(
            toJPEG, rgb.pointee.width, rgb.pointee.height, AV_PIX_FMT_RGB24, rgb.pointee.width, rgb.pointee.height,
            AV_PIX_FMT_YUVJ420P, Int32(SWS_BILINEAR | SWS_ACCURATE_RND), nil, nil, nil)
        guard let toJPEG else { throw .invalid("A picture of \(rgb.pointee.width)x\(rgb.pointee.height) can't be written as JPEG.") }
        let jfif = sws_getCoefficients(SWS_CS_ITU601)
        sws_setColorspaceDetails(toJPEG, jfif, 1, jfif, 1, 0, 1 << 16, 1 << 16)
        try run(toJPEG, rgb, yuv, "Converting a picture for JPEG")
        // FFmpeg's scale goes from 2 (best) to 31.
        let scale = Int32(2 + (100 - quality) * 29 / 99) * FF_QP2LAMBDA
        yuv.pointee.quality = scale
        yuv.pointee.color_range = AVCOL_RANGE_JPEG
        return try write(yuv, encoder: "mjpeg", options: [:]) { context in
            context.pointee.flags |= Int32(AV_CODEC_FLAG_QSCALE)
            context.pointee.global_quality = scale
            context.pointee.color_range = AVCOL_RANGE_JPEG
        }
    }

    private func write(
        _ frame: UnsafeMutablePointer<AVFrame>, encoder: String, options: [String: String],
        _ configure: (UnsafeMutablePointer<AVCodecContext>) -> Void
    ) throws(CodecError) -> [UInt8] {
        let codec = try CodecContext.encoder([encoder])
        let context = codec.context
        context.pointee.width = frame.pointee.width
        context.pointee.height = frame.pointee.height
        context.pointee.pix_fmt = AVPixelFormat(frame.pointee.format)
        context.pointee.time_base = AVRational(num: 1, den: 90_000)
        context.pointee.thread_count = 1
        configure(context)
        try codec.open(options: options)
        frame.pointee.pts = 0
        try check(avcodec_send_frame(context, frame), "Writing a picture as \(encoder)")
        if let packet = try codec.receivePackets().first { return packet.bytes }
        try check(avcodec_send_frame(context, nil), "Writing a picture as \(encoder)")
        guard let packet = try codec.receivePackets().first else {
            throw .failed(operation: "Writing a picture as \(encoder)", reason: "nothing came out")
        }
        return packet.bytes
    }

    // MARK: frames

    private static func allocate(width: Int, height: Int, format: AVPixelFormat) throws(CodecError) -> UnsafeMutablePointer<AVFrame> {
        guard let frame = av_frame_alloc() else { throw .outOfMemory }
        frame.pointee.width = Int32(width)
        frame.pointee.height = Int32(height)
        frame.pointee.format = format.rawValue
        guard av_frame_get_buffer(frame, 0) == 0 else {
            free(frame)
            throw .outOfMemory
        }
        return frame
    }

    private static func free(_ frame: UnsafeMutablePointer<AVFrame>) {
        var frame: UnsafeMutablePointer<AVFrame>? = frame
        av_frame_free(&frame)
    }

    private func run(
        _ context: OpaquePointer, _ source: UnsafeMutablePointer<AVFrame>, _ target: UnsafeMutablePointer<AVFrame>, _ operation: String
    ) throws(CodecError) {
        func pointers(_ frame: UnsafeMutablePointer<AVFrame>) -> [UnsafeMutablePointer<UInt8>?] {
            let data = frame.pointee.data
            return [data.0, data.1, data.2, data.3]
        }
        func strides(_ frame: UnsafeMutablePointer<AVFrame>) -> [Int32] {
            let lines = frame.pointee.linesize
            return [lines.0, lines.1, lines.2, lines.3]
        }
        try check(
            sws_scale(
                context, pointers(source).map { UnsafePointer($0) }, strides(source), 0, source.pointee.height, pointers(target),
                strides(target)),
            operation)
    }
}
