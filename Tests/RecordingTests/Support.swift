// SPDX-License-Identifier: Apache-2.0
import Codecs
import Foundation
import MediaIO
import MediaTools
import Primitives
import RTP
import SDP
import Synchronization

@testable import Recording
@testable import Workers

/// A folder that goes with the test.
final class Scratch {
    let path: String
    init() throws {
        path = NSTemporaryDirectory() + "recording-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// A publisher, a network and a recording job in virtual time: what the job writes is looked at afterwards.
struct EmulatedRecording {
    var codec = VideoCodec.h264
    var seconds = 15.0
    /// How much too fast the publisher's sound card runs, and its whole clock against ours.
    var soundDrift = 0.0, wallDrift = 0.0
    /// Share of packets lost on the way, and of those that a retransmission brings after all.
    var loss = 0.0, recovered = 0.95
    /// ms that sender reports are off by at most.
    var reportJitter = 5.0
    /// Reports of sound as a browser makes them: the first after 2 s, then one every 5 s, made from a packet that had waited for up to this, ms.
    var browserLateness: Double?
    /// Pictures seem to have been made that much earlier than they were, ms.
    var pictureBias = 0.0
    /// Packets of the first seconds are that much later than others, ms.
    var busyBeginning = (seconds: 0.0, delay: 0.0)
    /// Seconds in which nothing of a kind is sent.
    var mutedSound: ClosedRange<Double>?
    var pictureStart = 0.0
    /// From then on pictures have another size.
    var resizeAt: Double?
    /// From then on timestamps are that many ticks further on, sound's and picture's: an encoder that was begun anew.
    var jump: (at: Double, ticks: [UInt32])?
    var order: (inout RecordingOrder) -> Void = { _ in }
    var seed: UInt64 = 1

    struct Result {
        var reports: [RecordingReport] = []
        var files: [String] = []
        var keyFramesWanted = 0
    }

    /// One engine whose packets are renumbered, so that another can take its place.
    private struct Source {
        let engine: PublishEngine
        let start: Int64
        let base: UInt32
        init(_ options: PublishOptions, start: Int64, seed: UInt64) throws {
            engine = try PublishEngine(options, random: .seeded(seed))
            self.start = start
            base = engine.timestamps(at: .zero)[0]
        }
    }
    private struct Event {
        var arrival: Int64
        var record: TapRecord
    }

    func run(in folder: String) throws -> Result {
        var result = Result()
        let outputs = Mutex<[[UInt8]]>([])
        let output = WorkerOutput { bytes in outputs.withLock { $0.append(bytes) } }
        var order = RecordingOrder(
            folder: folder, stem: "test", firstPart: 1,
            tracks: [.init(codec: .opus, clockRate: 48_000, channels: 2), .init(codec: kind, clockRate: 90_000, channels: 1)],
            formats: RecordFormats())
        order.weighsArrivals = true
        self.order(&order)
        let job = try RecordingJob(try RecordingOrder(decoding: order.encoded))

        var random = RandomSource.seeded(seed)
        var sound = try Source(options(sound: true), start: 0, seed: 2)
        var picture = try Source(options(size: (320, 240)), start: Int64(pictureStart * 1e9), seed: 3)
        var sequences: [UInt16] = [65_000, 65_500]
        var events: [Event] = []
        var nextReports: [Int64] = [browserLateness == nil ? 300_000_000 : 2_000_000_000, 100_000_000 + picture.start]
        // Our clock is far from the publisher's.
        let ours: (Int64) -> Int64 = { 5_000_000_000_000 + $0 }
        let step: Int64 = 5_000_000, end = Int64(seconds * 1e9)
        var delivered: Int64 = 0
        func delay(_ now: Int64) -> Int64 {
            let busy = Double(now) < busyBeginning.seconds * 1e9 ? Int64(busyBeginning.delay * 1e6) : 0
            return 20_000_000 + busy + Int64.random(in: 0...10_000_000, using: &random)
        }

        func jumped(_ track: Int, at now: Int64) -> UInt32 { jump.map { now >= Int64($0.at * 1e9) ? $0.ticks[track] : 0 } ?? 0 }
        for now in stride(from: Int64(0), through: end + 2_000_000_000, by: Int(step)) {
            if now <= end {
                if let resizeAt, now == Int64(resizeAt * 1e9) {
                    picture = try Source(options(size: (480, 360)), start: now, seed: 4)
                }
                for (track, source, rate) in [(0, sound, 1 + soundDrift), (1, picture, 1.0)] where now >= source.start {
                    let elapsed = Int64(Double(now - source.start) * rate)
                    for (_, packet) in try source.engine.advance(to: .nanoseconds(elapsed), unixMilliseconds: now / 1_000_000) {
                        if track == 0, let mutedSound, mutedSound.contains(Double(now) / 1e9) {
                            continue
                        }
                        sequences[track] &+= 1
                        let shift = UInt32(truncatingIfNeeded: source.start / 1000 * Int64(track == 0 ? 48_000 : 90_000) / 1_000_000)
                        let rtp = Self.renumber(packet, sequences[track], from: source.base, to: shift &+ jumped(track, at: now))
                        let isLost = Double.random(in: 0..<1, using: &random) < loss
                        let returns = Double.random(in: 0..<1, using: &random) < recovered
                        if isLost, !returns { continue }
                        events.append(Event(
                            arrival: now + delay(now) + (isLost ? 60_000_000 : 0),
                            record: TapRecord(track: track, arrival: .zero, content: .packet(orientation: 0xff, audioLevel: 0xff, rtp: rtp[...]))))
                    }
                    if now >= nextReports[track] {
                        nextReports[track] = now + (track == 0 ? browserLateness == nil ? 2_500_000_000 : 5_000_000_000 : 1_000_000_000)
                        let jitter = Int64(Double.random(in: -reportJitter...reportJitter, using: &random) * 1e6)
                        let wall = Int64(Double(now) * (1 + wallDrift)) + jitter + 3_900_000_000_000_000_000
                        let clockRate: UInt64 = track == 0 ? 48_000 : 90_000
                        let wrong = track == 1 ? pictureBias : browserLateness.map { -Double.random(in: 0...$0, using: &random) } ?? 0
                        let reported = max(0, elapsed + Int64(wrong * 1e6))
                        let ticks = UInt32(truncatingIfNeeded: (UInt64(source.start / 1000) * clockRate) / 1_000_000 + UInt64(reported / 1000) * clockRate / 1_000_000)
                        let ntp = UInt64(wall / 1_000_000_000) << 32 | (UInt64(wall % 1_000_000_000) << 32) / 1_000_000_000
                        events.append(Event(
                            arrival: now + delay(now), record: TapRecord(track: track, arrival: .zero, content: .report(ntp: ntp, timestamp: ticks &+ jumped(track, at: now)))))
                    }
                }
            }
            guard now - delivered >= 50_000_000 else { continue }
            delivered = now
            let due = events.enumerated().filter { $0.element.arrival <= now }.sorted { ($0.element.arrival, $0.offset) < ($1.element.arrival, $1.offset) }
            events.removeAll { $0.arrival <= now }
            let bytes = due.flatMap { _, event -> [UInt8] in
                var record = event.record
                record.arrival = Instant(nanoseconds: ours(event.arrival))
                return record.encoded
            }
            if !bytes.isEmpty { try job.receive(bytes, output: output) }
            for bytes in outputs.withLock({ outputs in defer { outputs = [] }; return outputs }) {
                let report = try RecordingReport(decoding: bytes)
                if report == .keyFrameWanted {
                    result.keyFramesWanted += 1
                    picture.engine.requestKeyFrame()
                }
                result.reports.append(report)
            }
        }
        try job.finish(output: output)
        result.reports += try outputs.withLock { $0 }.map { try RecordingReport(decoding: $0) }
        result.files = result.reports.compactMap { report in
            if case .began(_, let file, _) = report { folder + "/" + file } else { nil }
        }
        _ = sound
        return result
    }

    private var kind: CodecKind {
        switch codec {
        case .h264: .h264
        case .vp8: .vp8
        case .vp9: .vp9
        case .av1: .av1
        }
    }

    private func options(sound: Bool = false, size: (Int, Int) = (320, 240)) -> PublishOptions {
        var options = PublishOptions()
        options.includesAudio = sound
        options.includesVideo = !sound
        options.videoCodec = codec
        options.size = size
        options.frameRate = 20
        options.videoBitrate = 300_000
        return options
    }

    private static func renumber(_ packet: [UInt8], _ sequence: UInt16, from base: UInt32, to shift: UInt32) -> [UInt8] {
        var packet = packet
        let old = packet[4..<8].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        let time = old &- base &+ shift
        (packet[2], packet[3]) = (UInt8(sequence >> 8), UInt8(truncatingIfNeeded: sequence))
        for index in 0..<4 { packet[4 + index] = UInt8(truncatingIfNeeded: time >> UInt32(24 - 8 * index)) }
        packet.replaceSubrange(8..<12, with: [0, 0, 0, 1])
        return packet
    }
}

/// What a recorded file shows and sounds like. Times in seconds.
struct Watched {
    var frames: [(time: Double, flash: Bool, width: Int)] = []
    var beeps: [Double] = []
    var soundStart = 0.0, soundEnd = 0.0
    var peaks: [(time: Double, peak: Float)] = []

    init(_ path: String) throws {
        let file = try Demuxer(path: path)
        var video: VideoDecoder?, audio: AudioDecoder?, videoTrack = -1, audioTrack = -1
        for (index, track) in file.tracks.enumerated() {
            switch track {
            case .video(let track):
                video = try VideoDecoder(track.codec, extradata: track.codec == .h264 ? [] : track.extradata)
                videoTrack = index
            case .audio(let track):
                audio = try AudioDecoder(track.codec, sampleRate: track.sampleRate, channels: track.channels, extradata: track.extradata)
                audioTrack = index
            }
        }
        var lastLoud = -1.0, isFirst = true
        while let next = try file.next() {
            let time = Double(next.packet.timestamp) / 1e6
            if next.track == videoTrack, let video {
                for frame in try video.decode(next.packet.bytes, timestamp: 0) {
                    let area = TestPattern.flashArea(width: frame.width, height: frame.height)
                    let luma = frame.read { $0.meanLuma(x: area.x, y: area.y + 2, width: area.width - 4, height: area.height - 3) }
                    frames.append((time, luma > 128, frame.width))
                }
            } else if next.track == audioTrack, let audio {
                for frame in try audio.decode(next.packet.bytes, timestamp: 0) {
                    if isFirst {
                        soundStart = time
                        isFirst = false
                    }
                    soundEnd = time + Double(frame.sampleCount) / Double(frame.sampleRate)
                    var peak: Float = 0
                    for index in 0..<frame.sampleCount {
                        let value = abs(frame.samples[index * frame.channels])
                        peak = max(peak, value)
                        guard value > 0.25 else { continue }
                        let at = time + Double(index) / Double(frame.sampleRate)
                        if at - lastLoud > 0.5 { beeps.append(at) }
                        lastLoud = at
                    }
                    peaks.append((time, peak))
                }
            }
        }
    }

    /// Where flashes begin.
    var flashes: [Double] { zip(frames, frames.dropFirst()).compactMap { !$0.flash && $1.flash ? $1.time : nil } }

    /// Flash n less beep n, seconds, for those within 400 ms of each other.
    var offsets: [Double] {
        beeps.compactMap { beep in
            flashes.min { abs($0 - beep) < abs($1 - beep) }.map { $0 - beep }.flatMap { abs($0) < 0.4 ? $0 : nil }
        }
    }

    var end: Double { max(soundEnd, (frames.last?.time ?? -0.05) + 0.05) }
}
