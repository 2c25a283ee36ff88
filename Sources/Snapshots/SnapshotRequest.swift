// SPDX-License-Identifier: Apache-2.0
// What a worker is asked for: pictures of one stream in some formats, out of its newest group of pictures. Written by
// SnapshotService, read by SnapshotWorker.
import Codecs
import RTP
import Workers

/// One job's request.
struct SnapshotRequest: Sendable {
    /// More formats in one job are refused.
    static let maximumFormats = 16

    /// Names the stream for the worker's cache of decoders; never reused for another stream.
    var stream: UInt64
    var codec: VideoCodec
    /// H.264 parameter sets in Annex B, when the description had them.
    var extradata: [UInt8] = []
    /// Sequence number, in the ring's counting, of the group's first packet.
    var groupStart: Int64
    var formats: [PictureFormat]
    /// Records as `RecentVideo.packets` describes them.
    var packets: [UInt8]

    var encoded: [UInt8] {
        var writer = WireWriter(reserving: packets.count + 256)
        writer.write(stream)
        writer.write(codec.rawValue)
        writer.write(extradata)
        writer.write(groupStart)
        writer.write(UInt8(formats.count))
        for format in formats {
            writer.write(format.kind.rawValue)
            writer.write(UInt8(format.compression))
            writer.write(UInt8(format.quality))
            writer.write(UInt32(format.maximumWidth ?? 0))
            writer.write(UInt32(format.maximumHeight ?? 0))
        }
        writer.append(packets)
        return writer.bytes
    }

    init(stream: UInt64, codec: VideoCodec, extradata: [UInt8], groupStart: Int64, formats: [PictureFormat], packets: [UInt8]) {
        self.stream = stream
        self.codec = codec
        self.extradata = extradata
        self.groupStart = groupStart
        self.formats = formats
        self.packets = packets
    }

    init(decoding bytes: [UInt8]) throws(WorkerError) {
        var reader = WireReader(bytes)
        stream = try reader.integer()
        let name = try reader.string()
        guard let codec = VideoCodec(rawValue: name) else { throw .malformed("there is no codec \"\(name.prefix(32))\"") }
        self.codec = codec
        extradata = try reader.array()
        groupStart = try reader.integer()
        formats = []
        let count = Int(try reader.integer(UInt8.self))
        guard (1...Self.maximumFormats).contains(count) else { throw .malformed("\(count) formats") }
        for _ in 0..<count {
            guard let kind = PictureFormat.Kind(rawValue: try reader.integer()) else { throw .malformed("an unknown picture format") }
            var format = PictureFormat(
                kind, compression: Int(try reader.integer(UInt8.self)), quality: Int(try reader.integer(UInt8.self)))
            let width = Int(try reader.integer(UInt32.self)), height = Int(try reader.integer(UInt32.self))
            format.maximumWidth = width > 0 ? width : nil
            format.maximumHeight = height > 0 ? height : nil
            formats.append(format)
        }
        packets = Array(reader.rest())
    }
}
