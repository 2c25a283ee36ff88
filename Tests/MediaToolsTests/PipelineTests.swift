// SPDX-License-Identifier: Apache-2.0
import Clocks
import Codecs
import Primitives
import RTP
import SDP
import Testing

@testable import MediaTools

@Suite("Publish and play")
struct PipelineTests {
    /// One way of 10 ms with seeded random loss; key frame requests arrive at once.
    private func run(
        _ options: PublishOptions, seconds: Double, loss: Double, seed: UInt64 = 42
    ) throws -> (engine: PlayEngine, publisher: VirtualPublisher, figures: PlayFigures) {
        var publisher = try VirtualPublisher(options)
        let clock = Box(VirtualPublisher.epoch)
        let requests = Box(0)
        var playOptions = PlayOptions()
        playOptions.patience = .milliseconds(50)
        let player = PlayEngine(tracks: publisher.engine.tracks, options: playOptions, now: { clock.value }, requestKeyFrame: { _ in requests.value += 1 })
        var random = RandomSource.seeded(seed)
        while publisher.elapsed.seconds < seconds {
            for (track, packet, sentAt) in try publisher.next() {
                if Double.random(in: 0..<1, using: &random) < loss { continue }
                clock.value = sentAt + .milliseconds(10)
                player.receive(track: track, packet: packet, arrival: clock.value)
            }
            if requests.value > 0 {
                requests.value = 0
                publisher.engine.requestKeyFrame()
            }
        }
        clock.value = clock.value + .milliseconds(100)
        player.advance(to: clock.value)
        return (player, publisher, player.figures(at: clock.value))
    }

    @Test("what is published is played whole, in every video codec", arguments: VideoCodec.allCases)
    func lossless(codec: VideoCodec) throws {
        var options = PublishOptions()
        options.videoCodec = codec
        options.size = (320, 180)
        options.videoBitrate = 300_000
        let (player, publisher, figures) = try run(options, seconds: 3, loss: 0)
        #expect(publisher.engine.tracks.map(\.kind) == [.video, .audio])
        #expect(figures.framesDecoded >= publisher.engine.figures.videoFrames - 1)
        #expect(figures.framesDecoded >= 89)
        #expect(figures.lostPackets == 0)
        #expect(figures.framesDropped == 0)
        #expect((figures.width, figures.height) == (320, 180))
        #expect(figures.clocksUnreadable == 0)
        // Two seconds of which the last tenth is silent.
        #expect(abs(figures.framesPerSecond - 29) < 2)
        #expect(figures.bitrate > 100_000 && figures.bitrate < 700_000)
        #expect(try #require(figures.firstFrameMilliseconds) < 20)
        // 10 ms of way, and at most 8 ms of pacing.
        let median = try #require(figures.latencyMedian)
        #expect(median >= 10 && median < 20)
        let frame = try #require(player.lastFrame)
        let image = try Scaler().rgb(frame)
        for index in [1, 4, 6] {
            let area = TestPattern.barArea(index, width: 320, height: 180), bar = TestPattern.bars[index]
            let pixel = try #require(image[area.x + area.width / 2, area.y + area.height / 2])
            #expect(abs(Int(pixel.red) - Int(bar.red)) < 20)
            #expect(abs(Int(pixel.green) - Int(bar.green)) < 20)
            #expect(abs(Int(pixel.blue) - Int(bar.blue)) < 20)
        }
    }

    @Test("with 2 % loss the player asks for key frames and comes back each time", arguments: VideoCodec.allCases)
    func loss(codec: VideoCodec) throws {
        var options = PublishOptions()
        options.videoCodec = codec
        options.size = (320, 180)
        options.videoBitrate = 500_000
        let (_, publisher, figures) = try run(options, seconds: 8, loss: 0.02)
        #expect(figures.lostPackets > 5)
        #expect(abs(figures.lossFraction - 0.02) < 0.015)
        #expect(figures.keyFrameRequests > 0)
        #expect(publisher.engine.figures.keyFrames > 1)
        #expect(figures.keyFrames > 1)
        #expect(Double(figures.framesDecoded) > 0.4 * Double(publisher.engine.figures.videoFrames))
        // Nothing damaged is ever shown.
        #expect(figures.decodeErrors == 0)
        #expect(figures.clocksUnreadable == 0)
    }

    @Test("the tone arrives as loud as it left, in every audio codec", arguments: [AudioCodec.opus, .pcmu, .pcma, .g722])
    func sound(codec: AudioCodec) throws {
        var options = PublishOptions()
        options.includesVideo = false
        options.audioCodec = codec
        let (_, publisher, figures) = try run(options, seconds: 3, loss: 0)
        #expect(publisher.engine.tracks.count == 1)
        #expect(figures.audioPackets >= 148)
        #expect(figures.lostPackets == 0)
        // The tone with a beep of 50 ms in each second: -19 dBFS.
        #expect(abs(figures.audioDecibels + 19) < 1.5)
        let seconds = Double(figures.audioSamples) / Double((codec.fixedSampleRate ?? 0) * codec.maximumChannels)
        #expect(abs(seconds - 3) < 0.1)
    }

    @Test("RTP times follow the media's, and only the last packet of a picture has the marker")
    func packets() throws {
        var options = PublishOptions()
        options.frameRate = 25
        options.videoBitrate = 3_000_000
        var publisher = try VirtualPublisher(options)
        var timestamps: [Int: [UInt32]] = [:], markers = 0, pictures = 0
        var sequences: [Int: UInt16] = [:]
        var sent: [UInt32: [WallTime]] = [:]
        while publisher.elapsed < .seconds(2) {
            for (track, packet, sentAt) in try publisher.next() {
                #expect(packet.count <= 1180 + 12)
                view(packet) { view in
                    #expect(view.payloadType == publisher.engine.tracks[track].codec.payloadType)
                    #expect(view.ssrc == publisher.engine.ssrcs[track])
                    if let last = sequences[track] { #expect(view.sequenceNumber == last &+ 1) }
                    sequences[track] = view.sequenceNumber
                    if timestamps[track]?.last != view.timestamp { timestamps[track, default: []].append(view.timestamp) }
                    if track == 0 {
                        if view.marker { markers += 1 }
                        sent[view.timestamp, default: []].append(sentAt)
                    }
                }
            }
        }
        pictures = timestamps[0]?.count ?? 0
        #expect(abs(pictures - 50) <= 1)
        #expect(abs(markers - pictures) <= 1)
        for (a, b) in zip(timestamps[0] ?? [], timestamps[0]?.dropFirst() ?? []) { #expect(b &- a == 3600) }
        for (a, b) in zip(timestamps[1] ?? [], timestamps[1]?.dropFirst() ?? []) { #expect(b &- a == 960) }
        let spans = sent.values.filter { $0.count > 4 }.map { $0[$0.count - 1] - $0[0] }
        #expect(!spans.isEmpty)
        #expect(spans.allSatisfy { $0 > .milliseconds(1) && $0 <= .milliseconds(8) }, "packets of a picture leave spread over a few ms")
    }

    @Test("two players of one stream tell the latency of the hop between them")
    func hop() throws {
        var options = PublishOptions()
        options.includesAudio = false
        options.size = (320, 180)
        var publisher = try VirtualPublisher(options)
        let players = (0..<2).map { _ in
            PlayEngine(tracks: publisher.engine.tracks, now: { VirtualPublisher.epoch }, requestKeyFrame: { _ in })
        }
        while publisher.elapsed < .seconds(1) {
            for (track, packet, sentAt) in try publisher.next() {
                players[0].receive(track: track, packet: packet, arrival: sentAt + .milliseconds(3))
                players[1].receive(track: track, packet: packet, arrival: sentAt + .microseconds(5500))
            }
        }
        let hops = players[1].clock.hopLatencies(since: players[0].clock)
        #expect(hops.count >= 28)
        #expect(hops.allSatisfy { abs($0 - 2.5) < 0.001 })
    }

    @Test("the threads deliver in real time, and stop means stop")
    func threads() throws {
        var options = PublishOptions()
        options.size = (160, 120)
        options.videoCodec = .vp8
        let publisher = try PublishPipeline(options)
        let player = try PlayPipeline(tracks: publisher.tracks, requestKeyFrame: { [weak publisher] _ in publisher?.requestKeyFrame() })
        player.markStart()
        try publisher.start { track, packet in player.receive(track: track, packet: packet, arrival: WallClock.now()) }
        #expect(player.wait(atMost: .seconds(30)) { $0.framesDecoded >= 10 && $0.audioSamples > 20_000 })
        publisher.requestKeyFrame()
        let keyFrames = player.figures.keyFrames
        #expect(player.wait(atMost: .seconds(30)) { $0.keyFrames > keyFrames })
        publisher.stop()
        player.drain()
        let sent = publisher.figures.packets, seen = player.figures
        #expect(seen.videoPackets + seen.audioPackets >= sent)
        #expect(seen.queueDrops == 0 && seen.clocksUnreadable == 0)
        #expect(seen.firstFrameMilliseconds != nil)
        #expect(seen.audioDecibels > -30)
        let image = try #require(try player.snapshot())
        #expect((image.width, image.height) == (160, 120))
        player.stop()
        #expect(player.receive(track: 0, packet: [1, 2, 3], arrival: WallClock.now()) == false)
    }

    @Test("odd sizes can be published", arguments: VideoCodec.allCases)
    func oddSize(codec: VideoCodec) throws {
        var options = PublishOptions()
        options.videoCodec = codec
        options.size = (641, 481)
        options.includesAudio = false
        let (_, _, figures) = try run(options, seconds: 0.5, loss: 0)
        #expect((figures.width, figures.height) == (codec == .h264 ? (640, 480) : (641, 481)))
        #expect(figures.clocksRead >= 14)
        #expect(figures.clocksUnreadable == 0)
    }

    @Test("garbage is counted and does no harm")
    func garbage() throws {
        let engine = try PublishEngine(PublishOptions())
        let player = PlayEngine(tracks: engine.tracks, now: { WallTime(nanoseconds: 0) }, requestKeyFrame: { _ in })
        var random = RandomSource.seeded(9)
        for length in 0..<400 {
            var packet = random.bytes(length)
            if length > 12 {
                packet[0] = 0x80
                packet[1] = [108, 111][length % 2]
            }
            player.receive(track: length % 3, packet: packet, arrival: WallTime(milliseconds: Int64(length)))
        }
        let figures = player.figures(at: WallTime(milliseconds: 500))
        #expect(figures.malformedPackets > 0)
        #expect(figures.framesDecoded == 0)
    }

    @Test("settings that can't be met are refused with a sentence")
    func refusals() {
        var options = PublishOptions()
        options.audioCodec = .aac
        #expect(throws: CodecError.self) { try PublishEngine(options) }
        options = PublishOptions()
        options.includesAudio = false
        options.includesVideo = false
        #expect(throws: CodecError.self) { try PublishEngine(options) }
        options = PublishOptions()
        options.source = .file(path: "/nonexistent.mp4", loops: true)
        #expect(throws: CodecError.self) { try PublishEngine(options) }
    }
}
