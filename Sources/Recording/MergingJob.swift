// SPDX-License-Identifier: Apache-2.0
// Puts the files of a group recording into one. Inside the worker.
import Codecs
import Foundation
import Workers

/// The job kind "record-merge": one request, one answer (a `MediaSummary`).
enum MergingJob {
    static let name = "record-merge"

    struct Request: Sendable, Equatable {
        var target: String
        var thumbnail: String
        var sources: [MediaMerger.Source] = []

        var encoded: [UInt8] {
            var writer = WireWriter()
            writer.write(target)
            writer.write(thumbnail)
            writer.write(UInt32(clamping: sources.count))
            for source in sources {
                writer.write(source.path)
                writer.write(source.offset)
                writer.write(source.title)
                writer.write(UInt8(clamping: source.tags.count))
                for (key, value) in source.tags {
                    writer.write(key)
                    writer.write(value)
                }
            }
            return writer.bytes
        }

        init(target: String, thumbnail: String) {
            self.target = target
            self.thumbnail = thumbnail
        }

        init(decoding bytes: [UInt8]) throws(WorkerError) {
            var reader = WireReader(bytes)
            target = try reader.string()
            thumbnail = try reader.string()
            for _ in 0..<(try reader.integer(UInt32.self)) {
                var source = MediaMerger.Source(path: try reader.string(), offset: try reader.integer(), title: try reader.string())
                for _ in 0..<(try reader.integer(UInt8.self)) {
                    let key = try reader.string()
                    source.tags[key] = try reader.string()
                }
                sources.append(source)
            }
        }
    }

    static func kind() -> WorkerJobKind {
        WorkerJobKind(name: name) { parameters, output in
            let request = try Request(decoding: parameters)
            let summary = try MediaMerger.merge(request.sources, as: request.target) { picture in
                try? Data(picture.bytes).write(to: URL(fileURLWithPath: request.thumbnail))
            }
            output.send(summary.encoded)
            return nil
        }
    }
}
