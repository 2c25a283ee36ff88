// SPDX-License-Identifier: Apache-2.0
import Codecs
import Foundation
import Primitives
import RTP
import SDP
import Testing

@testable import MediaTools

@Suite("Publishing a file")
struct FileProducerTests {
    private func play(_ options: PublishOptions, until seconds: Double) throws -> (PlayFigures, VirtualPublisher, PlayEngine) {
        var publisher = try VirtualPublisher(options)
        let player = PlayEngine(tracks: publisher.engine.tracks, now: { VirtualPublisher.epoch }, requestKeyFrame: { _ in })
        while publisher.elapsed.seconds < seconds, !publisher.isFinished {
            for (track, packet, sentAt) in try publisher.next() { player.receive(track: track, packet: packet, arrival: sentAt) }
        }
        return (player.figures(at: publisher.now), publisher, player)
    }

    @Test("H.264 and Opus go out as they lie in the file", arguments: ["mp4", "mkv"])
    func passThrough(ending: String) throws {
        let path = MediaFile.temporaryPath(ending)
        defer { try? FileManager.default.removeItem(atPath: path) }
        try MediaFile.write([MediaFile.videoTrack(.h264, seconds: 2), MediaFile.audioTrack(.opus, seconds: 2)], to: path)
        var options = PublishOptions()
        options.source = .file(path: path, loops: false)
        let producer = try FileProducer(path: path, loops: false, options: options)
        #expect(producer.passesVideoThrough && producer.passesAudioThrough)
        #expect(producer.formats[0].codec.parameters["profile-level-id"]?.hasPrefix("42c0") == true)
        let (figures, publisher, _) = try play(options, until: 10)
        #expect(publisher.isFinished)
        #expect(figures.framesDecoded == 50)
        #expect(figures.clocksRead == 50)
        #expect(figures.audioPackets >= 98)
        #expect(abs(figures.audioDecibels + 19) < 1.5)
        #expect(publisher.elapsed.seconds > 1.9)
        #expect(publisher.elapsed.seconds < 2.2)
    }

    @Test("a looping file goes on without a jump in its times", arguments: [VideoCodec.vp8, .vp9])
    func loops(codec: VideoCodec) throws {
        let path = MediaFile.temporaryPath("webm")
        defer { try? FileManager.default.removeItem(atPath: path) }
        try MediaFile.write([MediaFile.videoTrack(codec, seconds: 1), MediaFile.audioTrack(.opus, seconds: 1)], to: path)
        var options = PublishOptions()
        options.source = .file(path: path, loops: true)
        var publisher = try VirtualPublisher(options)
        var last: [Int: UInt32] = [:]
        while publisher.elapsed < .milliseconds(4500) {
            for (track, packet, _) in try publisher.next() {
                let timestamp = try #require(view(packet) { $0.timestamp })
                if let before = last[track], before != timestamp {
                    let step = Double(Int32(bitPattern: timestamp &- before)) / (track == 0 ? 90_000 : 48_000)
                    #expect(step > 0 && step < 0.1, "track \(track) at \(publisher.elapsed)")
                }
                last[track] = timestamp
            }
        }
        let (figures, _, _) = try play(options, until: 4.5)
        #expect(figures.framesDecoded > 105)
        #expect(figures.framesDropped == 0)
    }

    @Test("AAC becomes Opus, and a video of another size is scaled")
    func transcodes() throws {
        let path = MediaFile.temporaryPath("mp4")
        defer { try? FileManager.default.removeItem(atPath: path) }
        try MediaFile.write([MediaFile.videoTrack(.h264, seconds: 2, width: 640, height: 360), MediaFile.audioTrack(.aac, seconds: 2)], to: path)
        var options = PublishOptions()
        options.source = .file(path: path, loops: false)
        options.size = (320, 180)
        options.videoCodec = .vp8
        let (figures, publisher, _) = try play(options, until: 10)
        #expect(publisher.engine.tracks.map(\.codec.name) == ["VP8", "opus"])
        #expect((figures.width, figures.height) == (320, 180))
        #expect(figures.framesDecoded == 50)
        #expect(figures.clocksRead == 50)
        #expect(figures.audioPackets >= 98)
        #expect(abs(figures.audioDecibels + 19) < 1.5)
    }

    @Test("a file with sound only can be published, and one without what is wanted is refused")
    func audioOnly() throws {
        let path = MediaFile.temporaryPath("wav")
        defer { try? FileManager.default.removeItem(atPath: path) }
        try MediaFile.write([MediaFile.audioTrack(.pcmu, seconds: 1)], to: path)
        var options = PublishOptions()
        options.source = .file(path: path, loops: false)
        let (figures, publisher, _) = try play(options, until: 5)
        #expect(publisher.engine.tracks.map(\.codec.name) == ["opus"])
        #expect(figures.audioPackets >= 48)
        #expect(abs(figures.audioDecibels + 19) < 1.5)
        options.includesAudio = false
        #expect(throws: CodecError.self) { try PublishEngine(options) }
    }
}
