// SPDX-License-Identifier: Apache-2.0
// Reads the packets of a media file of any number of tracks, up to where it was cut off. Used by MediaFinisher and MediaMerger.
import CFFmpeg

/// Not Sendable: one thread at a time.
final class MediaInput {
    let format: UnsafeMutablePointer<AVFormatContext>
    private let packet: UnsafeMutablePointer<AVPacket>
    /// Key frames that are still tried for a picture. A large one takes long to decode, and where all are damaged there may be thousands.
    private var triesLeft = 3
    let videoIndex: Int
    private(set) var summary = MediaSummary()

    init(_ path: String) throws(CodecError) {
        _ = ffmpegIsQuiet
        var opened: UnsafeMutablePointer<AVFormatContext>?
        var options: OpaquePointer?
        av_dict_set(&options, "protocol_whitelist", "file", 0)
        let result = avformat_open_input(&opened, "file:" + path, nil, &options)
        av_dict_free(&options)
        guard result >= 0, let opened else {
            throw .failed(operation: "Opening the file \(path)", reason: describeFFmpegError(result))
        }
        guard let packet = av_packet_alloc(), avformat_find_stream_info(opened, nil) >= 0, opened.pointee.nb_streams > 0 else {
            var doomed: UnsafeMutablePointer<AVFormatContext>? = opened
            avformat_close_input(&doomed)
            throw .invalid("The file \(path) holds nothing that can be played.")
        }
        format = opened
        self.packet = packet
        var videoIndex = -1
        for index in 0..<Int(opened.pointee.nb_streams) {
            guard let parameters = opened.pointee.streams[index]?.pointee.codecpar else { continue }
            let name = String(cString: avcodec_get_name(parameters.pointee.codec_id))
            summary.tracks += 1
            if parameters.pointee.codec_type == AVMEDIA_TYPE_VIDEO, summary.videoCodec == nil {
                summary.videoCodec = name
                summary.width = Int(parameters.pointee.width)
                summary.height = Int(parameters.pointee.height)
                videoIndex = index
            } else if parameters.pointee.codec_type == AVMEDIA_TYPE_AUDIO, summary.audioCodec == nil {
                summary.audioCodec = name
            }
        }
        self.videoIndex = videoIndex
    }

    deinit {
        var packet: UnsafeMutablePointer<AVPacket>? = packet
        av_packet_free(&packet)
        var format: UnsafeMutablePointer<AVFormatContext>? = format
        avformat_close_input(&format)
    }

    /// The next whole packet; `nil` at the end, or where the file was cut off.
    func next() -> UnsafeMutablePointer<AVPacket>? {
        while true {
            av_packet_unref(packet)
            guard av_read_frame(format, packet) >= 0 else { return nil }
            if packet.pointee.flags & AV_PKT_FLAG_CORRUPT != 0 || packet.pointee.size == 0 || packet.pointee.pts == martlet_ff_no_timestamp { continue }
            return packet
        }
    }

    /// A picture of 320 x 180 at most; `nil` when it can't be decoded, or when several before could not be.
    func picture(_ packet: UnsafeMutablePointer<AVPacket>) -> EncodedPicture? {
        guard triesLeft > 0 else { return nil }
        triesLeft -= 1
        guard let parameters = format.pointee.streams[videoIndex]?.pointee.codecpar, let codec = VideoCodec(id: parameters.pointee.codec_id)
        else { return nil }
        var extradata: [UInt8] = []
        if let data = parameters.pointee.extradata { extradata = Array(UnsafeBufferPointer(start: data, count: Int(parameters.pointee.extradata_size))) }
        let bytes = Array(UnsafeBufferPointer(start: packet.pointee.data, count: Int(packet.pointee.size)))
        guard let decoder = try? PictureDecoder(codec, extradata: extradata), (try? decoder.decode(bytes, timestamp: 0)) != nil,
            let picture = decoder.newest
        else { return nil }
        return try? PictureEncoder().encode(
            picture, as: PictureFormat(.jpeg, quality: 80, maximumWidth: 320, maximumHeight: 180), rotation: .none)
    }
}
