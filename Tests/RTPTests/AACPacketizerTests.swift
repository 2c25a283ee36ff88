// SPDX-License-Identifier: Apache-2.0
import RTP
import Testing

struct AACPacketizerTests {
    private func push(_ depacketizer: inout AACDepacketizer, _ payload: [UInt8], _ timestamp: UInt32, lost: Bool = false) -> [EncodedFrame] {
        payload.withUnsafeBytes { depacketizer.push(payload: $0, marker: true, timestamp: timestamp, lost: lost) }
    }

    @Test("frames of any length come back as they were", arguments: [1, 7, 300, 1176, 1177, 2400, 8191])
    func roundTrip(length: Int) {
        let frame = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        var packetizer = AACPacketizer(), depacketizer = AACDepacketizer()
        let payloads = frame.withUnsafeBytes { packetizer.packetize($0) }
        #expect(payloads.allSatisfy { $0.count <= 1180 })
        let frames = payloads.flatMap { push(&depacketizer, $0, 5) }
        #expect(frames.map(\.bytes) == [frame])
    }

    @Test("several frames in one packet come out with their times, as cameras send them")
    func several() {
        var depacketizer = AACDepacketizer()
        // Two headers: sizes 3 and 2.
        let frames = push(&depacketizer, [0, 32, 0, 3 << 3, 0, 2 << 3, 1, 2, 3, 4, 5], 1000)
        #expect(frames.map(\.bytes) == [[1, 2, 3], [4, 5]])
        #expect(frames.map(\.timestamp) == [1000, 2024])
    }

    @Test("a frame whose middle is missing is left out, and what is malformed harms nothing")
    func losses() {
        var packetizer = AACPacketizer(), depacketizer = AACDepacketizer()
        let payloads = [UInt8](repeating: 7, count: 3000).withUnsafeBytes { packetizer.packetize($0) }
        #expect(push(&depacketizer, payloads[0], 5).isEmpty)
        #expect(push(&depacketizer, payloads[2], 5, lost: true).isEmpty)
        for bad: [UInt8] in [[], [0], [0, 16], [0xff, 0xff, 1, 2, 3], [0, 16, 0xff, 0xff], [0, 0, 1, 2]] { #expect(push(&depacketizer, bad, 9).isEmpty) }
        #expect(push(&depacketizer, [0, 16, 0, 2 << 3, 8, 9], 10).map(\.bytes) == [[8, 9]])
    }

    @Test("the header of AAC is read and written", arguments: [([0x11, 0x90], 48_000, 2, 2), ([0x12, 0x08], 44_100, 1, 2), ([0x2b, 0x92, 0x08, 0x00], 22_050, 2, 5)] as [([UInt8], Int, Int, Int)])
    func config(_ bytes: [UInt8], _ rate: Int, _ channels: Int, _ type: Int) throws {
        let config = try #require(AudioSpecificConfig(bytes))
        #expect((config.sampleRate, config.channels, config.objectType) == (rate, channels, type))
        if type == 2 { #expect(config.bytes == bytes) }
        #expect(AudioSpecificConfig([0x11]) == nil)
        #expect(AudioSpecificConfig([0x17, 0x10]) == nil)
    }

    @Test("channels that a program config element says are two in descriptions; those that nothing says are none", arguments: [
        ([0x11, 0x90], 2), ([0x11, 0xb8], 8), ([0x11, 0x80], nil), ([0x11, 0xc8], nil),
        // The beginning of ffmpeg's 5.1(side), as short as can be and one byte less.
        ([0x11, 0x80, 0x04, 0xc8, 0x44, 0, 0x20, 0, 0xc4, 0], 2), ([0x11, 0x80, 0x04, 0xc4, 0, 0, 0, 0], 2), ([0x11, 0x80, 0x04, 0xc4, 0, 0, 0], nil),
    ] as [([UInt8], Int?)])
    func describedChannels(_ bytes: [UInt8], _ channels: Int?) throws {
        let config = try #require(AudioSpecificConfig(bytes))
        #expect(config.describedChannels == channels && config.sampleRate == 48_000)
    }
}
