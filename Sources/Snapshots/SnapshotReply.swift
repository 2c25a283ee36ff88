// SPDX-License-Identifier: Apache-2.0
// What a worker gives back for a SnapshotRequest: the pictures, and which frame they show.
import Codecs
import Workers

struct SnapshotReply: Sendable, Equatable {
    /// In the order of the request's formats; empty while the group's first picture has not wholly arrived.
    var pictures: [EncodedPicture]
    /// RTP timestamp of the frame shown.
    var timestamp: UInt32
    /// Frames decoded for it; fewer than the group holds when the decoder was still warm.
    var decodedFrames: Int
    var decodeMicroseconds: Int
    var encodeMicroseconds: Int

    var encoded: [UInt8] {
        var writer = WireWriter(reserving: pictures.reduce(64) { $0 + $1.bytes.count + 16 })
        writer.write(timestamp)
        writer.write(UInt32(clamping: decodedFrames))
        writer.write(UInt32(clamping: decodeMicroseconds))
        writer.write(UInt32(clamping: encodeMicroseconds))
        writer.write(UInt8(pictures.count))
        for picture in pictures {
            writer.write(UInt32(picture.width))
            writer.write(UInt32(picture.height))
            writer.write(picture.bytes)
        }
        return writer.bytes
    }

    init(pictures: [EncodedPicture], timestamp: UInt32, decodedFrames: Int, decodeMicroseconds: Int, encodeMicroseconds: Int) {
        self.pictures = pictures
        self.timestamp = timestamp
        self.decodedFrames = decodedFrames
        self.decodeMicroseconds = decodeMicroseconds
        self.encodeMicroseconds = encodeMicroseconds
    }

    init(decoding bytes: [UInt8]) throws(WorkerError) {
        var reader = WireReader(bytes)
        timestamp = try reader.integer()
        decodedFrames = Int(try reader.integer(UInt32.self))
        decodeMicroseconds = Int(try reader.integer(UInt32.self))
        encodeMicroseconds = Int(try reader.integer(UInt32.self))
        pictures = []
        for _ in 0..<(try reader.integer(UInt8.self)) {
            let width = Int(try reader.integer(UInt32.self)), height = Int(try reader.integer(UInt32.self))
            pictures.append(EncodedPicture(bytes: try reader.array(), width: width, height: height))
        }
    }
}
