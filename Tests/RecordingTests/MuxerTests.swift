// SPDX-License-Identifier: Apache-2.0
import Codecs
import Foundation
import Testing

@testable import Recording

/// Files that are cut off, and what is made of them.
struct MuxerTests {
    @Test("a file cut off anywhere is finished with everything up to its last flush", arguments: [VideoCodec.h264, .vp8])
    func cutOff(codec: VideoCodec) throws {
        let scratch = try Scratch()
        var recording = EmulatedRecording()
        (recording.codec, recording.seconds) = (codec, 8)
        let path = try #require(try recording.run(in: scratch.path).files.first)
        let whole = try #require(FileManager.default.contents(atPath: path))
        for share in [0.5, 0.8, 0.95] {
            let cut = scratch.path + "/cut." + (path as NSString).pathExtension, done = cut + ".done"
            try whole.prefix(Int(Double(whole.count) * share)).write(to: URL(fileURLWithPath: cut))
            let container = try #require(MediaContainer(rawValue: (path as NSString).pathExtension))
            var picture: EncodedPicture?
            let summary = try MediaFinisher.finish(cut, as: done, container: container) { picture = $0 }
            #expect(Double(summary.milliseconds) >= 8000 * share - 2000)
            #expect((picture?.width ?? 0) == 240 || (picture?.width ?? 0) == 320)
            let watched = try Watched(done)
            #expect(watched.offsets.allSatisfy { abs($0) <= 0.03 })
        }
    }

    @Test("a file that can't be made is an error, again and again")
    func nowhere() {
        for _ in 0..<3 {
            #expect(throws: CodecError.self) {
                try Muxer(path: "/nowhere/x.mp4", container: .mp4, tracks: [MuxerTrack(.audio(.opus, sampleRate: 48_000, channels: 2, header: []))])
            }
        }
    }

    @Test("what is no media file is refused, and no half file stays behind")
    func nothing() throws {
        let scratch = try Scratch()
        let source = scratch.path + "/x.mp4"
        try Data(repeating: 7, count: 5000).write(to: URL(fileURLWithPath: source))
        #expect(throws: CodecError.self) { try MediaFinisher.finish(source, as: source + ".done", container: .mp4) }
        #expect(!FileManager.default.fileExists(atPath: source + ".done"))
    }
}
