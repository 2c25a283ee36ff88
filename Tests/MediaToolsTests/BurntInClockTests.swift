// SPDX-License-Identifier: Apache-2.0
import Codecs
import Primitives
import Testing

@testable import MediaTools

@Suite("Burnt-in clock")
struct BurntInClockTests {
    static let values: [Int64] = [0, 1, 0x5555_5555, 0xaaaa_aaaa, 0xffff_ffff, 1_763_707_500_123]

    @Test(
        "the clock is read back at any size, odd ones too",
        arguments: [(640, 360), (641, 481), (1280, 720), (321, 241), (128, 96), (1920, 1080), (333, 777)])
    func sizes(width: Int, height: Int) throws {
        let pattern = try TestPattern(width: width, height: height)
        for value in Self.values {
            let frame = try pattern.frame(unixMilliseconds: value, timestamp: 0)
            #expect(BurntInClock.read(from: frame) == UInt32(truncatingIfNeeded: value))
        }
    }

    @Test("the clock survives scaling to half and odd fractions", arguments: [(320, 180), (321, 181), (500, 281), (256, 144), (960, 400)])
    func scaling(width: Int, height: Int) throws {
        let pattern = try TestPattern(width: 640, height: 360)
        for value in Self.values {
            let frame = try Scaler().scale(pattern.frame(unixMilliseconds: value, timestamp: 0), width: width, height: height)
            #expect(BurntInClock.read(from: frame) == UInt32(truncatingIfNeeded: value))
        }
    }

    @Test("the clock survives 200 kbit/s at 640x360 and 30 frames a second, then scaling to half", arguments: VideoCodec.allCases)
    func compression(codec: VideoCodec) throws {
        let pattern = try TestPattern(width: 640, height: 360)
        let encoder = try VideoEncoder(.init(codec: codec, width: 640, height: 360, frameRate: 30, bitrate: 200_000))
        let decoder = try VideoDecoder(codec)
        let scaler = Scaler()
        var bytes = 0
        for index in 0..<60 {
            let time = 1_763_707_500_123 + Int64(index) * 1000 / 30
            let frame = try pattern.frame(unixMilliseconds: time, timestamp: Int64(index) * 3000)
            for packet in try encoder.encode(frame) {
                bytes += packet.bytes.count
                for decoded in try decoder.decode(packet.bytes, timestamp: packet.timestamp) {
                    let expected = BurntInClock.value(unixMilliseconds: time)
                    #expect(BurntInClock.read(from: decoded) == expected, "picture \(index)")
                    let half = try scaler.scale(decoded, width: 320, height: 180)
                    #expect(BurntInClock.read(from: half) == expected, "picture \(index), half size")
                }
            }
        }
        #expect(bytes * 8 / 2 < 400_000)
    }

    @Test("pictures without a clock, or with a damaged one, are not misread")
    func absent() throws {
        let grey = try VideoFrame(width: 640, height: 360, timestamp: 0) {
            $0.fill(x: 0, y: 0, width: 640, height: 360, YUVColour(y: 120, u: 128, v: 128))
        }
        #expect(BurntInClock.read(from: grey) == nil)
        let good = try TestPattern(width: 640, height: 360).frame(unixMilliseconds: 123_456, timestamp: 0)
        for column in 4..<20 {
            let (left, right) = (column * 640 / 24, (column + 1) * 640 / 24)
            for colour in [YUVColour.white, .black] {
                let damaged = try VideoFrame(copying: good, timestamp: 0) {
                    $0.fill(x: left, y: 20, width: right - left, height: 20, colour)
                }
                let value = BurntInClock.read(from: damaged)
                #expect(value == nil || value == 123_456)
            }
        }
    }

    @Test("the checksum is the one the documentation gives as an example")
    func checksum() {
        #expect(BurntInClock.checksum(0) == 0xd1)
        #expect(BurntInClock.checksum(0x1234_5678) == 0xcd)
        #expect(BurntInClock.bits(0x1234_5678, row: 0) >> 4 == 0xa1234)
        #expect(BurntInClock.bits(0x1234_5678, row: 1) >> 4 == 0x55678)
    }
}
