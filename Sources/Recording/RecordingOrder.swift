// SPDX-License-Identifier: Apache-2.0
// What a worker is told when a recording begins, and what it tells back. Written by Recorder, read by RecordingJob and the other
// way round.
import Codecs
import Primitives
import RTP
import Workers

/// The parameters of a job of the kind "record".
struct RecordingOrder: Sendable, Equatable {
    struct Track: Sendable, Equatable {
        var codec: CodecKind
        var clockRate: Int
        var channels: Int
        /// H.264: base64 parameter sets of the description (RFC 6184 §8.1). AAC: its configuration in hexadecimal (RFC 3640 §4.1).
        var parameterSets: String?
        var aac = AACPayloadFormat()
    }

    /// Folder of unfinished files, and what their names begin with: `stem-<part>.<ending>`.
    var folder: String
    var stem: String
    var firstPart: Int
    var tracks: [Track]
    var formats: RecordFormats
    /// A part ends at the first key frame beyond; 0 = never.
    var maximumBytes: Int64 = 0
    var maximumMilliseconds: Int64 = 0
    /// Bytes that have to stay free on the disk.
    var minimumFree: Int64 = 0
    /// On the server's monotonic clock: the file's time 0, before any media; `nil`: when the first media was made.
    var origin: Instant?
    /// See `StreamTimeline`.
    var weighsArrivals = false
    var title = ""

    var encoded: [UInt8] {
        var writer = WireWriter()
        writer.write(folder)
        writer.write(stem)
        writer.write(UInt32(clamping: firstPart))
        writer.write(UInt8(clamping: tracks.count))
        for track in tracks {
            writer.write(track.codec.rawValue)
            writer.write(UInt32(clamping: track.clockRate))
            writer.write(UInt8(clamping: track.channels))
            writer.write(track.parameterSets ?? "")
            for field in track.aac.fields { writer.write(field) }
        }
        writer.write(formats.text)
        writer.write(maximumBytes)
        writer.write(maximumMilliseconds)
        writer.write(minimumFree)
        writer.write(origin?.nanoseconds ?? 0)
        writer.write(UInt8(weighsArrivals ? 1 : 0))
        writer.write(title)
        return writer.bytes
    }

    init(folder: String, stem: String, firstPart: Int, tracks: [Track], formats: RecordFormats) {
        self.folder = folder
        self.stem = stem
        self.firstPart = firstPart
        self.tracks = tracks
        self.formats = formats
    }

    init(decoding bytes: [UInt8]) throws(WorkerError) {
        var reader = WireReader(bytes)
        folder = try reader.string()
        stem = try reader.string()
        firstPart = Int(try reader.integer(UInt32.self))
        tracks = []
        for _ in 0..<(try reader.integer(UInt8.self)) {
            guard let codec = CodecKind(rawValue: try reader.integer()) else { throw .malformed("an unknown codec") }
            let rate = Int(try reader.integer(UInt32.self)), channels = Int(try reader.integer(UInt8.self))
            let sets = try reader.string()
            var track = Track(codec: codec, clockRate: rate, channels: channels, parameterSets: sets.isEmpty ? nil : sets)
            track.aac.fields = [try reader.integer(), try reader.integer(), try reader.integer(), try reader.integer()]
            tracks.append(track)
        }
        guard let formats = RecordFormats(try reader.string()) else { throw .malformed("unknown formats") }
        self.formats = formats
        maximumBytes = try reader.integer()
        maximumMilliseconds = try reader.integer()
        minimumFree = try reader.integer()
        let nanoseconds: Int64 = try reader.integer()
        origin = nanoseconds > 0 ? Instant(nanoseconds: nanoseconds) : nil
        weighsArrivals = try reader.integer(UInt8.self) != 0
        title = try reader.string()
    }
}

/// What a recording job reports.
enum RecordingReport: Sendable, Equatable {
    enum End: UInt8, Sendable {
        /// The recording was ended.
        case finished = 1
        /// The part has reached its size or length; another one begins.
        case rotated
        /// The disk is full, or nearly so. No other part follows.
        case diskFull
    }

    /// A file has been begun: its name in the folder and the time (monotonic) of its beginning.
    case began(part: Int, file: String, time: Instant)
    /// It is complete up to its index. `width`, `height`: its largest picture, 0 without pictures.
    case ended(part: Int, End, width: Int, height: Int, reason: String)
    /// Nothing can be recorded until a key frame comes.
    case keyFrameWanted

    var encoded: [UInt8] {
        var writer = WireWriter()
        switch self {
        case .began(let part, let file, let time):
            writer.write(UInt8(1))
            writer.write(UInt32(clamping: part))
            writer.write(file)
            writer.write(time.nanoseconds)
        case .ended(let part, let end, let width, let height, let reason):
            writer.write(UInt8(2))
            writer.write(UInt32(clamping: part))
            writer.write(end.rawValue)
            writer.write(UInt32(clamping: width))
            writer.write(UInt32(clamping: height))
            writer.write(reason)
        case .keyFrameWanted: writer.write(UInt8(3))
        }
        return writer.bytes
    }

    init(decoding bytes: [UInt8]) throws(WorkerError) {
        var reader = WireReader(bytes)
        switch try reader.integer(UInt8.self) {
        case 1:
            let part = Int(try reader.integer(UInt32.self))
            self = .began(part: part, file: try reader.string(), time: Instant(nanoseconds: try reader.integer()))
        case 2:
            let part = Int(try reader.integer(UInt32.self))
            guard let end = End(rawValue: try reader.integer()) else { throw .malformed("an unknown end") }
            let width = Int(try reader.integer(UInt32.self)), height = Int(try reader.integer(UInt32.self))
            self = .ended(part: part, end, width: width, height: height, reason: try reader.string())
        case 3: self = .keyFrameWanted
        case let kind: throw .malformed("report \(kind)")
        }
    }
}
