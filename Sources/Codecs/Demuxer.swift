// SPDX-License-Identifier: Apache-2.0
// Reads a media file packet by packet, if wanted over and over again. Owned by one thread (a publish pipeline).
import CFFmpeg
import Primitives

/// Opens MP4, WebM, MKV, Ogg, WAV, FLV, MPEG-TS … and gives the packets of the tracks that can be handled here.
/// Not Sendable: one thread at a time. Local files only: what a file refers to on the network is not followed.
public final class Demuxer {
    /// What a track holds.
    public enum Media: Sendable, Equatable {
        case video(VideoTrack)
        case audio(AudioTrack)
    }

    public struct VideoTrack: Sendable, Equatable {
        public let codec: VideoCodec
        public let width: Int
        public let height: Int
        /// Average frames per second, rounded, 1…240; 30 when the file doesn't say.
        public let frameRate: Int
        /// Pictures are stored out of display order (B-frames): WebRTC can't carry that.
        public let hasReorderedFrames: Bool
        /// 8-bit 4:2:0, which is what browsers decode.
        public let isPlain420: Bool
        /// H.264 profile_idc, 0 when unknown or another codec.
        public let profile: Int
        /// Out-of-band headers; H.264 packets carry theirs in band.
        public let extradata: [UInt8]
    }

    public struct AudioTrack: Sendable, Equatable {
        public let codec: AudioCodec
        public let sampleRate: Int
        public let channels: Int
        public let extradata: [UInt8]
    }

    /// One packet of a track.
    public struct Packet: Sendable {
        /// Index into `tracks`.
        public let track: Int
        /// H.264 in Annex B form; timestamps and durations in microseconds from the start of the first round.
        public let packet: EncodedPacket
    }

    /// Which tracks of a file are read.
    public enum Selection: Sendable {
        /// At most one video and one audio track, the ones FFmpeg calls best.
        case best
        /// All that can be handled, in the file's order; at most `maximumTracks`.
        case all
    }

    public static let maximumTracks = 512

    public let path: String
    public private(set) var tracks: [Media] = []
    /// Of each track, as the file has them: title, language and whatever its writer put there.
    public private(set) var tags: [[String: String]] = []
    /// Rounds that are complete; grows when `loops`.
    public private(set) var rounds = 0

    private let loops: Bool
    private var format: UnsafeMutablePointer<AVFormatContext>?
    private let packet: UnsafeMutablePointer<AVPacket>
    private var trackOfStream: [Int32: Int] = [:]
    private var annexBFilters: [Int: BitstreamFilter] = [:]
    /// Added to the file's times: minus its start, plus the rounds already played (µs).
    private var offset: Int64 = 0
    private var start: Int64 = 0
    /// Where the latest packet of this round ends (µs, before `offset`).
    private var roundEnd: Int64 = 0
    private var packetsThisRound = 0

    /// - Parameter loops: start again at the end, with times going on.
    /// - Throws: `.failed` when the file can't be read, `.invalid` when it has no track that can be handled.
    public init(path: String, loops: Bool = false, selection: Selection = .best) throws(CodecError) {
        _ = ffmpegIsQuiet
        self.path = path
        self.loops = loops
        guard let packet = av_packet_alloc() else { throw .outOfMemory }
        self.packet = packet
        var opened: UnsafeMutablePointer<AVFormatContext>?
        var options: OpaquePointer?
        av_dict_set(&options, "protocol_whitelist", "file", 0)
        let result = avformat_open_input(&opened, "file:" + path, nil, &options)
        av_dict_free(&options)
        format = opened
        guard result >= 0, let opened else {
            throw .failed(operation: "Opening the media file \(path)", reason: describeFFmpegError(result))
        }
        let analysed = avformat_find_stream_info(opened, nil)
        guard analysed >= 0 else {
            throw .failed(operation: "Reading the media file \(path)", reason: describeFFmpegError(analysed))
        }
        for index in Self.streams(of: opened, selection) {
            guard let stream = opened.pointee.streams[Int(index)], let media = Self.describe(stream) else { continue }
            trackOfStream[index] = tracks.count
            if case .video(let video) = media, video.codec == .h264 {
                annexBFilters[tracks.count] = try BitstreamFilter("h264_mp4toannexb", for: stream)
            }
            tracks.append(media)
            tags.append(Self.tags(of: stream))
        }
        guard !tracks.isEmpty else {
            throw .invalid("The file \(path) has no track in a codec that can be published (H.264, VP8, VP9, AV1, Opus, AAC, G.711, G.722).")
        }
        start = opened.pointee.start_time == martlet_ff_no_timestamp ? 0 : opened.pointee.start_time
        offset = Int64(0).subtractingSaturating(start)
    }

    deinit {
        var packet: UnsafeMutablePointer<AVPacket>? = packet
        av_packet_free(&packet)
        avformat_close_input(&format)
    }

    /// The next packet in file order; `nil` at the end of the file (never when looping, unless the file holds nothing).
    public func next() throws(CodecError) -> Packet? {
        while true {
            let result = av_read_frame(format, packet)
            if result == martlet_ff_error_eof {
                guard loops, packetsThisRound > 0 else { return nil }
                try rewind()
                continue
            }
            try check(result, "Reading the media file \(path)")
            defer { av_packet_unref(packet) }
            guard let track = trackOfStream[packet.pointee.stream_index], packet.pointee.size > 0,
                let stream = format?.pointee.streams[Int(packet.pointee.stream_index)]
            else { continue }
            if let filter = annexBFilters[track], try !filter.apply(packet) { continue }
            guard let data = packet.pointee.data else { continue }
            let base = stream.pointee.time_base
            let rawTime = packet.pointee.pts == martlet_ff_no_timestamp ? packet.pointee.dts : packet.pointee.pts
            // A packet without any time follows the one before.
            let time = rawTime == martlet_ff_no_timestamp ? roundEnd : Self.microseconds(rawTime, base)
            let duration = Self.microseconds(max(0, packet.pointee.duration), base)
            roundEnd = max(roundEnd, time.addingSaturating(max(duration, 1)))
            packetsThisRound += 1
            return Packet(
                track: track,
                packet: EncodedPacket(
                    bytes: Array(UnsafeBufferPointer(start: data, count: Int(packet.pointee.size))),
                    timestamp: time.addingSaturating(offset), duration: duration,
                    isKeyFrame: packet.pointee.flags & AV_PKT_FLAG_KEY != 0))
        }
    }

    private func rewind() throws(CodecError) {
        try check(
            avformat_seek_file(format, -1, .min, start, start, 0),
            "Starting the media file \(path) again")
        for filter in annexBFilters.values { filter.reset() }
        offset = offset.addingSaturating(roundEnd.subtractingSaturating(start))
        roundEnd = start
        packetsThisRound = 0
        rounds += 1
    }

    private static func microseconds(_ value: Int64, _ base: AVRational) -> Int64 {
        av_rescale_q(value, base, AVRational(num: 1, den: 1_000_000))
    }

    private static func streams(of format: UnsafeMutablePointer<AVFormatContext>, _ selection: Selection) -> [Int32] {
        let count = Int32(clamping: format.pointee.nb_streams)
        switch selection {
        case .best:
            return [AVMEDIA_TYPE_VIDEO, AVMEDIA_TYPE_AUDIO].map { av_find_best_stream(format, $0, -1, -1, nil, 0) }.filter { (0..<count).contains($0) }
        case .all: return Array((0..<count).prefix(maximumTracks))
        }
    }

    private static func tags(of stream: UnsafeMutablePointer<AVStream>) -> [String: String] {
        var result: [String: String] = [:]
        var entry: UnsafeMutablePointer<AVDictionaryEntry>?
        while let next = av_dict_get(stream.pointee.metadata, "", entry, AV_DICT_IGNORE_SUFFIX) {
            entry = next
            if let key = next.pointee.key, let value = next.pointee.value { result[String(cString: key)] = String(cString: value) }
        }
        return result
    }

    private static func describe(_ stream: UnsafeMutablePointer<AVStream>) -> Media? {
        guard let parameters = stream.pointee.codecpar else { return nil }
        var extradata: [UInt8] = []
        if let data = parameters.pointee.extradata, parameters.pointee.extradata_size > 0 {
            extradata = Array(UnsafeBufferPointer(start: data, count: Int(parameters.pointee.extradata_size)))
        }
        switch parameters.pointee.codec_type {
        case AVMEDIA_TYPE_VIDEO:
            guard let codec = VideoCodec(id: parameters.pointee.codec_id) else { return nil }
            let rate = stream.pointee.avg_frame_rate
            let frameRate = rate.den > 0 && rate.num > 0 ? (Double(rate.num) / Double(rate.den)).rounded() : 30
            let pixels = parameters.pointee.format
            return .video(VideoTrack(
                codec: codec, width: Int(parameters.pointee.width), height: Int(parameters.pointee.height),
                frameRate: Int(min(240, max(1, frameRate))), hasReorderedFrames: parameters.pointee.video_delay > 0,
                isPlain420: pixels == AV_PIX_FMT_YUV420P.rawValue || pixels == AV_PIX_FMT_YUVJ420P.rawValue,
                profile: codec == .h264 ? max(0, Int(parameters.pointee.profile) & 0xff) : 0, extradata: extradata))
        case AVMEDIA_TYPE_AUDIO:
            guard let codec = AudioCodec(id: parameters.pointee.codec_id) else { return nil }
            return .audio(AudioTrack(
                codec: codec, sampleRate: Int(parameters.pointee.sample_rate),
                channels: Int(parameters.pointee.ch_layout.nb_channels), extradata: extradata))
        default: return nil
        }
    }
}
