// SPDX-License-Identifier: Apache-2.0
import Codecs
import Foundation
import MediaIO
import Primitives
import RTP
import Synchronization
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
        func start(_ delay: Double) throws -> Instant {
            var recording = EmulatedRecording()
            (recording.seconds, recording.reportJitter, recording.busyBeginning) = (4, 0, (0.9, delay))
            let (result, _) = try watch(recording)
            return try #require(result.reports.compactMap { if case .began(_, _, let time) = $0 { time } else { nil } }.first)
        }
        #expect(try start(80).span(since: start(0)).magnitude <= .milliseconds(5))
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
        recording.order = { $0.origin = Instant(milliseconds: 4_970_000) }
        let file = try #require(try watch(recording).1.first)
        #expect((file.frames.first?.time ?? 1) < 0.01 && file.soundStart < 0.03)
        #expect(file.frames.count { $0.time < 29.9 } == 30)
        #expect(file.peaks.filter { $0.time < 29.9 }.allSatisfy { $0.peak < 0.001 })
        #expect(abs((file.beeps.first ?? 0) - 30) < 0.06, "\(file.beeps)")
        #expect(file.offsets.count >= 6 && file.offsets.allSatisfy { abs($0) <= 0.03 }, "\(file.offsets)")
        #expect(abs(file.end - 38) < 0.1)
    }

    @Test("the last picture of a file that began before its stream lasts as long as any other", arguments: [VideoCodec.h264])
    func lastPicture(codec: VideoCodec) throws {
        let scratch = try Scratch()
        var recording = EmulatedRecording()
        (recording.codec, recording.seconds) = (codec, 5)
        recording.order = { $0.origin = Instant(milliseconds: 4_982_000) }
        let file = try #require(try recording.run(in: scratch.path).files.first)
        let target = scratch.path + "/finished"
        _ = try MediaFinisher.finish(file, as: target, container: codec == .h264 ? .mp4 : .webm)
        for path in [file, target] {
            let demuxer = try Demuxer(path: path)
            let video = demuxer.tracks.firstIndex { if case .video = $0 { true } else { false } }
            var last: EncodedPacket?
            while let next = try demuxer.next() { if next.track == video { last = next.packet } }
            // Of 20 a second; up to the end of the sound.
            #expect(try #require(last).duration < 150_000, "\(path): \(last?.timestamp ?? 0) + \(last?.duration ?? 0)")
        }
    }

    @Test(
        "timestamps that jump leave a file as long as what was recorded", arguments: [VideoCodec.h264, .vp8],
        [[1_294_967_395, 294_968_530], [3_000_000_000, 4_000_000_000], [0, 4_000_000_000], [480_000, 0]] as [[UInt32]])
    func jump(codec: VideoCodec, ticks: [UInt32]) throws {
        var recording = EmulatedRecording()
        (recording.codec, recording.seconds, recording.jump) = (codec, 9, (4, ticks))
        let (result, files) = try watch(recording)
        let file = try #require(files.first)
        #expect(result.files.count == 1)
        #expect(abs(file.end - 9) < 0.6, "\(file.end)")
        // 20 frames a second; what came while the clocks were in doubt may be missing.
        #expect(file.frames.count > 160, "\(file.frames.count)")
        #expect(file.beeps.count >= 7, "\(file.beeps)")
    }

    @Test("a recording whose timestamps are noise is no longer than the time that has passed, whatever the codec", arguments: [CodecKind.opus, .pcmu])
    func noise(codec: CodecKind) throws {
        let scratch = try Scratch()
        let rate = codec == .opus ? 48_000 : 8_000
        var order = RecordingOrder(
            folder: scratch.path, stem: "noise", firstPart: 1,
            tracks: [.init(codec: codec, clockRate: rate, channels: 1), .init(codec: .vp8, clockRate: 90_000, channels: 1)], formats: RecordFormats())
        order.weighsArrivals = true
        let job = try RecordingJob(order)
        let reports = Mutex<[RecordingReport]>([])
        let output = WorkerOutput { bytes in reports.withLock { if let report = try? RecordingReport(decoding: bytes) { $0.append(report) } } }
        var random = RandomSource.seeded(7)
        let extremes: [UInt32] = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x4000_0000]
        var times: [UInt32] = [0, 0], arrival: Int64 = 1_000_000_000
        let audio: [UInt8] = codec == .opus ? [0xfc, 1, 2, 3] : [UInt8](repeating: 0xff, count: 160)
        let steps = Self.noiseSteps
        var waiting: [UInt8] = []
        for step in 0..<steps {
            arrival += 1_000_000
            let track = step % 20 == 0 ? 1 : 0
            times[track] &+= step % 3 == 0 ? extremes.randomElement(using: &random) ?? 0 : UInt32.random(in: 0...UInt32.max, using: &random)
            // A VP8 key frame of 64 x 48 (RFC 6386 §9.1) behind its descriptor.
            let payload = track == 0 ? audio : [0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 64, 0, 48, 0, 0, 0]
            let sequence = track == 1 ? step / 20 : step
            var rtp: [UInt8] = [0x80, track == 1 ? 0x80 : 0, UInt8(truncatingIfNeeded: sequence >> 8), UInt8(truncatingIfNeeded: sequence)]
            rtp += (0..<4).map { UInt8(truncatingIfNeeded: times[track] >> UInt32(24 - 8 * $0)) } + [0, 0, 0, UInt8(track + 1)] + payload
            var input = TapRecord(track: track, arrival: Instant(nanoseconds: arrival), content: .packet(orientation: 0xff, audioLevel: 0xff, rtp: rtp[...])).encoded
            if step % 100 == 50 {
                input += TapRecord(
                    track: track, arrival: Instant(nanoseconds: arrival),
                    content: .report(ntp: UInt64.random(in: 0...UInt64.max, using: &random), timestamp: times[track])).encoded
            }
            waiting += input
            guard step % 50 == 49 else { continue }
            try job.receive(waiting, output: output)
            waiting = []
        }
        try job.finish(output: output)
        let passed = Double(steps) / 1000
        for case .began(_, let file, _) in reports.withLock({ $0 }) {
            let summary = try MediaFinisher.measure(scratch.path + "/" + file)
            #expect(Double(summary.milliseconds) / 1000 < passed + 1.5, "\(summary.milliseconds) ms in \(passed) s")
        }
        #expect(reports.withLock { $0 }.contains { if case .began = $0 { true } else { false } })
    }

    /// One a millisecond.
    static let noiseSteps = 100_000

    @Test("a pause of any length is as long in the file, and is written in steps", arguments: [CodecKind.opus, .pcmu])
    func longPause(codec: CodecKind) throws {
        let scratch = try Scratch()
        let rate = codec == .opus ? 48_000 : 8_000
        let job = try RecordingJob(RecordingOrder(
            folder: scratch.path, stem: "pause", firstPart: 1, tracks: [.init(codec: codec, clockRate: rate, channels: 1)], formats: RecordFormats()))
        let reports = Mutex<[RecordingReport]>([]), signsOfLife = Mutex(0)
        let output = WorkerOutput(sign: { signsOfLife.withLock { $0 += 1 } }) { bytes in
            reports.withLock { if let report = try? RecordingReport(decoding: bytes) { $0.append(report) } }
        }
        let audio: [UInt8] = codec == .opus ? [0xfc, 0xff, 0xfe] : [UInt8](repeating: 0xff, count: 160)
        let pause = 660
        for number in 0..<300 {
            // Five seconds before the pause, one behind it.
            let shift = number < 250 ? 0 : pause
            let timestamp = UInt32(number * rate / 50 + shift * rate)
            var rtp: [UInt8] = [0x80, 0, UInt8(number >> 8), UInt8(number & 0xff)]
            rtp += (0..<4).map { UInt8(truncatingIfNeeded: timestamp >> UInt32(24 - 8 * $0)) } + [0, 0, 0, 1] + audio
            let arrival = Instant(milliseconds: Int64(1000 + number * 20 + shift * 1000))
            try job.receive(
                TapRecord(track: 0, arrival: arrival, content: .packet(orientation: 0xff, audioLevel: 0xff, rtp: rtp[...])).encoded, output: output)
        }
        try job.finish(output: output)
        let files = reports.withLock { $0 }.compactMap { if case .began(_, let file, _) = $0 { file } else { nil } }
        #expect(files.count == 1)
        let summary = try MediaFinisher.measure(scratch.path + "/" + (files.first ?? ""))
        #expect(abs(summary.milliseconds - Int64(pause + 6) * 1000) < 100, "\(summary.milliseconds) ms")
        #expect(signsOfLife.withLock { $0 } >= pause / 10 - 2)
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
