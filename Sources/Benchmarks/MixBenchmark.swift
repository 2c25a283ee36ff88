// SPDX-License-Identifier: Apache-2.0
// `martlet bench mix`: how fast a room's record becomes one picture, without a server.
import Codecs
import Foundation
import MediaTools
import Mixing
import RTP

public enum MixBenchmark {
    private static let width = 640, height = 480, rate = 30

    /// - Parameters:
    ///   - people: whose pictures of 640×480 are beside each other.
    ///   - output: of the result, pixels.
    public static func run(people: Int, output: (width: Int, height: Int), _ options: BenchmarkOptions) async throws -> Figures {
        let folder = options.folder + "/mix-\(getpid())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let source = folder + "/room.mkv", target = folder + "/mixed.mp4"
        options.progress("making a record of \(people) people, \(Int(options.seconds)) s")
        try makeRecord(source, people: people, seconds: options.seconds)
        var settings = MixSettings()
        (settings.width, settings.height) = output
        options.progress("mixing")
        let before = processorTime(), start = ContinuousClock.now
        let report = try await Mixer(source, settings).mix(to: target)
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        let processor = processorTime() - before
        let media = Double(report.summary.milliseconds) / 1000

        var figures = Figures()
        figures.add("benchmark", "Benchmark", .text("mix"))
        figures.add("people", "People, \(width)×\(height) H.264 \(rate) fps + Opus", people)
        figures.add("output", "Result", .text("\(output.width)x\(output.height) \(settings.frameRate) fps"))
        figures.add("cores", "Cores", ProcessInfo.processInfo.activeProcessorCount)
        figures.add("media_seconds", "Length", media, "s")
        figures.add("seconds", "Mixed in", seconds, "s")
        figures.add("speed_x_realtime", "Times real time", media / seconds)
        figures.add("cores_used", "Cores used", processor / seconds)
        figures.add("source_kbps", "Bitrate of the record", Double(size(of: source)) * 8 / media / 1000, "kbit/s")
        figures.add("result_kbps", "Bitrate of the result", Double(report.summary.bytes) * 8 / media / 1000, "kbit/s")
        figures.add("warnings", "Left out", report.warnings.count)
        return figures
    }

    /// Seconds that the process has used, threads that have ended among them.
    private static func processorTime() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private static func size(of path: String) -> Int64 {
        var info = stat()
        return stat(path, &info) == 0 ? Int64(info.st_size) : 0
    }

    /// What a recorded room looks like: pictures with as much going on as in front of a camera (about 1 Mbit/s), and a tone.
    private static func makeRecord(_ path: String, people: Int, seconds: Double) throws {
        let pattern = try TestPattern(width: width, height: height, frameRate: rate)
        let video = try (0..<people).map { _ in
            try VideoEncoder(VideoEncoder.Configuration(
                codec: .h264, width: width, height: height, frameRate: rate, bitrate: 1_000_000, keyFrameInterval: rate * 4))
        }
        let audio = try (0..<people).map { _ in try AudioEncoder(AudioEncoder.Configuration(codec: .opus)) }
        var muxer: Muxer?
        var noise = RandomNoise()
        for index in 0..<Int(seconds * Double(rate)) {
            let time = Int64(index) * 1_000_000 / Int64(rate)
            let base = try pattern.frame(unixMilliseconds: 1_700_000_000_000 + time / 1000, timestamp: time * 9 / 100)
            for person in 0..<people {
                let picture = try VideoFrame(copying: base, timestamp: base.timestamp) { canvas in
                    for _ in 0..<60 {
                        canvas.fill(
                            x: noise.next(width), y: height / 8 + noise.next(height), width: 16, height: 16,
                            YUVColour(y: UInt8(16 + noise.next(200)), u: UInt8(noise.next(256)), v: UInt8(noise.next(256))))
                    }
                }
                let packets = try video[person].encode(picture)
                if muxer == nil, let first = packets.first {
                    let sets = FrameHeader(codec: .h264, keyFrame: first.bytes).parameterSets
                    muxer = try Muxer(path: path, container: .matroska, tracks: (0..<people).flatMap { person in
                        [
                            MuxerTrack(.video(.h264, width: width, height: height, parameterSets: sets, rotation: .none), title: "person \(person + 1)"),
                            MuxerTrack(.audio(.opus, sampleRate: 48_000, channels: 2, header: MuxerTrack.opusHead(channels: 2)), title: "person \(person + 1)"),
                        ]
                    })
                }
                for packet in packets {
                    try muxer?.write(track: person * 2, packet.bytes, time: packet.timestamp * 100 / 9, duration: 1_000_000 / Int64(rate), isKeyFrame: packet.isKeyFrame)
                }
                let samples = (0..<48_000 / rate).flatMap { sample -> [Float] in
                    let value = 0.2 * sin(Float(index * 48_000 / rate + sample) * Float(person + 2) * 0.03)
                    return [value, value]
                }
                let sound = AudioFrame(samples: samples, channels: 2, sampleRate: 48_000, timestamp: Int64(index * 48_000 / rate))
                for packet in try audio[person].encode(sound) {
                    try muxer?.write(track: person * 2 + 1, packet.bytes, time: packet.timestamp * 1000 / 48, duration: packet.duration * 1000 / 48, isKeyFrame: true)
                }
            }
        }
        try muxer?.finish()
    }

    /// The same in every run.
    private struct RandomNoise {
        private var state: UInt64 = 42

        mutating func next(_ limit: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(limit))
        }
    }
}
