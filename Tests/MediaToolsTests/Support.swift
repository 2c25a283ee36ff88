// SPDX-License-Identifier: Apache-2.0
import CFFmpeg
import Codecs
import Foundation
import Primitives
import RTP
import SDP

@testable import MediaTools

/// Runs a publication in virtual time; each packet comes with the wall clock it left at.
struct VirtualPublisher {
    static let epoch = WallTime(milliseconds: 1_763_707_500_000)
    let engine: PublishEngine
    private(set) var elapsed = TimeSpan.zero

    init(_ options: PublishOptions, seed: UInt64 = 1) throws {
        engine = try PublishEngine(options, random: .seeded(seed))
    }

    var now: WallTime { Self.epoch + elapsed }
    var isFinished: Bool { engine.nextDue == nil }

    /// The packets of the next moment at which there are any, in time order.
    mutating func next() throws -> [(track: Int, packet: [UInt8], sentAt: WallTime)] {
        while let due = engine.nextDue {
            elapsed = max(elapsed, due)
            let packets = try engine.advance(to: elapsed, unixMilliseconds: now.milliseconds)
            if !packets.isEmpty { return packets.map { ($0.track, $0.packet, now) } }
        }
        return []
    }
}

/// A box for what closures note in single-threaded tests.
final class Box<Value> {
    var value: Value
    init(_ value: Value) { self.value = value }
}

func view<Result>(_ packet: [UInt8], _ body: (RTPView) -> Result) -> Result? {
    packet.withUnsafeBytes { RTPView($0).map(body) }
}

/// Media files for the tests, written with FFmpeg's muxers.
enum MediaFile {
    struct Track {
        var codec: AVCodecID
        var isVideo: Bool
        var extradata: [UInt8] = []
        var width = 0, height = 0
        var sampleRate = 0, channels = 0
        var packets: [EncodedPacket] = []
        /// Ticks per second of the packets' times.
        var rate: Int32
    }

    struct Failure: Error { let what: String }

    static func temporaryPath(_ ending: String) -> String {
        FileManager.default.temporaryDirectory.appending(path: "martlet-\(UUID().uuidString).\(ending)").path
    }

    static func write(_ tracks: [Track], to path: String) throws {
        var context: UnsafeMutablePointer<AVFormatContext>?
        guard avformat_alloc_output_context2(&context, nil, nil, path) >= 0, let context else { throw Failure(what: "muxer") }
        defer { avformat_free_context(context) }
        var streams: [UnsafeMutablePointer<AVStream>] = []
        for track in tracks {
            guard let stream = avformat_new_stream(context, nil), let parameters = stream.pointee.codecpar else { throw Failure(what: "stream") }
            parameters.pointee.codec_type = track.isVideo ? AVMEDIA_TYPE_VIDEO : AVMEDIA_TYPE_AUDIO
            parameters.pointee.codec_id = track.codec
            parameters.pointee.width = Int32(track.width)
            parameters.pointee.height = Int32(track.height)
            parameters.pointee.sample_rate = Int32(track.sampleRate)
            if track.channels > 0 { av_channel_layout_default(&parameters.pointee.ch_layout, Int32(track.channels)) }
            if !track.extradata.isEmpty {
                let memory = av_mallocz(track.extradata.count + 64)
                memory?.copyMemory(from: track.extradata, byteCount: track.extradata.count)
                parameters.pointee.extradata = memory?.assumingMemoryBound(to: UInt8.self)
                parameters.pointee.extradata_size = Int32(track.extradata.count)
            }
            stream.pointee.time_base = AVRational(num: 1, den: track.rate)
            streams.append(stream)
        }
        guard avio_open(&context.pointee.pb, path, AVIO_FLAG_WRITE) >= 0 else { throw Failure(what: "open") }
        defer { avio_closep(&context.pointee.pb) }
        guard avformat_write_header(context, nil) >= 0 else { throw Failure(what: "header") }
        var order: [(time: Double, track: Int, packet: EncodedPacket)] = []
        for (index, track) in tracks.enumerated() {
            order += track.packets.map { (Double($0.timestamp) / Double(track.rate), index, $0) }
        }
        order.sort { $0.time < $1.time }
        var packet = av_packet_alloc()
        defer { av_packet_free(&packet) }
        for entry in order {
            guard let packet, av_new_packet(packet, Int32(entry.packet.bytes.count)) >= 0 else { throw Failure(what: "packet") }
            packet.pointee.data.update(from: entry.packet.bytes, count: entry.packet.bytes.count)
            packet.pointee.stream_index = Int32(entry.track)
            packet.pointee.pts = entry.packet.timestamp
            packet.pointee.dts = entry.packet.timestamp
            packet.pointee.duration = entry.packet.duration
            packet.pointee.flags = entry.packet.isKeyFrame ? AV_PKT_FLAG_KEY : 0
            av_packet_rescale_ts(packet, AVRational(num: 1, den: tracks[entry.track].rate), streams[entry.track].pointee.time_base)
            guard av_interleaved_write_frame(context, packet) >= 0 else { throw Failure(what: "write") }
        }
        guard av_write_trailer(context) >= 0 else { throw Failure(what: "trailer") }
    }

    /// The test pattern, with clocks from `startMilliseconds` on, 25 frames a second, a key frame each second.
    static func videoTrack(_ codec: VideoCodec, seconds: Int, width: Int = 320, height: Int = 180) throws -> Track {
        let pattern = try TestPattern(width: width, height: height, frameRate: 25)
        let encoder = try VideoEncoder(.init(codec: codec, width: width, height: height, frameRate: 25, bitrate: 300_000, keyFrameInterval: 25))
        let ids: [VideoCodec: AVCodecID] = [.h264: AV_CODEC_ID_H264, .vp8: AV_CODEC_ID_VP8, .vp9: AV_CODEC_ID_VP9, .av1: AV_CODEC_ID_AV1]
        var track = Track(codec: ids[codec] ?? AV_CODEC_ID_NONE, isVideo: true, width: width, height: height, rate: 90_000)
        for index in 0..<seconds * 25 {
            for var packet in try encoder.encode(pattern.frame(unixMilliseconds: Int64(index) * 40, timestamp: Int64(index) * 3600)) {
                packet.duration = 3600
                if track.packets.isEmpty, codec == .h264 { track.extradata = parameterSets(packet.bytes) }
                track.packets.append(packet)
            }
        }
        return track
    }

    /// SPS and PPS of an access unit in Annex B form.
    private static func parameterSets(_ unit: [UInt8]) -> [UInt8] {
        var starts: [Int] = []
        for index in 0..<max(0, unit.count - 3) where unit[index] == 0 && unit[index + 1] == 0 && unit[index + 2] == 1 { starts.append(index + 3) }
        var result: [UInt8] = []
        for (number, start) in starts.enumerated() where [7, 8].contains(unit[start] & 0x1f) {
            var end = number + 1 < starts.count ? starts[number + 1] - 3 : unit.count
            while end > start, unit[end - 1] == 0 { end -= 1 }
            result += [0, 0, 0, 1] + unit[start..<end]
        }
        return result
    }

    static func audioTrack(_ codec: AudioCodec, seconds: Int) throws -> Track {
        let encoder = try AudioEncoder(.init(codec: codec))
        let ids: [AudioCodec: AVCodecID] = [.opus: AV_CODEC_ID_OPUS, .aac: AV_CODEC_ID_AAC, .pcmu: AV_CODEC_ID_PCM_MULAW]
        var track = Track(
            codec: ids[codec] ?? AV_CODEC_ID_NONE, isVideo: false, extradata: encoder.extradata,
            sampleRate: encoder.configuration.sampleRate, channels: encoder.configuration.channels, rate: Int32(encoder.configuration.sampleRate))
        var tone = Tone()
        for _ in 0..<seconds * 50 { track.packets += try encoder.encode(tone.next(960)) }
        return track
    }
}
