// SPDX-License-Identifier: Apache-2.0
// Writes encoded tracks into a file that is playable up to its last flush, whatever happens to the process. Owned by one thread.
import CFFmpeg
import Foundation
import Primitives

/// MP4 in fragments, or Matroska/WebM in clusters. Not Sendable: one thread at a time.
public final class Muxer {
    /// Ticks per second of all times given to `write`.
    public static let timeScale: Int32 = 1_000_000
    public let path: String
    public let tracks: [MuxerTrack]
    private let format: UnsafeMutablePointer<AVFormatContext>
    private let packet: UnsafeMutablePointer<AVPacket>
    /// For `fdatasync`; FFmpeg hides its own.
    private let descriptor: Int32
    private var lastTimes: [Int64]
    private var isOpen = true

    /// Creates the file and writes its header.
    /// - Parameter metadata: file-level tags by name, such as "title".
    /// - Throws: `.failed` with the system's sentence when the file can't be made.
    public init(path: String, container: MediaContainer, tracks: [MuxerTrack], metadata: [String: String] = [:]) throws(CodecError) {
        self.path = path
        self.tracks = tracks
        lastTimes = Array(repeating: .min, count: tracks.count)
        let isPlainWebM = tracks.allSatisfy { [AV_CODEC_ID_VP8, AV_CODEC_ID_VP9, AV_CODEC_ID_AV1, AV_CODEC_ID_OPUS].contains($0.codecID) }
        var made: UnsafeMutablePointer<AVFormatContext>?
        try check(
            avformat_alloc_output_context2(&made, nil, container.muxerName(isPlainWebM: isPlainWebM), path), "Making a \(container.rawValue) file")
        guard let made, let packet = av_packet_alloc() else { throw .outOfMemory }
        format = made
        self.packet = packet
        descriptor = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o644)
        // From here on everything is owned: `deinit` frees it when something is thrown as well.
        guard descriptor >= 0 else { throw .failed(operation: "Creating the file \(path)", reason: String(cString: strerror(errno))) }
        for track in tracks { try Self.add(track, to: made) }
        for (key, value) in metadata { av_dict_set(&made.pointee.metadata, key, value, 0) }
        try check(avio_open(&made.pointee.pb, "file:" + path, AVIO_FLAG_WRITE), "Opening the file \(path)")
        made.pointee.avoid_negative_ts = Int32(AVFMT_AVOID_NEG_TS_MAKE_NON_NEGATIVE)
        try Self.writeHeader(made, container == .mp4
            // Cut by `flush` only; times as given, whatever track begins later.
            ? ["movflags": "frag_custom+empty_moov+default_base_moof+frag_discont", "use_editlist": "0"]
            : ["cluster_time_limit": "1000"])
    }

    deinit {
        if isOpen, format.pointee.pb != nil { avio_closep(&format.pointee.pb) }
        if descriptor >= 0 { close(descriptor) }
        var doomed: UnsafeMutablePointer<AVPacket>? = packet
        av_packet_free(&doomed)
        avformat_free_context(format)
    }

    static func writeHeader(_ format: UnsafeMutablePointer<AVFormatContext>, _ options: [String: String]) throws(CodecError) {
        var dictionary: OpaquePointer?
        defer { av_dict_free(&dictionary) }
        for (key, value) in options { av_dict_set(&dictionary, key, value, 0) }
        try check(avformat_write_header(format, &dictionary), "Writing the header of a media file")
    }

    private static func add(_ track: MuxerTrack, to format: UnsafeMutablePointer<AVFormatContext>) throws(CodecError) {
        guard let stream = avformat_new_stream(format, nil), let parameters = stream.pointee.codecpar else { throw .outOfMemory }
        parameters.pointee.codec_id = track.codecID
        let header: [UInt8]
        switch track.kind {
        case .video(_, let width, let height, let parameterSets, let rotation):
            parameters.pointee.codec_type = AVMEDIA_TYPE_VIDEO
            parameters.pointee.width = Int32(width)
            parameters.pointee.height = Int32(height)
            parameters.pointee.format = AV_PIX_FMT_YUV420P.rawValue
            stream.pointee.time_base = AVRational(num: 1, den: 90_000)
            header = parameterSets
            if rotation != .none, let matrix = av_stream_new_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, 36) {
                matrix.withMemoryRebound(to: Int32.self, capacity: 9) { av_display_rotation_set($0, -90 * Double(rotation.rawValue)) }
            }
        case .audio(_, let sampleRate, let channels, let bytes):
            parameters.pointee.codec_type = AVMEDIA_TYPE_AUDIO
            parameters.pointee.sample_rate = Int32(sampleRate)
            av_channel_layout_default(&parameters.pointee.ch_layout, Int32(channels))
            parameters.pointee.frame_size = 1024
            stream.pointee.time_base = AVRational(num: 1, den: Int32(sampleRate))
            header = bytes
        }
        if !header.isEmpty {
            guard let memory = av_mallocz(header.count + Int(AV_INPUT_BUFFER_PADDING_SIZE)) else { throw .outOfMemory }
            memory.copyMemory(from: header, byteCount: header.count)
            parameters.pointee.extradata = memory.assumingMemoryBound(to: UInt8.self)
            parameters.pointee.extradata_size = Int32(header.count)
        }
        if let title = track.title { av_dict_set(&stream.pointee.metadata, "title", title, 0) }
    }

    /// Bytes of the file so far.
    public var size: Int64 { format.pointee.pb.map { avio_tell($0) } ?? 0 }

    /// Takes the next packet of a track, in decoding order. Times are microseconds from the file's beginning; a packet that isn't decoded
    /// behind its predecessor is moved there, by a tick, and none is shown before it is decoded.
    /// - Parameter decoding: when it is decoded, where that is another time than it is shown at.
    public func write(
        track index: Int, _ bytes: [UInt8], time: Int64, decoding: Int64? = nil, duration: Int64, isKeyFrame: Bool
    ) throws(CodecError) {
        guard tracks.indices.contains(index), let stream = format.pointee.streams[index] else { return }
        try check(av_new_packet(packet, Int32(bytes.count)), "Allocating a packet")
        defer { av_packet_unref(packet) }
        bytes.withUnsafeBytes { source in
            if let base = source.baseAddress { packet.pointee.data.update(from: base.assumingMemoryBound(to: UInt8.self), count: bytes.count) }
        }
        let base = stream.pointee.time_base
        var ticks = av_rescale_q(max(0, decoding ?? time), AVRational(num: 1, den: Self.timeScale), base)
        if ticks <= lastTimes[index] { ticks = lastTimes[index].addingSaturating(1) }
        lastTimes[index] = ticks
        packet.pointee.pts = max(ticks, av_rescale_q(max(0, time), AVRational(num: 1, den: Self.timeScale), base))
        packet.pointee.dts = ticks
        packet.pointee.duration = av_rescale_q(max(0, duration), AVRational(num: 1, den: Self.timeScale), base)
        packet.pointee.stream_index = Int32(index)
        packet.pointee.flags = isKeyFrame ? AV_PKT_FLAG_KEY : 0
        try check(av_write_frame(format, packet), "Writing to \(path)")
    }

    /// Ends a fragment or cluster and waits until everything is on the disk: from now on the file is playable up to here.
    public func flush() throws(CodecError) {
        try check(av_write_frame(format, nil), "Writing to \(path)")
        avio_flush(format.pointee.pb)
        try checkDisk()
        if fdatasync(descriptor) != 0 {
            throw .failed(operation: "Writing to \(path)", reason: String(cString: strerror(errno)))
        }
    }

    /// Writes what belongs at the end (Matroska: cues and duration). Nothing can be written afterwards.
    public func finish() throws(CodecError) {
        try flush()
        try check(av_write_trailer(format), "Finishing \(path)")
        avio_flush(format.pointee.pb)
        try checkDisk()
        isOpen = false
        avio_closep(&format.pointee.pb)
        fdatasync(descriptor)
    }

    private func checkDisk() throws(CodecError) {
        guard let error = format.pointee.pb?.pointee.error, error < 0 else { return }
        throw .failed(operation: "Writing to \(path)", reason: describeFFmpegError(error))
    }
}
