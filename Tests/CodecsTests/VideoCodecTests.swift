// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Codecs

/// Two halves of known colour, and a brightness step that moves with `index`.
func makePicture(width: Int, height: Int, index: Int) throws -> VideoFrame {
    try VideoFrame(width: width, height: height, timestamp: Int64(index) * 3000) { canvas in
        canvas.fill(x: 0, y: 0, width: width / 2, height: height, YUVColour(red: 191, green: 0, blue: 0))
        canvas.fill(x: width / 2, y: 0, width: width - width / 2, height: height, YUVColour(red: 0, green: 0, blue: 191))
        canvas.fill(x: 4 * index % (width - 16), y: height / 2, width: 16, height: 16, .white)
    }
}

@Suite("Video codecs")
struct VideoCodecTests {
    @Test("every codec gives back the colours it was given, one picture for one", arguments: VideoCodec.allCases)
    func roundTrip(codec: VideoCodec) throws {
        let encoder = try VideoEncoder(.init(codec: codec, width: 320, height: 180, bitrate: 400_000))
        let decoder = try VideoDecoder(codec)
        var decoded: [VideoFrame] = []
        for index in 0..<12 {
            let packets = try encoder.encode(makePicture(width: 320, height: 180, index: index))
            #expect(packets.count == 1, "a picture must leave the encoder at once")
            for packet in packets {
                #expect(packet.isKeyFrame == (index == 0))
                #expect(packet.timestamp == Int64(index) * 3000)
                decoded += try decoder.decode(packet.bytes, timestamp: packet.timestamp)
            }
            #expect(decoded.count == index + 1, "a picture must leave the decoder at once")
        }
        let last = try #require(decoded.last)
        #expect((last.width, last.height) == (320, 180))
        #expect(last.timestamp == 11 * 3000)
        let image = try Scaler().rgb(last)
        try expect(image, 80, 40, near: (191, 0, 0))
        try expect(image, 240, 40, near: (0, 0, 191))
    }

    @Test("a key frame comes when asked for, and a decoder can start at it", arguments: VideoCodec.allCases)
    func forcedKeyFrame(codec: VideoCodec) throws {
        let encoder = try VideoEncoder(.init(codec: codec, width: 160, height: 120, bitrate: 200_000))
        for index in 0..<5 { _ = try encoder.encode(makePicture(width: 160, height: 120, index: index)) }
        let packets = try encoder.encode(makePicture(width: 160, height: 120, index: 5), forceKeyFrame: true)
        let packet = try #require(packets.first)
        #expect(packet.isKeyFrame)
        let decoder = try VideoDecoder(codec)
        let frames = try decoder.decode(packet.bytes, timestamp: 0)
        let image = try Scaler().rgb(#require(frames.first))
        try expect(image, 40, 20, near: (191, 0, 0))
        let next = try encoder.encode(makePicture(width: 160, height: 120, index: 6))
        #expect(next.first?.isKeyFrame == false)
    }

    @Test("odd sizes stay as they are, but H.264 loses a column and a row", arguments: VideoCodec.allCases)
    func oddSizes(codec: VideoCodec) throws {
        let encoder = try VideoEncoder(.init(codec: codec, width: 321, height: 181, bitrate: 400_000))
        let decoder = try VideoDecoder(codec)
        var frames: [VideoFrame] = []
        for index in 0..<3 {
            for packet in try encoder.encode(makePicture(width: 321, height: 181, index: index)) {
                frames += try decoder.decode(packet.bytes, timestamp: packet.timestamp)
            }
        }
        let last = try #require(frames.last)
        #expect((last.width, last.height) == (codec == .h264 ? (320, 180) : (321, 181)))
        #expect((last.width, last.height) == encoder.configuration.encodedSize)
    }

    @Test("the bitrate asked for is about what comes out", arguments: VideoCodec.allCases)
    func bitrate(codec: VideoCodec) throws {
        let encoder = try VideoEncoder(.init(codec: codec, width: 160, height: 120, frameRate: 30, bitrate: 150_000))
        var bytes = 0
        for index in 0..<60 {
            // Noise that can't be predicted, so that the rate control has something to hold down.
            let frame = try VideoFrame(width: 160, height: 120, timestamp: Int64(index) * 3000) { canvas in
                for y in stride(from: 0, to: 120, by: 8) {
                    for x in stride(from: 0, to: 160, by: 8) {
                        let value = UInt8(truncatingIfNeeded: 16 + ((x * 31 + y * 17 + index * 101) * 2654435 >> 7) % 200)
                        canvas.fill(x: x, y: y, width: 8, height: 8, YUVColour(y: value, u: 128, v: 128))
                    }
                }
            }
            for packet in try encoder.encode(frame) { bytes += packet.bytes.count }
        }
        #expect(bytes * 8 / 2 < 150_000 * 2)
        #expect(bytes * 8 / 2 > 150_000 / 4)
    }

    @Test("damaged data gives an error or a picture, never a crash", arguments: VideoCodec.allCases)
    func damaged(codec: VideoCodec) throws {
        let encoder = try VideoEncoder(.init(codec: codec, width: 160, height: 120, bitrate: 200_000))
        let decoder = try VideoDecoder(codec)
        var state: UInt64 = 7
        for index in 0..<30 {
            for var packet in try encoder.encode(makePicture(width: 160, height: 120, index: index)) {
                for _ in 0..<8 {
                    state = state &* 6364136223846793005 &+ 1442695040888963407
                    packet.bytes[Int(state >> 33) % packet.bytes.count] ^= UInt8(truncatingIfNeeded: state >> 20)
                }
                _ = try? decoder.decode(packet.bytes, timestamp: packet.timestamp)
            }
        }
        decoder.reset()
        let good = try encoder.encode(makePicture(width: 160, height: 120, index: 30), forceKeyFrame: true)
        let frames = try decoder.decode(#require(good.first).bytes, timestamp: 1)
        #expect(frames.last?.width == 160)
    }

    @Test("impossible settings are refused with a sentence")
    func refusals() {
        #expect(throws: CodecError.self) { try VideoEncoder(.init(codec: .vp8, width: 0, height: 100)) }
        #expect(throws: CodecError.self) { try VideoEncoder(.init(codec: .h264, width: 640, height: 360, frameRate: 0)) }
        #expect(throws: CodecError.self) { try VideoEncoder(.init(codec: .h264, width: 640, height: 360, bitrate: 5)) }
        do {
            _ = try VideoEncoder(.init(codec: .vp8, width: 9000, height: 100))
            Issue.record("a width of 9000 was taken")
        } catch {
            #expect(error.description.contains("9000x100"))
        }
    }

    private func expect(_ image: RGBImage, _ x: Int, _ y: Int, near colour: (Int, Int, Int)) throws {
        let pixel = try #require(image[x, y])
        let distance = max(
            abs(Int(pixel.red) - colour.0), abs(Int(pixel.green) - colour.1), abs(Int(pixel.blue) - colour.2))
        #expect(distance <= 12, "\(pixel) is not \(colour)")
    }
}
