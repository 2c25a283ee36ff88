// SPDX-License-Identifier: Apache-2.0
// Brings an unfinished file, complete or cut off, into its last form, and takes a small picture of it. Inside the worker.
import Codecs
import Foundation
import Workers

/// The job kind "record-finish": one request, one answer.
enum FinishingJob {
    static let name = "record-finish"

    struct Request: Sendable, Equatable {
        /// Absolute paths.
        var source: String
        var target: String
        var thumbnail: String
        var container: MediaContainer
        var width = 0, height = 0
        /// Bytes that have to stay free besides the copy.
        var minimumFree: Int64 = 0
        /// Nothing is written: the answer is what the source holds.
        var isOnlyMeasured = false

        var encoded: [UInt8] {
            var writer = WireWriter()
            for text in [source, target, thumbnail, container.rawValue] { writer.write(text) }
            writer.write(UInt32(clamping: width))
            writer.write(UInt32(clamping: height))
            writer.write(minimumFree)
            writer.write(isOnlyMeasured)
            return writer.bytes
        }

        init(source: String, target: String, thumbnail: String, container: MediaContainer) {
            self.source = source
            self.target = target
            self.thumbnail = thumbnail
            self.container = container
        }

        init(decoding bytes: [UInt8]) throws(WorkerError) {
            var reader = WireReader(bytes)
            source = try reader.string()
            target = try reader.string()
            thumbnail = try reader.string()
            guard let container = MediaContainer(rawValue: try reader.string()) else { throw .malformed("an unknown container") }
            self.container = container
            width = Int(try reader.integer(UInt32.self))
            height = Int(try reader.integer(UInt32.self))
            minimumFree = try reader.integer()
            isOnlyMeasured = try reader.flag()
        }
    }

    static func kind() -> WorkerJobKind {
        WorkerJobKind(name: name) { parameters, output in
            let request = try Request(decoding: parameters)
            var info = stat(), disk = statvfs()
            guard stat(request.source, &info) == 0 else { throw WorkerError.failed("\(request.source) is gone") }
            if request.isOnlyMeasured {
                var summary = try MediaFinisher.measure(request.source)
                if summary.videoCodec != nil, request.width > 0 { (summary.width, summary.height) = (request.width, request.height) }
                output.send(summary.encoded)
                return nil
            }
            if statvfs(request.source, &disk) == 0 {
                let free = Int64(clamping: UInt64(disk.f_bavail) * UInt64(disk.f_frsize))
                // The copy and the original are there together for a while.
                guard free - request.minimumFree > Int64(info.st_size) else { throw WorkerError.failed("there is no room for a second copy") }
            }
            let size = request.width > 0 ? (request.width, request.height) : nil
            let summary = try MediaFinisher.finish(request.source, as: request.target, container: request.container, size: size) { picture in
                try? Data(picture.bytes).write(to: URL(fileURLWithPath: request.thumbnail))
            }
            output.send(summary.encoded)
            return nil
        }
    }
}

extension MediaSummary {
    var encoded: [UInt8] {
        var writer = WireWriter()
        writer.write(milliseconds)
        writer.write(bytes)
        for number in [width, height, videoFrames, tracks] { writer.write(UInt32(clamping: number)) }
        writer.write(videoCodec ?? "")
        writer.write(audioCodec ?? "")
        return writer.bytes
    }

    init(decoding bytes: [UInt8]) throws(WorkerError) {
        self.init()
        var reader = WireReader(bytes)
        milliseconds = try reader.integer()
        self.bytes = try reader.integer()
        width = Int(try reader.integer(UInt32.self))
        height = Int(try reader.integer(UInt32.self))
        videoFrames = Int(try reader.integer(UInt32.self))
        tracks = Int(try reader.integer(UInt32.self))
        let video = try reader.string(), audio = try reader.string()
        videoCodec = video.isEmpty ? nil : video
        audioCodec = audio.isEmpty ? nil : audio
    }
}

/// Everything of this module that runs in a worker.
public enum RecordingWorker {
    public static func kinds() -> [WorkerJobKind] { [RecordingJob.kind(), FinishingJob.kind(), MergingJob.kind()] }
}
