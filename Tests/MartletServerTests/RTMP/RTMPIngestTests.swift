import Logging
import RTMP
import Synchronization
import Testing
@testable import MartletServer

struct RTMPIngestTests {
    /// Notes what an ingest does.
    final class Target: IngestTarget {
        enum Note: Equatable {
            case start([IngestTrack])
            case write(track: Int, [UInt8], Int64, isKeyFrame: Bool)
            case update([[UInt8]])
        }
        let notes = Mutex<[Note]>([])
        func start(_ tracks: [IngestTrack]) async throws(StreamRefusal) { notes.withLock { $0.append(.start(tracks)) } }
        func write(track: Int, frame: [UInt8], milliseconds: Int64, isKeyFrame: Bool) {
            notes.withLock { $0.append(.write(track: track, frame, milliseconds, isKeyFrame: isKeyFrame)) }
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
        ingest.take(video(0, .frame, [1, 2]))
        #expect(target.notes.withLock { $0.isEmpty })
        ingest.take(audio(0, .configuration, [0x12, 0x10]))
        ingest.take(audio(10, .frame, [9]))
        let notes = await target.wait(for: 3)
        #expect(notes == [
            .start([.h264(Self.configuration, reorders: false), .aac(config: [0x12, 0x10])]),
            .write(track: 0, [1, 2], 0, isKeyFrame: true), .write(track: 1, [9], 10, isKeyFrame: true),
        ])
        ingest.take(video(40, .frame, key: false, shift: 80, [3]))
        #expect(await target.wait(for: 4).last == .write(track: 0, [3], 120, isKeyFrame: false))
    }

    @Test("without metadata a lone track is waited for by the stream's own time")
    func alone() async throws {
        let ingest = ingest()
        ingest.take(video(0, .configuration, try #require(Self.configuration.record)))
        for time in stride(from: UInt32(0), to: 680, by: 40) { ingest.take(video(time, .frame, [1])) }
        #expect(target.notes.withLock { $0.isEmpty })
        ingest.take(video(720, .frame, [1]))
        #expect(await target.wait(for: 1).first == .start([.h264(Self.configuration, reorders: false)]))
    }

    @Test("B-frames are known from the first picture that has an offset")
    func reorders() async throws {
        let ingest = ingest()
        ingest.take(metadata: ["videocodecid": 7])
        ingest.take(video(0, .configuration, try #require(Self.configuration.record)))
        ingest.take(video(0, .frame, shift: 80, [1]))
        #expect(await target.wait(for: 1).first == .start([.h264(Self.configuration, reorders: true)]))
    }

    @Test("new parameter sets in the middle are handed on, the same ones are not")
    func update() async throws {
        let ingest = ingest()
        ingest.take(metadata: ["videocodecid": 7])
        let record = try #require(Self.configuration.record)
        ingest.take(video(0, .configuration, record))
        ingest.take(video(0, .frame, [1]))
        _ = await target.wait(for: 2)
        ingest.take(video(40, .configuration, record))
        let other = AVCConfiguration(sequenceParameterSets: [[0x67, 0x42, 0, 0x1e]], pictureParameterSets: [[0x68, 2]])
        ingest.take(video(40, .configuration, try #require(other.record)))
        #expect(await target.wait(for: 3).dropFirst(2) == [.update(other.parameterSets)])
    }

    @Test("codecs that aren't taken fail with their names", arguments: [([0xb2, 1], "Speex"), ([0x2f, 1], "MP3")] as [([UInt8], String)])
    func refused(payload: [UInt8], name: String) {
        let ingest = ingest()
        ingest.take(RTMPMessage(type: RTMPMessageType.audio, streamID: 1, payload: payload))
        #expect(failures.reason.withLock { $0 }?.contains(name) ?? false)
    }

    @Test("what waits for a start is bounded")
    func bounded() {
        let ingest = ingest()
        ingest.take(metadata: ["videocodecid": 7, "audiocodecid": 10])
        ingest.take(video(0, .configuration, Self.configuration.record ?? []))
        // A start would be due after three seconds of the stream's time; this one stands still.
        for _ in 0..<40 { ingest.take(video(0, .frame, [UInt8](repeating: 1, count: 1 << 20))) }
        #expect(target.notes.withLock { $0.isEmpty })
    }

    @Test("milliseconds go on where 32 bits end")
    func clock() {
        var clock = MediaClock()
        #expect(clock.unwrap(0xffff_fff0) == 0xffff_fff0)
        #expect(clock.unwrap(0x10) == 0x1_0000_0010)
        #expect(clock.unwrap(0xffff_fff8) == 0xffff_fff8)
    }
}
