// SPDX-License-Identifier: Apache-2.0
import Codecs
import Testing

@testable import MediaTools

@Suite("Test pattern")
struct TestPatternTests {
    @Test("the bars have their known colours", arguments: [(640, 360), (641, 481), (160, 90)])
    func bars(width: Int, height: Int) throws {
        let frame = try TestPattern(width: width, height: height).frame(unixMilliseconds: 0, timestamp: 0)
        let image = try Scaler().rgb(frame)
        for (index, bar) in TestPattern.bars.enumerated() {
            let area = TestPattern.barArea(index, width: width, height: height)
            let pixel = try #require(image[area.x + area.width / 2, area.y + area.height / 2])
            #expect(abs(Int(pixel.red) - Int(bar.red)) <= 3)
            #expect(abs(Int(pixel.green) - Int(bar.green)) <= 3)
            #expect(abs(Int(pixel.blue) - Int(bar.blue)) <= 3)
        }
    }

    @Test("the picture changes from frame to frame outside the clock strip too")
    func moves() throws {
        let pattern = try TestPattern(width: 320, height: 180)
        let scaler = Scaler()
        let first = try scaler.rgb(pattern.frame(unixMilliseconds: 1000, timestamp: 0))
        let second = try scaler.rgb(pattern.frame(unixMilliseconds: 1033, timestamp: 3000))
        let rows = 180 * 5 / 8..<180 * 6 / 8
        let differing = rows.reduce(0) { count, y in
            count + (0..<320).count { x in first[x, y].map { $0.red } != second[x, y].map { $0.red } }
        }
        #expect(differing > 20)
    }

    @Test("the digits show UTC to the millisecond")
    func clockText() {
        #expect(TestPattern.clockText(0) == "00:00:00.000")
        #expect(TestPattern.clockText(86_399_999) == "23:59:59.999")
        #expect(TestPattern.clockText(1_700_000_000_123) == "22:13:20.123")
    }

    @Test("an encoder uses its bitrate for noise, and not for the plain pattern")
    func noise() throws {
        func bitsPerSecond(isNoisy: Bool) throws -> Int {
            let pattern = try TestPattern(width: 320, height: 180, frameRate: 20, isNoisy: isNoisy)
            let encoder = try VideoEncoder(.init(codec: .h264, width: 320, height: 180, frameRate: 20, bitrate: 1_000_000))
            var bytes = 0
            for index in 0..<60 {
                let frame = try pattern.frame(unixMilliseconds: Int64(index * 50), timestamp: Int64(index * 4500))
                bytes += try encoder.encode(frame).reduce(0) { $0 + $1.bytes.count }
            }
            return bytes * 8 / 3
        }
        #expect(try (700_000...1_400_000).contains(bitsPerSecond(isNoisy: true)))
        #expect(try bitsPerSecond(isNoisy: false) < 500_000)
    }

    @Test("a size that can't be drawn is refused")
    func refuses() {
        #expect(throws: CodecError.self) { try TestPattern(width: 10, height: 10) }
        #expect(throws: CodecError.self) { try TestPattern(width: 640, height: 360, frameRate: 0) }
    }
}
