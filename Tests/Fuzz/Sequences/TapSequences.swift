// SPDX-License-Identifier: Apache-2.0
// Sequences of what a tap hands to those inside the server who take a stream: the RTSP forwarder, RTMP's frame subscription, the recorder.
// Two tracks, audio and video, with any arrivals, timestamps, losses, reports and restarts.
import Foundation
@testable import MartletServer
@testable import MediaIO
import Primitives
import RTP
@testable import Recording
import SDP
import Synchronization
@testable import Workers

/// The records that the bytes stand for, one piece a turn of the reactor.
private struct TapRecords {
    static let sps: [UInt8] = [0x67, 0x42, 0xc0, 0x0d, 0xda, 0x0f, 0x0a, 0x69, 0xa8, 0x10, 0x10, 0x10, 0x1e, 0x28, 0x45, 0x40]
    static let pps: [UInt8] = [0x68, 0xce, 0x3c, 0x80]

    private var events: EventReader
    private var timestamps: [UInt32]
    private var sequences: [UInt16] = [65_530, 3]
    private(set) var now: Instant
    /// What has passed by arrival since the first record.
    private(set) var passed = TimeSpan.zero
    private let isH264: Bool
    /// How many more packets `many` may stand for.
    private var repetitions: Int

    /// How much time may pass in all.
    private let longest: TimeSpan

    init?(_ bytes: UnsafeRawBufferPointer, repetitions: Int = 4000, longest: TimeSpan = .max) {
        events = EventReader(bytes)
        guard let setting = events.byte() else { return nil }
        isH264 = setting & 1 == 0
        timestamps = setting & 2 == 0 ? [5, 7] : [0xffff_fff0, 0x8000_0000]
        now = Instant(nanoseconds: setting & 4 == 0 ? 1 : 1 << 52)
        self.repetitions = repetitions
        self.longest = longest
    }

    var formats: [TrackFormat] {
        [TrackFormat(kind: .audio, codec: Codec(payloadType: 111, name: "opus", clockRate: 48_000, channels: 2)),
         TrackFormat(kind: .video, codec: Codec(payloadType: 96, name: isH264 ? "H264" : "VP8", clockRate: 90_000))]
    }
    var codec: CodecKind { isH264 ? .h264 : .vp8 }

    /// The next turn's records; `nil` at the end.
    mutating func next() -> [UInt8]? {
        guard let kind = events.byte() else { return nil }
        let track = Int(kind & 1)
        switch kind >> 1 & 0x0f {
        case 0..<8:
            guard let step = events.step(), let detail = events.byte() else { return nil }
            var bytes: [UInt8] = []
            let count = kind & 0xe0 == 0xe0 ? min(Int(detail) * 8, repetitions) : 1
            repetitions -= count - 1
            for _ in 0..<max(1, count) {
                timestamps[track] &+= step
                sequences[track] &+= detail & 0xf0 == 0xf0 ? UInt16(detail) : 1
                bytes += packet(track, isKeyFrame: kind & 0x60 == 0x60, detail)
                pass(.milliseconds(track == 0 ? 20 : 33))
            }
            return bytes
        case 8, 9:
            guard let elapsed = events.elapsed() else { return nil }
            pass(.nanoseconds(elapsed))
            return []
        case 10, 11:
            guard let ntp = events.long() else { return nil }
            return TapRecord(track: track, arrival: now, content: .report(ntp: ntp, timestamp: timestamps[track])).encoded
        case 12:
            let ntp = WallTime(nanoseconds: now.nanoseconds).ntp
            return TapRecord(track: track, arrival: now, content: .report(ntp: ntp, timestamp: timestamps[track])).encoded
        case 13: return TapRecord(track: track, arrival: now, content: .restart).encoded
        case 14:
            guard let back = events.byte() else { return nil }
            // Late, or once more.
            let sequence = sequences[track] &- UInt16(back & 31)
            return packet(track, isKeyFrame: false, back, sequence: sequence)
        default:
            guard let step = events.step() else { return nil }
            sequences[track] &+= UInt16(truncatingIfNeeded: step)
            return []
        }
    }

    private mutating func pass(_ elapsed: TimeSpan) {
        let elapsed = min(elapsed, longest - passed)
        now += elapsed
        passed += elapsed
    }

    private func packet(_ track: Int, isKeyFrame: Bool, _ detail: UInt8, sequence: UInt16? = nil) -> [UInt8] {
        var payload: [UInt8]
        if track == 0 {
            payload = [0xfc, 0xff, 0xfe]
        } else if isH264 {
            let sets = [0x78, 0, UInt8(Self.sps.count)] + Self.sps + [0, UInt8(Self.pps.count)] + Self.pps + [0, 3, 0x65, 0x88, detail]
            payload = isKeyFrame ? sets : [0x41, 0x9a, detail]
        } else {
            payload = isKeyFrame ? [0x10, 0x10, 2, 0, 0x9d, 0x01, 0x2a, 64, 0, 48, 0, detail] : [0x10, 0x11, 2, 0, detail]
        }
        let rtp = rtpPacket(payloadType: track == 0 ? 111 : 96, sequence: sequence ?? sequences[track], timestamp: timestamps[track], ssrc: UInt32(track + 1), marker: true, payload: payload)
        return TapRecord(track: track, arrival: now, content: .packet(orientation: detail & 1 == 0 ? 0xff : detail & 3, audioLevel: 0xff, rtp: rtp[...])).encoded
    }
}

/// To an RTSP player: nothing traps, and what waits is bounded (the forwarder's own limits), whatever comes.
func fuzzForwarder(_ bytes: UnsafeRawBufferPointer) {
    guard var records = TapRecords(bytes) else { return }
    var random = RandomSource.seeded(1)
    var forwarder = RTPForwarder(formats: records.formats, payloadTypes: [111, 96], wanted: [0, 1], wallOffset: .seconds(3_900_000_000), random: &random)
    var newest: [Int: UInt16] = [:]
    while let turn = records.next() {
        for packet in forwarder.take(turn) {
            hold(packet.bytes.count >= 8, "a packet without a head")
            guard !packet.isReport else { continue }
            let number = UInt16(packet.bytes[2]) << 8 | UInt16(packet.bytes[3])
            // Forwards, or so far back that the source must have begun anew.
            let step = newest[packet.track].map { Int16(bitPattern: number &- $0) } ?? 1
            hold(step > 0 || step <= -3000, "packets out of order")
            newest[packet.track] = number
        }
    }
}

/// To an RTMP player or push: times never go back on audio by more than a frame, and nothing traps.
func fuzzFrames(_ bytes: UnsafeRawBufferPointer) {
    guard var records = TapRecords(bytes) else { return }
    let signal = WakeSignal(), pipe = PacketPipe(onData: { signal.set() })
    let subscription = FrameSubscription(formats: records.formats, pipe: pipe, signal: signal) {}
    let turns = sequence(state: (), next: { _ in records.next() }).reduce(into: [[UInt8]]()) { $0.append($1) }
    blocking {
        let reader = Task { () -> Int in
            var count = 0
            while let item = await subscription.next() {
                if case .frame(let frame) = item {
                    hold(!frame.bytes.isEmpty, "a frame without bytes")
                    count += 1
                }
            }
            return count
        }
        for turn in turns where !turn.isEmpty {
            turn.withUnsafeBytes { raw in
                _ = pipe.write(raw, UnsafeRawBufferPointer(start: nil, count: 0))
                pipe.announce()
            }
        }
        await Task.yield()
        await subscription.finish()
        _ = await reader.value
    }
}

/// Into a file: no file is longer than the time that passed while it was written, and nothing traps or loops.
func fuzzRecorder(_ bytes: UnsafeRawBufferPointer) {
    // Pauses are silence that is encoded, which takes time; what is longer than `SoundLane.fillStep` is written in steps.
    guard var records = TapRecords(bytes, repetitions: 1500, longest: .seconds(40)) else { return }
    let folder = FileManager.default.temporaryDirectory.path + "/martlet-fuzz-\(getpid())"
    try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let tracks = records.formats.map {
        RecordingOrder.Track(codec: CodecKind(encodingName: $0.codec.name), clockRate: $0.codec.clockRate, channels: $0.codec.channels, parameterSets: nil)
    }
    let order = RecordingOrder(folder: folder, stem: "f", firstPart: 1, tracks: tracks, formats: RecordFormats())
    guard let job = try? RecordingJob(order) else { return }
    let written = Mutex(0)
    let output = WorkerOutput { bytes in written.withLock { $0 += bytes.count } }
    do {
        while let turn = records.next() {
            if !turn.isEmpty { try job.receive(turn, output: output) }
        }
        try job.finish(output: output)
    } catch {}
    // Opus silence is three bytes a packet of 20 ms; a second of anything here is far below 64 kB.
    let size = (try? FileManager.default.contentsOfDirectory(atPath: folder))?.reduce(0) { sum, name in
        sum + ((try? FileManager.default.attributesOfItem(atPath: folder + "/" + name)[.size] as? Int) ?? 0)
    } ?? 0
    let seconds = Int(min(records.passed.milliseconds / 1000, 1 << 40))
    hold(size <= 4 << 20 || size <= (seconds + 60) * 65_536, "\(size) bytes written in \(seconds) s: filled with what nobody sent")
}

/// Runs something asynchronous to its end.
func blocking(_ body: @escaping @Sendable () async -> Void) {
    let done = DispatchSemaphore(value: 0)
    Task.detached {
        await body()
        done.signal()
    }
    done.wait()
}
