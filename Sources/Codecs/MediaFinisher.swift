// SPDX-License-Identifier: Apache-2.0
// Turns a file as Muxer leaves it, finished or cut off in the middle, into one for downloads: index in front, right duration.
// Nothing is decoded but one picture for a thumbnail. Runs in a worker process.
import CFFmpeg
import Foundation
import Primitives

/// What a finished file holds.
public struct MediaSummary: Sendable, Equatable {
    public var milliseconds: Int64 = 0
    public var bytes: Int64 = 0
    /// Of the first video track; the largest picture. 0 = no video.
    public var width = 0, height = 0
    /// FFmpeg's names.
    public var videoCodec: String?
    public var audioCodec: String?
    public var videoFrames = 0
    public var tracks = 0

    public init() {}
}

public enum MediaFinisher {
    /// Copies all whole packets of `source` to `target`, index first.
    ///
    /// - Parameters:
    ///   - size: the largest picture, where it is known: players take their window from it.
    ///   - thumbnail: given a small JPEG of the first picture.
    /// - Throws: `.failed` when nothing of the source can be read, or the target can't be written. The source is left alone.
    public static func finish(
        _ source: String, as target: String, container: MediaContainer, size: (width: Int, height: Int)? = nil,
        thumbnail: ((EncodedPicture) -> Void)? = nil
    ) throws(CodecError) -> MediaSummary {
        let input = try MediaInput(source)
        let output = try Output(input, target, container, size)
        var summary = input.summary
        if let size, summary.videoCodec != nil, size.width > 0 { (summary.width, summary.height) = size }
        var thumbnail = thumbnail
        var start = Int64.max, end: Int64 = 0
        while let packet = input.next() {
            let index = Int(packet.pointee.stream_index)
            guard let stream = input.format.pointee.streams[index] else { continue }
            let microseconds = AVRational(num: 1, den: 1_000_000)
            let time = av_rescale_q(packet.pointee.pts, stream.pointee.time_base, microseconds)
            start = min(start, time)
            end = max(end, time.addingSaturating(av_rescale_q(packet.pointee.duration, stream.pointee.time_base, microseconds)))
            if index == input.videoIndex {
                summary.videoFrames += 1
                if packet.pointee.flags & AV_PKT_FLAG_KEY != 0, let take = thumbnail, let picture = input.picture(packet) {
                    take(picture)
                    thumbnail = nil
                }
            }
            try output.write(packet, from: stream)
        }
        guard start < .max else { throw .invalid("The file \(source) holds nothing that can be played.") }
        try output.finish()
        summary.milliseconds = max(0, end) / 1000
        var info = stat()
        if stat(target, &info) == 0 { summary.bytes = Int64(info.st_size) }
        return summary
    }

    /// What all whole packets of `source` come to. Nothing is written.
    /// - Throws: `.failed`, `.invalid` when nothing of the source can be read.
    public static func measure(_ source: String) throws(CodecError) -> MediaSummary {
        let input = try MediaInput(source)
        var summary = input.summary, end = Int64.min
        let microseconds = AVRational(num: 1, den: 1_000_000)
        while let packet = input.next() {
            let index = Int(packet.pointee.stream_index)
            guard let stream = input.format.pointee.streams[index] else { continue }
            let time = av_rescale_q(packet.pointee.pts, stream.pointee.time_base, microseconds)
            end = max(end, time.addingSaturating(av_rescale_q(packet.pointee.duration, stream.pointee.time_base, microseconds)))
            if index == input.videoIndex { summary.videoFrames += 1 }
        }
        guard end > .min else { throw .invalid("The file \(source) holds nothing that can be played.") }
        summary.milliseconds = max(0, end) / 1000
        var info = stat()
        if stat(source, &info) == 0 { summary.bytes = Int64(info.st_size) }
        return summary
    }
}

/// The file to be written. One thread.
private final class Output {
    private let format: UnsafeMutablePointer<AVFormatContext>
    private let path: String
    private var isFinished = false

    init(_ input: MediaInput, _ path: String, _ container: MediaContainer, _ size: (width: Int, height: Int)?) throws(CodecError) {
        self.path = path
        let plain = [AV_CODEC_ID_VP8, AV_CODEC_ID_VP9, AV_CODEC_ID_AV1, AV_CODEC_ID_OPUS]
        let streams = (0..<Int(input.format.pointee.nb_streams)).compactMap { input.format.pointee.streams[$0] }
        let isPlainWebM = streams.allSatisfy { plain.contains($0.pointee.codecpar.pointee.codec_id) }
        var made: UnsafeMutablePointer<AVFormatContext>?
        try check(avformat_alloc_output_context2(&made, nil, container.muxerName(isPlainWebM: isPlainWebM), path), "Making \(path)")
        guard let made else { throw .outOfMemory }
        format = made
        av_dict_copy(&made.pointee.metadata, input.format.pointee.metadata, 0)
        for source in streams {
            guard let stream = avformat_new_stream(made, nil) else { throw .outOfMemory }
            try check(avcodec_parameters_copy(stream.pointee.codecpar, source.pointee.codecpar), "Copying a track")
            stream.pointee.codecpar.pointee.codec_tag = 0
            stream.pointee.time_base = source.pointee.time_base
            av_dict_copy(&stream.pointee.metadata, source.pointee.metadata, 0)
            if source.pointee.codecpar.pointee.codec_type == AVMEDIA_TYPE_VIDEO {
                if let size, size.width > 0, streams.count <= 2 {
                    stream.pointee.codecpar.pointee.width = Int32(size.width)
                    stream.pointee.codecpar.pointee.height = Int32(size.height)
                }
                var length = 0
                if let matrix = av_stream_get_side_data(source, AV_PKT_DATA_DISPLAYMATRIX, &length),
                    let copy = av_stream_new_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, length) {
                    copy.update(from: matrix, count: length)
                }
            }
        }
        try check(avio_open(&made.pointee.pb, "file:" + path, AVIO_FLAG_WRITE), "Creating the file \(path)")
        try Muxer.writeHeader(made, container == .mp4 ? ["movflags": "faststart"] : ["cues_to_front": "1", "cluster_time_limit": "1000"])
    }

    deinit {
        if format.pointee.pb != nil { avio_closep(&format.pointee.pb) }
        avformat_free_context(format)
        if !isFinished { unlink(path) }
    }

    func write(_ packet: UnsafeMutablePointer<AVPacket>, from source: UnsafeMutablePointer<AVStream>) throws(CodecError) {
        guard let stream = format.pointee.streams[Int(packet.pointee.stream_index)] else { return }
        av_packet_rescale_ts(packet, source.pointee.time_base, stream.pointee.time_base)
        packet.pointee.pos = -1
        try check(av_interleaved_write_frame(format, packet), "Writing to \(path)")
    }

    func finish() throws(CodecError) {
        try check(av_write_trailer(format), "Finishing \(path)")
        avio_flush(format.pointee.pb)
        if let error = format.pointee.pb?.pointee.error, error < 0 {
            throw .failed(operation: "Writing to \(path)", reason: describeFFmpegError(error))
        }
        try check(avio_closep(&format.pointee.pb), "Finishing \(path)")
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        if descriptor >= 0 {
            fsync(descriptor)
            close(descriptor)
        }
        isFinished = true
    }
}
