// SPDX-License-Identifier: Apache-2.0
import Codecs
import Foundation
import Testing

@testable import Recording

struct MediaMergerTests {
    @Test("tracks of several files lie in one, each where it belongs, and what can't be read is left out")
    func merge() throws {
        let scratch = try Scratch()
        var recording = EmulatedRecording()
        recording.seconds = 4
        recording.order = { $0.formats = RecordFormats("h264-mkv") ?? $0.formats }
        let path = try #require(try recording.run(in: scratch.path).files.first)
        let target = scratch.path + "/all.mkv"
        try Data(repeating: 1, count: 100).write(to: URL(fileURLWithPath: scratch.path + "/broken.mkv"))
        var picture: EncodedPicture?
        let summary = try MediaMerger.merge(
            [
                .init(path: path, offset: 0, title: "Alice"), .init(path: scratch.path + "/broken.mkv", offset: 0, title: "nobody"),
                .init(path: path, offset: 10_000_000, title: "Bob"),
            ], as: target, thumbnail: { picture = $0 })
        #expect(summary.tracks == 4 && summary.videoCodec == "h264" && summary.audioCodec == "opus")
        #expect(abs(summary.milliseconds - 14_000) < 150)
        #expect(picture?.width == 240 || picture?.width == 320)
        // The demuxer shows one track of a kind: the one that FFmpeg calls best has all of its pictures, in step.
        let watched = try Watched(target)
        #expect(watched.frames.count >= 75)
    }

    @Test("nothing to put together is an error, and leaves no file")
    func nothing() throws {
        let scratch = try Scratch()
        #expect(throws: CodecError.self) { try MediaMerger.merge([.init(path: scratch.path + "/none", offset: 0, title: "")], as: scratch.path + "/x.mkv") }
        #expect(!FileManager.default.fileExists(atPath: scratch.path + "/x.mkv"))
    }

    @Test("a group's file is called by its address, safely")
    func names() {
        #expect(GroupAssembler.fileName(of: "multi-recorder://room-1", number: 1) == "multi-recorder___room-1.mkv")
        #expect(GroupAssembler.fileName(of: "multi-recorder://../../x", number: 2) == "multi-recorder___.._.._x_2.mkv")
        #expect(GroupAssembler.fileName(of: "multi-recorder://" + String(repeating: "ж", count: 500), number: 1).utf8.count <= 255)
    }
}
