import Codecs
import Foundation
import Testing

@testable import Recording
@testable import Workers

/// Sound and picture of recordings made over emulated networks from publishers with clocks of their own.
struct RecordingJobTests {
    private func watch(_ recording: EmulatedRecording) throws -> (EmulatedRecording.Result, [Watched]) {
        let scratch = try Scratch()
        let result = try recording.run(in: scratch.path)
        return (result, try result.files.map { try Watched($0) })
    }

    @Test("sound and picture are in step and nothing is missing", arguments: VideoCodec.allCases)
    func plain(codec: VideoCodec) throws {
        var recording = EmulatedRecording()
        recording.codec = codec
        recording.seconds = 6
        let (result, files) = try watch(recording)
        let file = try #require(files.first)
        #expect(result.files.count == 1 && result.files[0].hasSuffix(codec == .h264 ? ".mp4" : ".webm"))
        #expect(file.offsets.count >= 5)
        #expect(file.offsets.allSatisfy { abs($0) <= 0.02 }, "\(file.offsets)")
        #expect((117...122).contains(file.frames.count))
        #expect(abs(file.end - 6) < 0.1)
    }

    @Test("a browser's few and late reports, some of them lost, leave the first seconds in step", arguments: [VideoCodec.h264, .vp8], [1, 2, 3] as [UInt64])
    func browserReports(codec: VideoCodec, seed: UInt64) throws {
        var recording = EmulatedRecording()
        (recording.codec, recording.seed, recording.seconds) = (codec, seed, 8)
        (recording.reportJitter, recording.browserLateness, recording.pictureBias) = (0, 50, 30)
        (recording.loss, recording.recovered) = (0.03, 0.9)
        let file = try #require(try watch(recording).1.first)
        #expect(file.offsets.count >= 5)
        #expect(file.offsets.allSatisfy { abs($0) <= 0.04 }, "\(file.offsets)")
    }

    @Test("a beginning on a busy machine does not displace the file against others of its room")
    func busyBeginning() throws {
        func start(_ delay: Double) throws -> Int64 {
            var recording = EmulatedRecording()
            (recording.seconds, recording.reportJitter, recording.busyBeginning) = (4, 0, (0.9, delay))
            let (result, _) = try watch(recording)
            return try #require(result.reports.compactMap { if case .began(_, _, let time) = $0 { time } else { nil } }.first)
        }
        #expect(abs(try start(80) - start(0)) <= 5_000_000)
    }

    @Test("a sound card that runs wrong by 300 ppm is followed, and so is the publisher's whole clock", arguments: [VideoCodec.h264, .vp8])
    func drift(codec: VideoCodec) throws {
        var recording = EmulatedRecording()
        (recording.codec, recording.seconds) = (codec, 90)
        (recording.soundDrift, recording.wallDrift) = (0.0003, 0.0002)
        let file = try #require(try watch(recording).1.first)
        // The n-th beep is sounded a little before the n-th flash is shown: that is no error of ours.
        for (beep, offset) in zip(file.beeps, file.offsets) { #expect(abs(offset - beep * 0.0003) <= 0.04, "at \(beep)") }
        #expect(file.offsets.count >= 80)
        #expect(abs(file.end - 90) < 0.1, "\(file.end)")
    }

    @Test("with 3 % loss sound and picture stay in step, and after a damaged picture a key frame is asked for", arguments: [VideoCodec.h264, .vp8])
    func loss(codec: VideoCodec) throws {
        var recording = EmulatedRecording()
        (recording.codec, recording.seconds, recording.loss, recording.recovered) = (codec, 30, 0.03, 0.75)
        let (result, files) = try watch(recording)
        let file = try #require(files.first)
        #expect(result.keyFramesWanted > 0)
        #expect(file.offsets.count >= 15)
        #expect(file.offsets.sorted()[file.offsets.count * 95 / 100] <= 0.04 && file.offsets.sorted()[file.offsets.count * 5 / 100] >= -0.04, "\(file.offsets)")
        #expect(file.frames.count >= 350)
        #expect(abs(file.end - 30) < 0.1, "\(file.end)")
    }

    @Test("muted sound is silence of the right length, and in step again afterwards", arguments: [VideoCodec.h264, .vp8])
    func muted(codec: VideoCodec) throws {
        var recording = EmulatedRecording()
        (recording.codec, recording.mutedSound) = (codec, 4.02...8.98)
        let file = try #require(try watch(recording).1.first)
        #expect(file.peaks.filter { (4.2...8.8).contains($0.time) }.allSatisfy { $0.peak < 0.01 })
        #expect(file.offsets.count >= 9)
        #expect(file.offsets.allSatisfy { abs($0) <= 0.03 }, "\(file.offsets)")
        #expect(abs(file.end - 15) < 0.1 && file.soundStart < 0.05)
        // Without a hole for players to fall into.
        #expect(zip(file.peaks, file.peaks.dropFirst()).allSatisfy { $1.time - $0.time < 0.045 })
    }

    @Test("pictures that begin late begin late in the file too")
    func lateStart() throws {
        var recording = EmulatedRecording()
        recording.pictureStart = 4
        let file = try #require(try watch(recording).1.first)
        #expect(abs((file.frames.first?.time ?? 0) - 4) < 0.08)
        #expect(file.beeps.count >= 14)
        #expect(file.offsets.count >= 9 && file.offsets.allSatisfy { abs($0) <= 0.03 }, "\(file.offsets)")
    }

    @Test("a change of size in the middle stays in the file", arguments: [VideoCodec.h264, .vp8])
    func resize(codec: VideoCodec) throws {
        var recording = EmulatedRecording()
        (recording.codec, recording.resizeAt, recording.seconds) = (codec, 5, 10)
        let (result, files) = try watch(recording)
        let file = try #require(files.first)
        #expect(Set(file.frames.map(\.width)) == [320, 480])
        #expect(file.offsets.allSatisfy { abs($0) <= 0.05 }, "\(file.offsets)")
        guard case .ended(_, .finished, let width, let height, _)? = result.reports.last else { Issue.record("no end: \(result.reports)"); return }
        #expect(width == 480 && height == 360)
    }

    @Test("parts are cut at key frames and each is in step by itself")
    func rotation() throws {
        var recording = EmulatedRecording()
        recording.order = { $0.maximumMilliseconds = 3000 }
        recording.loss = 0.02
        recording.recovered = 0.5
        let (result, files) = try watch(recording)
        #expect(result.files.count >= 3)
        for (index, file) in files.enumerated() {
            #expect(file.offsets.allSatisfy { abs($0) <= 0.04 }, "\(file.offsets)")
            if index > 0 { #expect((file.frames.first?.time ?? 1) < 0.01) }
        }
        #expect(abs(files.reduce(0) { $0 + $1.end } - 15) < 0.5)
    }

    @Test("a file that is to begin before its stream is black and silent until then", arguments: [VideoCodec.h264, .vp8])
    func emptyShift(codec: VideoCodec) throws {
        var recording = EmulatedRecording()
        (recording.codec, recording.seconds) = (codec, 8)
        // The emulated publisher begins at 5000 s of our clock.
        recording.order = { $0.origin = 4_970_000_000_000 }
        let file = try #require(try watch(recording).1.first)
        #expect((file.frames.first?.time ?? 1) < 0.01 && file.soundStart < 0.03)
        #expect(file.frames.count { $0.time < 29.9 } == 30)
        #expect(file.peaks.filter { $0.time < 29.9 }.allSatisfy { $0.peak < 0.001 })
        #expect(abs((file.beeps.first ?? 0) - 30) < 0.06, "\(file.beeps)")
        #expect(file.offsets.count >= 6 && file.offsets.allSatisfy { abs($0) <= 0.03 }, "\(file.offsets)")
        #expect(abs(file.end - 38) < 0.1)
    }

    @Test("garbage from a tap harms nothing")
    func garbage() throws {
        let scratch = try Scratch()
        let order = RecordingOrder(
            folder: scratch.path, stem: "x", firstPart: 1, tracks: [.init(codec: .opus, clockRate: 48_000, channels: 2)], formats: RecordFormats())
        let job = try RecordingJob(order)
        let output = WorkerOutput { _ in }
        var random = SystemRandomNumberGenerator()
        for count in [1, 14, 100, 5000] {
            try job.receive((0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }, output: output)
        }
        try job.finish(output: output)
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path).isEmpty)
    }
}
