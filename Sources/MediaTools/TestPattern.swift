// SPDX-License-Identifier: Apache-2.0
// The moving picture that `martlet publish` sends: clock strip, colour bars, a moving block, digits for people.
// Owned by a publish pipeline; described for other readers in docs/test-pattern.md.
import Codecs

/// Draws test pictures of any size and rate. What a picture shows depends on nothing but its arguments.
public struct TestPattern: Sendable {
    public let width: Int
    public let height: Int
    /// Frames per second; used in the text only, the caller says when a picture is due.
    public let frameRate: Int
    /// The lower half of the bars is noise, new with each frame, so that an encoder needs all of its bitrate.
    public let isNoisy: Bool

    /// The bars from left to right: 75 % white, yellow, cyan, green, magenta, red, blue, black, as RGB.
    public static let bars: [(red: UInt8, green: UInt8, blue: UInt8)] = [
        (191, 191, 191), (191, 191, 0), (0, 191, 191), (0, 191, 0), (191, 0, 191), (191, 0, 0), (0, 0, 191), (0, 0, 0),
    ]

    private let background: VideoFrame

    /// - Throws: `CodecError.invalid` for a size outside 32…8192 or a rate outside 1…240.
    public init(width: Int, height: Int, frameRate: Int = 30, isNoisy: Bool = false) throws(CodecError) {
        guard width >= 32, height >= 32, (1...240).contains(frameRate) else {
            throw .invalid("A test pattern of \(width)x\(height) at \(frameRate) frames/s is not possible; use 32x32 to 8192x8192 and 1 to 240.")
        }
        self.width = width
        self.height = height
        self.frameRate = frameRate
        self.isNoisy = isNoisy
        background = try VideoFrame(width: width, height: height, timestamp: 0) { canvas in
            canvas.fill(x: 0, y: 0, width: width, height: height, YUVColour(red: 40, green: 40, blue: 40))
            for (index, bar) in Self.bars.enumerated() {
                let area = Self.barArea(index, width: width, height: height)
                canvas.fill(
                    x: area.x, y: area.y, width: area.width, height: area.height,
                    YUVColour(red: bar.red, green: bar.green, blue: bar.blue))
            }
        }
    }

    /// Where bar `index` is: columns of an eighth of the width, from 1/8 to 5/8 of the height.
    public static func barArea(_ index: Int, width: Int, height: Int) -> (x: Int, y: Int, width: Int, height: Int) {
        let left = index * width / 8, right = (index + 1) * width / 8, top = height / 8, bottom = height * 5 / 8
        return (left, top, right - left, bottom - top)
    }

    /// One picture. The block crosses the picture from left to right in two seconds of the wall clock.
    /// - Parameters:
    ///   - unixMilliseconds: the wall clock to show and to burn in.
    ///   - timestamp: 90 kHz, put on the frame.
    public func frame(unixMilliseconds: Int64, timestamp: Int64) throws(CodecError) -> VideoFrame {
        try VideoFrame(copying: background, timestamp: timestamp) { canvas in
            BurntInClock.draw(BurntInClock.value(unixMilliseconds: unixMilliseconds), on: &canvas)
            if isNoisy {
                let top = height * 3 / 8
                canvas.fillNoise(x: 0, y: top, width: width, height: height * 5 / 8 - top, seed: UInt64(truncatingIfNeeded: timestamp))
            }
            drawBlock(unixMilliseconds, on: &canvas)
            drawText(unixMilliseconds, on: &canvas)
            if (timestamp % 90_000 + 90_000) % 90_000 < Self.flashTicks {
                let area = Self.flashArea(width: width, height: height)
                canvas.fill(x: area.x, y: area.y, width: area.width, height: area.height, .white)
            }
        }
    }

    /// For so long the flash is seen at the start of each second of the stream, with the beep: 100 ms.
    static let flashTicks: Int64 = 9_000

    /// Where the flash is: the left quarter of the last sixteenth.
    public static func flashArea(width: Int, height: Int) -> (x: Int, y: Int, width: Int, height: Int) {
        (0, height * 15 / 16, width / 4, height - height * 15 / 16)
    }

    private func drawBlock(_ now: Int64, on canvas: inout I420Canvas) {
        let side = max(4, height / 10), travel = width - side
        let phase = Int((now % 2000 + 2000) % 2000)
        let x = travel * phase / 2000, y = height * 5 / 8 + (height / 8 - side) / 2
        canvas.fill(x: x, y: y, width: side, height: side, YUVColour(red: 255, green: 140, blue: 0))
        canvas.fill(x: x + side / 4, y: y + side / 4, width: side / 2, height: side / 2, .white)
    }

    private func drawText(_ now: Int64, on canvas: inout I420Canvas) {
        let scale = max(1, min(width / 96, height / 48))
        DotMatrixText.draw(Self.clockText(now), x: width / 32, y: height * 25 / 32, scale: scale, on: &canvas)
        let small = max(1, scale / 2)
        let text = "\(width)x\(height)@\(frameRate)"
        DotMatrixText.draw(
            text, x: width - width / 32 - DotMatrixText.width(of: text, scale: small),
            y: height - height / 32 - 7 * small, scale: small, on: &canvas)
    }

    /// UTC as "hh:mm:ss.mmm".
    static func clockText(_ unixMilliseconds: Int64) -> String {
        let day = Int((unixMilliseconds % 86_400_000 + 86_400_000) % 86_400_000)
        func digits(_ value: Int, _ count: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, count - text.count)) + text
        }
        return "\(digits(day / 3_600_000, 2)):\(digits(day / 60_000 % 60, 2)):\(digits(day / 1000 % 60, 2)).\(digits(day % 1000, 3))"
    }
}
