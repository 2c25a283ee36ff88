// SPDX-License-Identifier: Apache-2.0
import Logging
import Primitives
import RTMP
import Synchronization
import Testing
@testable import MartletServer

struct RTMPIngestTests {
    /// Notes what an ingest does.
    final class Target: IngestTarget {
        enum Note: Equatable {
            case start([IngestTrack])
            case change([IngestTrack])
            case write(track: Int, [UInt8], Int64, isKeyFrame: Bool)
            case update([[UInt8]])
        }
        let notes = Mutex<[Note]>([])
        func start(_ tracks: [IngestTrack]) async throws(StreamRefusal) { notes.withLock { $0.append(.start(tracks)) } }
        func change(_ tracks: [IngestTrack]) { notes.withLock { $0.append(.change(tracks)) } }
        func write(track: Int, frame: [UInt8], time: MediaTime, isKeyFrame: Bool) {
            notes.withLock { $0.append(.write(track: track, frame, time.milliseconds, isKeyFrame: isKeyFrame)) }
        }
        func update(track: Int, parameterSets: [[UInt8]]) { notes.withLock { $0.append(.update(parameterSets)) } }

        func wait(for count: Int) async -> [Note] {
            for _ in 0..<2000 {
                let now = notes.withLock { $0 }
                if now.count >= count { return now }
                try? await Task.sleep(for: .milliseconds(5))
            }
            return notes.withLock { $0 }
        }
    }

    static let configuration = AVCConfiguration(sequenceParameterSets: [[0x67, 0x64, 0, 0x1f]], pictureParameterSets: [[0x68, 1]])
    /// The first slices of a key frame and of another: I and P, as length-prefixed units and as they go on.
    static let key: [UInt8] = [0, 0, 0, 3, 0x65, 0xb8, 1], keyUnits: [UInt8] = [0, 0, 0, 1, 0x65, 0xb8, 1]
    static let other: [UInt8] = [0, 0, 0, 3, 0x41, 0xe0, 2], otherUnits: [UInt8] = [0, 0, 0, 1, 0x41, 0xe0, 2]
    let target = Target()
    let failures = FailureBox()
    final class FailureBox: Sendable { let reason = Mutex<String?>(nil) }

    func ingest() -> RTMPIngest {
        let failures = failures
        return RTMPIngest(target: target, logger: Logger(label: "test")) { reason in failures.reason.withLock { $0 = reason } }
    }

    func video(_ time: UInt32, _ content: VideoTag.Content, key: Bool = true, shift: Int32 = 0, _ body: [UInt8]) -> RTMPMessage {
        RTMPMessage(
            type: RTMPMessageType.video, streamID: 1, timestamp: time,
            payload: VideoTag.payload(content, isKeyFrame: key, compositionTime: shift, body))
    }

    func audio(_ time: UInt32, _ content: AudioTag.Content, _ body: [UInt8]) -> RTMPMessage {
        RTMPMessage(type: RTMPMessageType.audio, streamID: 1, timestamp: time, payload: AudioTag.payload(content, body))
    }

    @Test("a stream begins once both tracks that its metadata promises are there; what waited is not lost")
    func begins() async throws {
        let ingest = ingest()
        ingest.take(metadata: ["videocodecid": 7, "audiocodecid": 10])
        ingest.take(video(0, .configuration, try #require(Self.configuration.record)))
        ingest.take(video(0, .frame, Self.key))
        #expect(target.notes.withLock { $0.isEmpty })
        ingest.take(audio(0, .configuration, [0x12, 0x10]))
        ingest.take(audio(10, .frame, [9]))
        let notes = await target.wait(for: 3)
        #expect(notes == [
            .start([.h264(Self.configuration, reorders: false), .aac(config: [0x12, 0x10])]),
            .write(track: 0, Self.keyUnits, 0, isKeyFrame: true), .write(track: 1, [9], 10, isKeyFrame: true),
        ])
        ingest.take(video(40, .frame, key: false, shift: 80, Self.other))
        #expect(await target.wait(for: 4).last == .write(track: 0, Self.otherUnits, 120, isKeyFrame: false))
    }

    @Test("without metadata a lone track is waited for by the stream's own time")
    func alone() async throws {
        let ingest = ingest()
        ingest.take(video(0, .configuration, try #require(Self.configuration.record)), at: .zero)
        for time in stride(from: UInt32(0), to: 680, by: 40) { ingest.take(video(time, .frame, Self.key), at: .zero) }
        #expect(target.notes.withLock { $0.isEmpty })
        ingest.take(video(720, .frame, Self.key), at: .zero)
        #expect(await target.wait(for: 1).first == .start([.h264(Self.configuration, reorders: false)]))
    }

    @Test("B-frames are known from offsets that differ; the same offset for all frames is none", arguments: [(Int32(200), true), (80, false), (82, false)])
    func reorders(second: Int32, reorders: Bool) async throws {
        let ingest = ingest()
        ingest.take(metadata: ["videocodecid": 7])
        ingest.take(video(0, .configuration, try #require(Self.configuration.record)))
        ingest.take(video(0, .frame, shift: 80, Self.key))
        ingest.take(video(40, .frame, key: false, shift: second, Self.other))
        #expect(await target.wait(for: 1).first == .start([.h264(Self.configuration, reorders: reorders)]))
    }

    @Test("new parameter sets in the middle are handed on, the same ones are not")
    func update() async throws {
        let ingest = ingest()
        ingest.take(metadata: ["videocodecid": 7])
        let record = try #require(Self.configuration.record)
        ingest.take(video(0, .configuration, record))
        ingest.take(video(0, .frame, Self.key))
        _ = await target.wait(for: 2)
        ingest.take(video(40, .configuration, record))
        let other = AVCConfiguration(sequenceParameterSets: [[0x67, 0x42, 0, 0x1e]], pictureParameterSets: [[0x68, 2]], lengthSize: 2)
        ingest.take(video(40, .configuration, try #require(other.record)))
        ingest.take(video(80, .frame, [0, 3, 0x65, 0xb8, 1]))
        #expect(await target.wait(for: 4).dropFirst(2) == [.update(other.parameterSets), .write(track: 0, Self.keyUnits, 80, isKeyFrame: true)])
    }

    @Test("a stream of nothing but a codec that isn't taken fails with its name", arguments: [([0xb2, 1], "Speex"), ([0x2f, 1], "MP3")] as [([UInt8], String)])
    func refused(payload: [UInt8], name: String) async {
        let ingest = ingest()
        ingest.take(metadata: ["audiocodecid": 2])
        ingest.take(RTMPMessage(type: RTMPMessageType.audio, streamID: 1, payload: payload))
        #expect(failures.reason.withLock { $0 }?.contains(name) ?? false)
    }

    @Test("what waits for a start is bounded")
    func bounded() {
        let ingest = ingest()
        ingest.take(metadata: ["videocodecid": 7, "audiocodecid": 10])
        ingest.take(video(0, .configuration, Self.configuration.record ?? []), at: .zero)
        // A start would be due after three seconds; this one stands still.
        let frame: [UInt8] = [0, 0x10, 0, 0, 0x65, 0x88] + [UInt8](repeating: 1, count: (1 << 20) - 2)
        for _ in 0..<40 { ingest.take(video(0, .frame, frame), at: .zero) }
        #expect(target.notes.withLock { $0.isEmpty })
    }
}
