// SPDX-License-Identifier: Apache-2.0
import Primitives
import RTMP
import Testing
@testable import MartletServer

struct RTMPPackagerTests {
    static let start: [UInt8] = [0, 0, 0, 1]
    // 1280×720, High profile, from x264.
    static let sps: [UInt8] = [
        0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0x20, 0xf1,
        0x83, 0x19, 0x60,
    ]
    static let key = start + [9, 0x10] + start + sps + start + [0x68, 0xeb, 0xe3, 0xcb] + start + [0x65, 1, 2, 3]

    @Test("metadata and configurations come before the first picture, in AVCC without delimiters; sound before it waits")
    func begins() throws {
        var packager = RTMPPackager(tracks: [.init(isVideo: true), .init(isVideo: false, config: [0x11, 0x90], clockRate: 48_000, channels: 2)])
        #expect(packager.take(track: 1, [7], time: 5_000_000, isKeyFrame: true).isEmpty)
        let messages = packager.take(track: 0, Self.key, time: 40_000_000, isKeyFrame: true)
        #expect(messages.map(\.type) == [18, 9, 8, 9, 8])
        #expect(messages[1].payload.prefix(6) == [0x17, 0, 0, 0, 0, 1])
        #expect(messages[2].payload == [0xaf, 0, 0x11, 0x90])
        #expect(messages[3].payload == [0x17, 1, 0, 0, 0, 0, 0, 0, 4, 0x65, 1, 2, 3] && messages[3].timestamp == 40)
        #expect(messages[4].payload == [0xaf, 1, 7] && messages[4].timestamp == 5)
        var reader = AMF0Reader(messages[0].payload)
        let values = try reader.readAll()
        #expect(values[1]["width"] == 1280 && values[1]["height"] == 720 && values[1]["stereo"] == true)
    }

    @Test("a track that comes later, and another configuration, are announced before their first frame; times go on")
    func changes() throws {
        var packager = RTMPPackager(tracks: [.init(isVideo: false, config: [0x12, 0x10], clockRate: 44_100)])
        _ = packager.take(track: 0, [7], time: 0, isKeyFrame: true)
        packager.change(to: [.init(isVideo: false, config: [0x12, 0x10], clockRate: 44_100), .init(isVideo: true)])
        // What was sent before is not sent again.
        #expect(packager.take(track: 0, [7], time: 0, isKeyFrame: true).isEmpty)
        let video = packager.take(track: 1, Self.key, time: 6_000_000_000, isKeyFrame: true)
        #expect(video.map(\.type) == [8, 18, 9, 9] && video.allSatisfy { $0.timestamp == 6000 })
        var reader = AMF0Reader(video[1].payload)
        #expect(try reader.readAll()[1]["videocodecid"] == 7)
        packager.change(to: [.init(isVideo: false, config: [0x11, 0x88], clockRate: 48_000, channels: 1), .init(isVideo: true)])
        let audio = packager.take(track: 0, [8], time: 6_020_000_000, isKeyFrame: true)
        #expect(audio.map(\.type) == [18, 8, 8])
        #expect(audio[1].payload == [0xaf, 0, 0x11, 0x88] && audio[2].payload == [0xaf, 1, 8])
        #expect(packager.take(track: 0, [8], time: 6_040_000_000, isKeyFrame: true).map(\.type) == [8])
    }

    @Test("a picture that depends on others does not come first, and a configuration is not repeated")
    func later() {
        var packager = RTMPPackager(tracks: [.init(isVideo: true)])
        #expect(packager.take(track: 0, Self.start + [0x41, 1], time: 0, isKeyFrame: false).isEmpty)
        _ = packager.take(track: 0, Self.key, time: 40_000_000, isKeyFrame: true)
        #expect(packager.take(track: 0, Self.start + [0x41, 1], time: 80_000_000, isKeyFrame: false).map(\.payload) == [[0x27, 1, 0, 0, 0, 0, 0, 0, 2, 0x41, 1]])
        #expect(packager.take(track: 0, Self.key, time: 120_000_000, isKeyFrame: true).map(\.type) == [9])
    }

    @Test("sound from long before the first picture is left out, so that players don't run behind")
    func lead() {
        var packager = RTMPPackager(tracks: [.init(isVideo: true), .init(isVideo: false, config: [0x11, 0x90])])
        for index in 0..<50 { #expect(packager.take(track: 1, [7], time: Int64(index) * 20_000_000, isKeyFrame: true).isEmpty) }
        let messages = packager.take(track: 0, Self.key, time: 1_000_000_000, isKeyFrame: true)
        #expect(messages.filter { $0.payload.prefix(2) == [0xaf, 1] }.map(\.timestamp) == [960, 980])
    }

    @Test("sound goes on alone when no picture comes; times are rounded and never go back")
    func sound() {
        var packager = RTMPPackager(tracks: [.init(isVideo: true), .init(isVideo: false, config: [0x11, 0x90])])
        var messages: [RTMPMessage] = []
        for index in 0..<200 { messages += packager.take(track: 1, [7], time: Int64(index) * 21_333_333, isKeyFrame: true) }
        #expect(messages.first?.type == 18)
        let frames = messages.filter { $0.payload.prefix(2) == [0xaf, 1] }
        #expect(frames.count == 200)
        #expect(frames[2].timestamp == 43)
        #expect(packager.take(track: 1, [7], time: 0, isKeyFrame: true).isEmpty)
    }

    @Test("pictures of which nothing comes at present are not waited for; when they come they are announced")
    func silentPictures() {
        var packager = RTMPPackager(tracks: [.init(isVideo: true, isSilent: true), .init(isVideo: false, config: [0x11, 0x90])])
        #expect(packager.take(track: 1, [7], time: 0, isKeyFrame: true).map(\.type) == [18, 8, 8])
        #expect(packager.take(track: 0, Self.key, time: 20_000_000, isKeyFrame: true).map(\.type) == [18, 9, 9])
    }

    @Test("pictures are waited for by what passes, also where the stream's time goes slowly")
    func waitsByArrival() {
        var packager = RTMPPackager(tracks: [.init(isVideo: true), .init(isVideo: false, config: [0x11, 0x90])])
        for number in 0..<200 as Range<Int64> {
            let arrival = Instant(milliseconds: number * 20)
            let messages = packager.take(track: 1, [7], time: number * 1_000_000, arrival: arrival, isKeyFrame: true)
            #expect(messages.isEmpty == (arrival.span(since: .zero) < RTMPPackager.longestWait))
        }
    }
}

extension RTMPPackager {
    /// A frame that comes in time.
    fileprivate mutating func take(track: Int, _ bytes: [UInt8], time: Int64, isKeyFrame: Bool) -> [RTMPMessage] {
        take(track: track, bytes, time: time, arrival: Instant(nanoseconds: time), isKeyFrame: isKeyFrame)
    }
}
