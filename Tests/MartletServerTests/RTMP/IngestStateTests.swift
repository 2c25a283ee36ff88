// SPDX-License-Identifier: Apache-2.0
import Primitives
import RTMP
import Testing
@testable import MartletServer

/// What an encoder may send without losing its stream.
struct IngestStateTests {
    typealias Action = IngestState.Action
    static let configuration = RTMPIngestTests.configuration
    static let aac44: [UInt8] = [0x12, 0x10], aac48mono: [UInt8] = [0x11, 0x88]
    /// ffmpeg's 5.1(side): a program config element says which channels there are.
    static let aacSurround: [UInt8] = [
        0x11, 0x80, 0x04, 0xc8, 0x44, 0, 0x20, 0, 0xc4, 0x0d, 0x4c, 0x61, 0x76, 0x63, 0x35, 0x39, 0x2e, 0x33, 0x37, 0x2e, 0x31, 0x30, 0x30, 0x56,
        0xe5, 0,
    ]

    var state = IngestState()

    mutating func video(_ time: UInt32, _ body: [UInt8] = RTMPIngestTests.key, _ content: VideoTag.Content = .frame, at: Int64? = nil) -> [Action] {
        raw(9, time, VideoTag.payload(content, isKeyFrame: true, body), at: at)
    }
    mutating func audio(_ time: UInt32, _ body: [UInt8] = [9], _ content: AudioTag.Content = .frame, at: Int64? = nil) -> [Action] {
        raw(8, time, AudioTag.payload(content, body), at: at)
    }
    mutating func raw(_ type: UInt8, _ time: UInt32, _ payload: [UInt8], at: Int64? = nil) -> [Action] {
        state.take(RTMPMessage(type: type, streamID: 1, timestamp: time, payload: payload), at: Instant(milliseconds: at ?? Int64(time)))
    }
    /// A running stream of both.
    mutating func run() {
        state.take(metadata: ["videocodecid": 7, "audiocodecid": 10])
        _ = video(0, Self.configuration.record ?? [], .configuration)
        _ = audio(0, Self.aac44, .configuration)
        #expect(video(0) == [.begin([.h264(Self.configuration, reorders: false), .aac(config: Self.aac44)])])
        #expect(state.began([.h264(Self.configuration, reorders: false), .aac(config: Self.aac44)], at: .zero).count == 1)
    }
    func written(_ actions: [Action]) -> [Int] {
        actions.compactMap { if case .write(let track, _) = $0 { track } else { nil } }
    }
    func notes(_ actions: [Action]) -> [String] {
        actions.compactMap { if case .note(let text) = $0 { text } else { nil } }
    }

    @Test("a configuration that comes while the source is being started is the one that counts")
    mutating func configurationWhileStarting() {
        state.take(metadata: ["videocodecid": 7])
        _ = video(0, Self.configuration.record ?? [], .configuration)
        #expect(video(0) == [.begin([.h264(Self.configuration, reorders: false)])])
        var other = Self.configuration
        other.pictureParameterSets = [[0x68, 0xcf, 1]]
        _ = video(20, other.record ?? [], .configuration)
        #expect(state.began([.h264(Self.configuration, reorders: false)], at: .zero).first == .update(track: 0, parameterSets: other.parameterSets))
    }

    @Test("when the audio changes after the video's configuration did, the video keeps its newest one")
    mutating func bothChange() {
        run()
        var other = Self.configuration
        other.pictureParameterSets = [[0x68, 0xcf, 1]]
        #expect(video(2000, other.record ?? [], .configuration) == [.update(track: 0, parameterSets: other.parameterSets)])
        _ = audio(3000, Self.aac48mono, .configuration)
        let changes = audio(3020).compactMap { if case .change(let tracks) = $0 { tracks } else { nil } }
        #expect(changes == [[.h264(other, reorders: false), .aac(config: Self.aac48mono)]])
    }

    @Test("a configuration of megabytes is none: it would go in front of each key frame")
    mutating func longConfiguration() {
        run()
        var long = Self.configuration
        long.pictureParameterSets += (0..<100).map { _ in [0x68] + [UInt8](repeating: 1, count: 60_000) }
        #expect(notes(video(20, long.record ?? [], .configuration)).count == 1)
        let inBand = [0, 0, 0xea, 0x60, 0x68] + [UInt8](repeating: 1, count: 59_999) + RTMPIngestTests.key
        #expect(video(40, inBand).allSatisfy { if case .update = $0 { false } else { true } })
        #expect(state.configuration == Self.configuration)
    }

    @Test("frames of a few bytes that wait for a stream that can't begin count by what they take, and are bounded")
    mutating func waitingForEver() {
        for time in 0..<100_000 as Range<UInt32> { _ = raw(8, time, [0xaf, 1, 7]) }
        #expect(state.heldBytes > 10 << 20, "what they take, not their bytes")
        for time in 100_000..<200_000 as Range<UInt32> { _ = raw(8, time, [0xaf, 1, 7]) }
        #expect(state.phase == .collecting && state.heldBytes <= IngestState.maximumWaitingBytes + 256)
        for time in 200_000..<300_000 as Range<UInt32> { _ = raw(8, time, [0xaf, 1, 7]) }
        #expect(state.heldBytes <= IngestState.maximumWaitingBytes + 256)
    }

    @Test("an empty audio configuration in front of the real one costs nothing (ffmpeg -c copy)")
    mutating func emptyConfiguration() {
        state.take(metadata: ["audiocodecid": 10])
        let said = notes(raw(8, 0, [0xaf, 0]))
        #expect(said.count == 1 && said[0].contains("0 bytes"))
        #expect(audio(0, Self.aac44, .configuration).isEmpty)
        #expect(audio(0) == [.begin([.aac(config: Self.aac44)])])
        #expect(state.counts.unusable == 1)
    }

    @Test("AAC whose channels a program config element says is taken with its configuration, and no guess takes that one's place")
    mutating func programConfig() {
        state.take(metadata: ["audiocodecid": 10, "audiosamplerate": 48000, "stereo": true])
        #expect(audio(0, Self.aacSurround, .configuration).isEmpty)
        #expect(audio(0) == [.begin([.aac(config: Self.aacSurround)])])
        #expect(state.began([.aac(config: Self.aacSurround)], at: .zero).count == 1)
        for time in stride(from: UInt32(21), to: 5000, by: 21) { #expect(written(audio(time)) == [0]) }
        // Nor does the head of a frame.
        let head: [UInt8] = [0xff, 0xf1, 0x50, 0x80, 0x01, 0x5f, 0xfc]
        #expect(written(audio(5000, head + [1, 2, 3])) == [0])
        #expect(state.audioConfig == Self.aacSurround && state.counts.unusable == 0)
    }

    @Test("a configuration that can't be used leaves the one before in force, with one line for each reason", arguments: [
        [0x12], [0xff, 0xff, 0xff], [0x10, 0x00], [UInt8](repeating: 0x12, count: 600),
    ] as [[UInt8]])
    mutating func unusableConfiguration(config: [UInt8]) {
        run()
        #expect(notes(audio(20, config, .configuration)).count == 1)
        #expect(audio(20, config, .configuration).isEmpty)
        #expect(written(audio(40)) == [1])
        #expect(written(video(40)) == [0])
        #expect(notes(video(60, [1, 2, 3], .configuration)).count == 1)
        #expect(written(video(80)) == [0])
    }

    @Test("another audio configuration changes the track with its first frame; video goes on")
    mutating func otherConfiguration() {
        run()
        #expect(audio(2000, Self.aac48mono, .configuration).isEmpty)
        #expect(written(video(2000)) == [0])
        let changed = audio(2000)
        #expect(changed.first == .change([.h264(Self.configuration, reorders: false), .aac(config: Self.aac48mono)]) && written(changed) == [1])
        #expect(written(video(2040)) == [0])
        #expect(written(audio(2023)) == [1])
        // The same configuration again, as it comes with each key frame of some encoders, is none.
        #expect(audio(2046, Self.aac48mono, .configuration).isEmpty)
        #expect(written(audio(2046)) == [1])
    }

    @Test("a flood of configurations changes tracks once a second at most")
    mutating func configurationFlood() {
        run()
        var changes = 0
        for step in 1...1000 {
            _ = audio(UInt32(step * 10), step % 2 == 0 ? Self.aac44 : Self.aac48mono, .configuration)
            for case .change in audio(UInt32(step * 10)) { changes += 1 }
        }
        #expect((1...10).contains(changes))
    }

    @Test("a track that comes later is added, whichever it is")
    mutating func late() {
        state.take(metadata: ["videocodecid": 7])
        _ = video(0, Self.configuration.record ?? [], .configuration)
        #expect(video(0).count == 1)
        _ = state.began([.h264(Self.configuration, reorders: false)], at: .zero)
        _ = audio(5000, Self.aac44, .configuration)
        let actions = audio(5000)
        #expect(actions.first == .change([.h264(Self.configuration, reorders: false), .aac(config: Self.aac44)]) && written(actions) == [1])
    }

    @Test("video whose first key frame is far away is part of the stream once it is promised and described")
    mutating func describedVideo() {
        state.take(metadata: ["videocodecid": 7, "audiocodecid": 10])
        _ = video(0, Self.configuration.record ?? [], .configuration)
        _ = audio(0, Self.aac44, .configuration)
        var begun: [IngestTrack] = []
        for time in stride(from: UInt32(0), through: 3100, by: 20) {
            for case .begin(let tracks) in audio(time) { begun = tracks }
        }
        #expect(begun == [.h264(Self.configuration, reorders: false), .aac(config: Self.aac44)])
        _ = state.began(begun, at: Instant(milliseconds: 3100))
        #expect(written(video(6000)) == [0])
    }

    @Test("further tracks of a kind are left out with one line, the first is played")
    mutating func multitrack() {
        run()
        var lines: [String] = []
        for step in 1...20 as ClosedRange<UInt32> {
            let actions = raw(8, step * 20, [0x95, 0x01] + Array("mp4a".utf8) + [1, 7, 8])
            #expect(written(actions).isEmpty)
            lines += notes(actions)
            lines += notes(raw(9, step * 20, [0x96, 0x01] + Array("avc1".utf8) + [1, 0, 0, 0] + RTMPIngestTests.key))
            #expect(written(audio(step * 20)) == [1])
        }
        #expect(lines.count == 2 && state.counts.otherTracks == 40)
        // Track 0 in the message with others.
        let actions = raw(8, 500, [0x95, 0x11] + Array("mp4a".utf8) + [0, 0, 0, 2, 7, 8, 1, 0, 0, 1, 9])
        guard case .write(1, let frame)? = actions.first else { return #expect(Bool(false), "\(actions)") }
        #expect(frame.bytes == [7, 8])
    }

    @Test("a codec that isn't taken costs its track; alone it ends the stream, with its name", arguments: [true, false])
    mutating func codec(isAlone: Bool) {
        let said = notes(raw(9, 0, [0x90] + Array("hvc1".utf8) + [1]))
        #expect(said.count == 1 && said[0].contains("H.265"))
        if isAlone {
            #expect(state.look(at: Instant(milliseconds: 700)) == [.fail("not supported: video codec H.265; send H.264")])
        } else {
            _ = audio(0, Self.aac44, .configuration)
            #expect(audio(0) == [.begin([.aac(config: Self.aac44)])])
            #expect(state.look(at: Instant(milliseconds: 700)).isEmpty)
        }
    }

    @Test("AAC with ADTS heads needs no configuration: the heads say all, and are taken off")
    mutating func adts() {
        state.take(metadata: ["audiocodecid": 10])
        // AAC-LC, 44.1 kHz, stereo, two frames of 3 bytes.
        let head: [UInt8] = [0xff, 0xf1, 0x50, 0x80, 0x01, 0x5f, 0xfc]
        let actions = audio(0, head + [1, 2, 3] + head + [4, 5, 6])
        #expect(actions.contains(.begin([.aac(config: [0x12, 0x10])])))
        let frames = state.began([.aac(config: [0x12, 0x10])], at: .zero)
        #expect(frames == [
            .write(track: 0, IngestFrame(isVideo: false, bytes: [1, 2, 3], time: .zero, isKeyFrame: true)),
            .write(track: 0, IngestFrame(isVideo: false, bytes: [4, 5, 6], time: MediaTime(ticks: 1024, clockRate: 44_100), isKeyFrame: true)),
        ])
    }

    @Test("bare AAC without a configuration is what the metadata say; without those the log says why it is left out", arguments: [true, false])
    mutating func bareAAC(hasRate: Bool) {
        state.take(metadata: hasRate ? ["audiocodecid": 10, "videocodecid": 7, "audiosamplerate": 48000, "stereo": false] : ["audiocodecid": 10, "videocodecid": 7])
        _ = video(0, Self.configuration.record ?? [], .configuration)
        var said: [String] = [], begun: [IngestTrack] = []
        for step in 0..<100 as Range<UInt32> {
            let actions = video(step * 40) + audio(step * 40)
            for case .begin(let tracks) in actions { begun = tracks }
            said += notes(actions)
        }
        #expect(said.count == 1 && said[0].contains("AAC comes without a configuration"))
        if hasRate {
            #expect(begun == [.h264(Self.configuration, reorders: false), .aac(config: Self.aac48mono)])
        } else {
            #expect(begun == [.h264(Self.configuration, reorders: false)])
        }
    }

    @Test("of G.711 with two channels the left one goes on, a byte for each sample", arguments: [
        (0x73, .pcma), (0x83, .pcmu),
    ] as [(UInt8, IngestTrack)])
    mutating func stereoG711(head: UInt8, track: IngestTrack) {
        state.take(metadata: ["audiocodecid": .number(Double(head >> 4))])
        let begun = raw(8, 0, [head, 1, 2, 3, 4, 5])
        #expect(begun.contains(.begin([track])) && notes(begun).count == 1)
        #expect(state.began([track], at: .zero) == [.write(track: 0, IngestFrame(isVideo: false, bytes: [1, 3, 5], time: .zero, isKeyFrame: true))])
        // Two seconds are the most, as of one channel.
        for (count, kept) in [(32_000, 16_000), (32_001, 0)] {
            let actions = raw(8, 20, [head] + [UInt8](repeating: 7, count: count))
            let lengths: [Int] = actions.compactMap { if case .write(_, let frame) = $0 { frame.bytes.count } else { nil } }
            #expect(lengths == (kept > 0 ? [kept] : []))
        }
        // A message that says one channel is taken whole.
        guard case .write(0, let frame)? = raw(8, 2020, [head & 0xfe, 1, 2, 3]).first else { return #expect(Bool(false)) }
        #expect(frame.bytes == [1, 2, 3])
    }

    @Test("metadata with codecs of 0 promises nothing of that kind")
    mutating func codecZero() {
        state.take(metadata: ["videocodecid": 7, "audiocodecid": 0])
        _ = video(0, Self.configuration.record ?? [], .configuration)
        #expect(video(0) == [.begin([.h264(Self.configuration, reorders: false)])])
    }

    @Test("H.264 behind start codes without any configuration message plays")
    mutating func annexB() {
        state.take(metadata: ["videocodecid": 7])
        let sps: [UInt8] = [0x67, 0x42, 0xc0, 0x1e], pps: [UInt8] = [0x68, 0xce]
        let actions = video(0, AccessUnitsTests.annexB(sps, pps, [0x65, 0xb8, 1]))
        #expect(actions.last == .begin([.h264(AVCConfiguration(sequenceParameterSets: [sps], pictureParameterSets: [pps]), reorders: false)]))
        #expect(state.counts.annexB == 1 && notes(actions).count == 1)
    }

    @Test("composition times are bounded")
    mutating func composition() {
        run()
        for shift in [Int32(0x7f_ffff), -0x80_0000] {
            guard case .write(_, let frame)? = raw(9, 40, VideoTag.payload(.frame, isKeyFrame: true, compositionTime: shift, RTMPIngestTests.key)).first
            else { return #expect(Bool(false)) }
            #expect(frame.time.milliseconds == 40)
        }
    }

    @Test("a clock that jumps all the time ends the publisher, in words")
    mutating func runaway() {
        run()
        var failure: String?
        var timestamp: UInt32 = 0
        for step in 0..<40 as Range<Int64> {
            timestamp = timestamp &+ 0x7fff_ffff
            for case .fail(let reason) in audio(timestamp, at: step * 10) { failure = reason }
        }
        #expect(failure?.contains("timestamps jump") ?? false)
        #expect(audio(0).isEmpty)
    }

    @Test("any messages in any order: never a trap, waiting frames bounded, tracks only as announced", arguments: 0..<30 as Range<UInt64>)
    mutating func random(seed: UInt64) {
        var random = RandomSource.seeded(seed), now: Int64 = 0, count = 0
        let configurations: [[UInt8]] = [
            [0xaf, 0], [0xaf, 0, 0x12, 0x10], [0xaf, 0, 0x11, 0x88], [0xaf, 1, 0xff, 0xf1, 0x50, 0x80, 1, 0x5f, 0xfc, 1, 2, 3], [0xaf, 1, 3], [0x2f, 1], [0x72, 5],
            [0x90] + Array("Opus".utf8), [0x91] + Array("Opus".utf8) + [1], [0x95, 0x11] + Array("mp4a".utf8) + [0, 0, 0, 2, 7, 8], [0x17, 0, 0, 0, 0] + (Self.configuration.record ?? []),
            [0x17, 1, 0, 0, 0] + RTMPIngestTests.key, [0x27, 1, 0, 0, 80] + RTMPIngestTests.other, [0x27, 1, 0xff, 0xff, 0xd8, 0, 0, 0, 1, 6], [0x17, 2, 0, 0, 0], [0x57, 0],
            [0x90] + Array("hvc1".utf8) + [1], [0x91] + Array("av01".utf8) + [1, 2], [0xa1] + Array("vp08".utf8) + [1, 2], [0x22, 1],
        ]
        for _ in 0..<2000 {
            now += Int64.random(in: 0...60, using: &random)
            var payload = configurations[Int.random(in: 0..<configurations.count, using: &random)]
            if Int.random(in: 0..<10, using: &random) == 0, !payload.isEmpty { payload[Int.random(in: 0..<payload.count, using: &random)] = UInt8.random(in: 0...255, using: &random) }
            let time = Int.random(in: 0..<300, using: &random) == 0 ? UInt32.random(in: 0...UInt32.max, using: &random) : UInt32(truncatingIfNeeded: now)
            var actions = raw(Bool.random(using: &random) ? 8 : 9, time, payload, at: now)
            if Int.random(in: 0..<50, using: &random) == 0 { state.take(metadata: ["videocodecid": 7, "audiocodecid": .number(Double.random(in: -1...20, using: &random))]) }
            while !actions.isEmpty {
                let action = actions.removeFirst()
                switch action {
                case .begin(let tracks):
                    count = tracks.count
                    actions += state.began(tracks, at: Instant(milliseconds: now))
                case .change(let tracks):
                    count = tracks.count
                    #expect((1...2).contains(tracks.count))
                case .write(let track, _): #expect((0..<count).contains(track))
                case .lookAfter: actions += state.look(at: Instant(milliseconds: now + 700))
                case .update, .note, .fail: break
                }
            }
            if state.phase == .ended { state = IngestState() }
        }
    }
}
