// SPDX-License-Identifier: Apache-2.0
// Puts the tracks of several recorded files into one Matroska file, each where it belongs in time. Nothing is decoded but one
// picture for a thumbnail. Runs in a worker process.
import CFFmpeg
import Foundation
import Primitives

public enum MediaMerger {
    /// One file and its place.
    public struct Source: Sendable, Equatable {
        public var path: String
        /// Microseconds from the whole's beginning to this file's.
        public var offset: Int64
        /// Shown by players; goes into the file as its tracks' title.
        public var title: String
        /// Further tags of its tracks, by name.
        public var tags: [String: String]

        public init(path: String, offset: Int64, title: String, tags: [String: String] = [:]) {
            self.path = path
            self.offset = offset
            self.title = title
            self.tags = tags
        }
    }

    /// Writes all tracks of all sources to `target`; sources that can't be read are left out.
    /// - Throws: `.invalid` when none can be read, `.failed` when the target can't be written.
    public static func merge(
        _ sources: [Source], as target: String, thumbnail: ((EncodedPicture) -> Void)? = nil
    ) throws(CodecError) -> MediaSummary {
        var members: [Member] = []
        for source in sources {
            if let input = try? MediaInput(source.path) { members.append(Member(source: source, input: input)) }
        }
        guard !members.isEmpty else { throw .invalid("There is nothing in the files that were to be put together.") }
        let output = try MergedOutput(&members, target)
        var summary = MediaSummary()
        for member in members {
            let one = member.input.summary
            summary.tracks += one.tracks
            summary.videoCodec = summary.videoCodec ?? one.videoCodec
            summary.audioCodec = summary.audioCodec ?? one.audioCodec
            if one.width * one.height > summary.width * summary.height { (summary.width, summary.height) = (one.width, one.height) }
        }
        var thumbnail = thumbnail
        for index in members.indices { members[index].advance() }
        while let index = members.indices.filter({ members[$0].packet != nil }).min(by: { members[$0].time < members[$1].time }) {
            guard let packet = members[index].packet else { break }
            let isVideo = Int(packet.pointee.stream_index) == members[index].input.videoIndex
            if isVideo { summary.videoFrames += 1 }
            if isVideo, packet.pointee.flags & AV_PKT_FLAG_KEY != 0, let take = thumbnail, let picture = members[index].input.picture(packet) {
                take(picture)
                thumbnail = nil
            }
            summary.milliseconds = max(summary.milliseconds, members[index].time.addingSaturating(members[index].duration) / 1000)
            try output.write(packet, of: members[index])
            members[index].advance()
        }
        try output.finish()
        var info = stat()
        if stat(target, &info) == 0 { summary.bytes = Int64(info.st_size) }
        return summary
    }

    /// A source while it is read.
    fileprivate struct Member {
        let source: Source
        let input: MediaInput
        /// The first of its tracks in the whole.
        var firstTrack = 0
        /// The next packet, when it is decoded and shown in the whole, and its duration, microseconds.
        var packet: UnsafeMutablePointer<AVPacket>?
        var time: Int64 = 0
        var shown: Int64 = 0
        var duration: Int64 = 0

        mutating func advance() {
            packet = input.next()
            guard let packet, let stream = input.format.pointee.streams[Int(packet.pointee.stream_index)] else { return packet = nil }
            let microseconds = AVRational(num: 1, den: 1_000_000)
            shown = source.offset.addingSaturating(av_rescale_q(packet.pointee.pts, stream.pointee.time_base, microseconds))
            time = packet.pointee.dts == martlet_ff_no_timestamp
                ? shown : source.offset.addingSaturating(av_rescale_q(packet.pointee.dts, stream.pointee.time_base, microseconds))
            duration = av_rescale_q(max(0, packet.pointee.duration), stream.pointee.time_base, microseconds)
        }
    }

    /// The file to be written. One thread.
    private final class MergedOutput {
        private let format: UnsafeMutablePointer<AVFormatContext>
        private let path: String
        private var lastTimes: [Int64] = []
        private var isFinished = false

        init(_ members: inout [Member], _ path: String) throws(CodecError) {
            self.path = path
            var made: UnsafeMutablePointer<AVFormatContext>?
            try check(avformat_alloc_output_context2(&made, nil, "matroska", path), "Making \(path)")
            guard let made else { throw .outOfMemory }
            format = made
            // A thousand by default; a long conference has more.
            made.pointee.max_streams = .max
            for index in members.indices {
                members[index].firstTrack = lastTimes.count
                let input = members[index].input.format
                for number in 0..<Int(input.pointee.nb_streams) {
                    guard let source = input.pointee.streams[number], let stream = avformat_new_stream(made, nil) else { throw .outOfMemory }
                    try check(avcodec_parameters_copy(stream.pointee.codecpar, source.pointee.codecpar), "Copying a track")
                    stream.pointee.codecpar.pointee.codec_tag = 0
                    stream.pointee.time_base = AVRational(num: 1, den: 1000)
                    av_dict_set(&stream.pointee.metadata, "title", members[index].source.title, 0)
                    for (key, value) in members[index].source.tags { av_dict_set(&stream.pointee.metadata, key, value, 0) }
                    lastTimes.append(.min)
                }
            }
            try check(avio_open(&made.pointee.pb, "file:" + path, AVIO_FLAG_WRITE), "Creating the file \(path)")
            try Muxer.writeHeader(made, ["cues_to_front": "1", "cluster_time_limit": "1000"])
        }

        deinit {
            if format.pointee.pb != nil { avio_closep(&format.pointee.pb) }
            avformat_free_context(format)
            if !isFinished { unlink(path) }
        }

        func write(_ packet: UnsafeMutablePointer<AVPacket>, of member: Member) throws(CodecError) {
            let track = member.firstTrack + Int(packet.pointee.stream_index)
            guard lastTimes.indices.contains(track), let stream = format.pointee.streams[track] else { return }
            let base = stream.pointee.time_base, microseconds = AVRational(num: 1, den: 1_000_000)
            let time = max(av_rescale_q(member.time, microseconds, base), lastTimes[track] == .min ? 0 : lastTimes[track].addingSaturating(1))
            lastTimes[track] = time
            packet.pointee.pts = max(time, av_rescale_q(member.shown, microseconds, base))
            packet.pointee.dts = time
            packet.pointee.duration = av_rescale_q(member.duration, microseconds, base)
            packet.pointee.stream_index = Int32(track)
            packet.pointee.pos = -1
            try check(av_write_frame(format, packet), "Writing to \(path)")
        }

        func finish() throws(CodecError) {
            try check(av_write_trailer(format), "Finishing \(path)")
            try check(avio_closep(&format.pointee.pb), "Finishing \(path)")
            isFinished = true
        }
    }
}
