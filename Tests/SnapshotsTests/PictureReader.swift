// SPDX-License-Identifier: Apache-2.0
import CFFmpeg
import Codecs
import MediaTools

/// Reads PNG and JPEG files back, by FFmpeg's decoders.
enum PictureReader {
    struct Failure: Error {}

    private static func frame<Result>(_ bytes: [UInt8], _ body: (UnsafeMutablePointer<AVFrame>) throws -> Result) throws -> Result {
        let id = bytes.starts(with: [0x89, 0x50, 0x4e, 0x47]) ? AV_CODEC_ID_PNG : AV_CODEC_ID_MJPEG
        guard let codec = avcodec_find_decoder(id), let context = avcodec_alloc_context3(codec), let packet = av_packet_alloc(),
            let frame = av_frame_alloc()
        else { throw Failure() }
        defer {
            var context: UnsafeMutablePointer<AVCodecContext>? = context
            var packet: UnsafeMutablePointer<AVPacket>? = packet
            var frame: UnsafeMutablePointer<AVFrame>? = frame
            avcodec_free_context(&context)
            av_packet_free(&packet)
            av_frame_free(&frame)
        }
        guard avcodec_open2(context, codec, nil) >= 0, av_new_packet(packet, Int32(bytes.count)) >= 0 else { throw Failure() }
        packet.pointee.data.update(from: bytes, count: bytes.count)
        guard avcodec_send_packet(context, packet) >= 0 else { throw Failure() }
        _ = avcodec_send_packet(context, nil)
        guard avcodec_receive_frame(context, frame) >= 0 else { throw Failure() }
        return try body(frame)
    }

    static func rgb(_ bytes: [UInt8]) throws -> RGBImage {
        try frame(bytes) { frame in
            let width = Int(frame.pointee.width), height = Int(frame.pointee.height)
            guard let scaler = sws_getContext(
                frame.pointee.width, frame.pointee.height, AVPixelFormat(frame.pointee.format), frame.pointee.width, frame.pointee.height,
                AV_PIX_FMT_RGB24, SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT, nil, nil, nil)
            else { throw Failure() }
            defer { sws_freeContext(scaler) }
            var pixels = [UInt8](repeating: 0, count: width * height * 3)
            let data = frame.pointee.data, lines = frame.pointee.linesize
            pixels.withUnsafeMutableBufferPointer { buffer in
                let source: [UnsafePointer<UInt8>?] = [UnsafePointer(data.0), UnsafePointer(data.1), UnsafePointer(data.2), nil]
                let target: [UnsafeMutablePointer<UInt8>?] = [buffer.baseAddress, nil, nil, nil]
                _ = sws_scale(scaler, source, [lines.0, lines.1, lines.2, 0], 0, frame.pointee.height, target, [Int32(width * 3), 0, 0, 0])
            }
            return RGBImage(width: width, height: height, pixels: pixels)
        }
    }

    /// What the burnt-in clock says.
    static func clock(_ bytes: [UInt8]) throws -> UInt32? {
        let image = try rgb(bytes)
        let frame = try VideoFrame(width: image.width, height: image.height, timestamp: 0) { canvas in
            for y in 0..<image.height {
                for x in 0..<image.width {
                    guard let colour = image[x, y] else { continue }
                    canvas.fill(x: x, y: y, width: 1, height: 1, YUVColour(red: colour.red, green: colour.green, blue: colour.blue))
                }
            }
        }
        return BurntInClock.read(from: frame)
    }
}
