// SPDX-License-Identifier: Apache-2.0
// Safe reading and drawing of the planes of a VideoFrame. Lives only as long as the closure it is handed to.
import CFFmpeg

/// Colour as I420 stores it (BT.601, limited range: Y 16…235, U and V 16…240).
public struct YUVColour: Sendable, Equatable {
    public var y, u, v: UInt8

    public init(y: UInt8, u: UInt8, v: UInt8) {
        self.y = y
        self.u = u
        self.v = v
    }

    /// Converts from RGB (0…255 each) by ITU-R BT.601 limited range, rounded.
    public init(red: UInt8, green: UInt8, blue: UInt8) {
        let r = Double(red), g = Double(green), b = Double(blue)
        func byte(_ value: Double) -> UInt8 { UInt8(min(255, max(0, value.rounded()))) }
        y = byte(16 + 0.256788 * r + 0.504129 * g + 0.097906 * b)
        u = byte(128 - 0.148223 * r - 0.290993 * g + 0.439216 * b)
        v = byte(128 + 0.439216 * r - 0.367788 * g - 0.071427 * b)
    }

    public static let black = YUVColour(y: 16, u: 128, v: 128)
    public static let white = YUVColour(y: 235, u: 128, v: 128)
}

/// Read access to an I420 picture; coordinates are clipped, so no call can leave the planes.
public struct I420View {
    private let planes: (y: UnsafePointer<UInt8>?, u: UnsafePointer<UInt8>?, v: UnsafePointer<UInt8>?)
    private let strides: (y: Int, u: Int, v: Int)
    public let width: Int
    public let height: Int

    init(_ frame: UnsafeMutablePointer<AVFrame>) {
        planes = (UnsafePointer(frame.pointee.data.0), UnsafePointer(frame.pointee.data.1), UnsafePointer(frame.pointee.data.2))
        strides = (Int(frame.pointee.linesize.0), Int(frame.pointee.linesize.1), Int(frame.pointee.linesize.2))
        width = Int(frame.pointee.width)
        height = Int(frame.pointee.height)
    }

    /// Mean luma of a rectangle, 0…255; 0 for an empty one.
    public func meanLuma(x: Int, y: Int, width: Int, height: Int) -> Int {
        mean(planes.y, strides.y, x, y, width, height, limit: (self.width, self.height))
    }

    /// Mean colour of a rectangle.
    public func meanColour(x: Int, y: Int, width: Int, height: Int) -> YUVColour {
        let chroma = ((self.width + 1) / 2, (self.height + 1) / 2)
        let half = (x / 2, y / 2, max(1, width / 2), max(1, height / 2))
        return YUVColour(
            y: UInt8(meanLuma(x: x, y: y, width: width, height: height)),
            u: UInt8(mean(planes.u, strides.u, half.0, half.1, half.2, half.3, limit: chroma)),
            v: UInt8(mean(planes.v, strides.v, half.0, half.1, half.2, half.3, limit: chroma)))
    }

    private func mean(
        _ plane: UnsafePointer<UInt8>?, _ stride: Int, _ x: Int, _ y: Int, _ width: Int, _ height: Int, limit: (Int, Int)
    ) -> Int {
        let left = max(0, x), right = min(limit.0, x + width), top = max(0, y), bottom = min(limit.1, y + height)
        guard let plane, left < right, top < bottom else { return 0 }
        var sum = 0
        for row in top..<bottom {
            let line = plane + row * stride
            for column in left..<right { sum += Int(line[column]) }
        }
        return sum / ((right - left) * (bottom - top))
    }
}

/// Write access to an I420 picture while it is being made; rectangles are clipped to the picture.
public struct I420Canvas {
    private let planes: (y: UnsafeMutablePointer<UInt8>?, u: UnsafeMutablePointer<UInt8>?, v: UnsafeMutablePointer<UInt8>?)
    private let strides: (y: Int, u: Int, v: Int)
    public let width: Int
    public let height: Int

    init(_ frame: UnsafeMutablePointer<AVFrame>) {
        planes = (frame.pointee.data.0, frame.pointee.data.1, frame.pointee.data.2)
        strides = (Int(frame.pointee.linesize.0), Int(frame.pointee.linesize.1), Int(frame.pointee.linesize.2))
        width = Int(frame.pointee.width)
        height = Int(frame.pointee.height)
    }

    /// Fills a rectangle. Chroma samples that the rectangle touches only partly take its colour too.
    public mutating func fill(x: Int, y: Int, width: Int, height: Int, _ colour: YUVColour) {
        let left = max(0, x), right = min(self.width, x + width), top = max(0, y), bottom = min(self.height, y + height)
        guard left < right, top < bottom else { return }
        Self.fill(planes.y, strides.y, left, right, top, bottom, colour.y)
        let (chromaLeft, chromaRight) = (left / 2, (right + 1) / 2)
        let (chromaTop, chromaBottom) = (top / 2, (bottom + 1) / 2)
        Self.fill(planes.u, strides.u, chromaLeft, chromaRight, chromaTop, chromaBottom, colour.u)
        Self.fill(planes.v, strides.v, chromaLeft, chromaRight, chromaTop, chromaBottom, colour.v)
    }

    private static func fill(
        _ plane: UnsafeMutablePointer<UInt8>?, _ stride: Int, _ left: Int, _ right: Int, _ top: Int, _ bottom: Int, _ value: UInt8
    ) {
        guard let plane else { return }
        for row in top..<bottom { (plane + row * stride + left).update(repeating: value, count: right - left) }
    }

    /// Fills a rectangle with luma at random, of which no codec can save much. The same `seed` gives the same noise.
    public mutating func fillNoise(x: Int, y: Int, width: Int, height: Int, seed: UInt64) {
        let left = max(0, x), right = min(self.width, x + width), top = max(0, y), bottom = min(self.height, y + height)
        guard left < right, top < bottom, let plane = planes.y else { return }
        // xorshift64: its state must not be 0.
        var state = seed | 1 << 63
        for row in top..<bottom {
            let line = plane + row * strides.y
            for column in left..<right {
                state ^= state << 13
                state ^= state >> 7
                state ^= state << 17
                line[column] = UInt8(truncatingIfNeeded: 16 + (state >> 32) % 220)
            }
        }
    }

    /// Copies a picture with its top left corner at (x, y), which are even; what lies outside is left out.
    public mutating func draw(_ picture: VideoFrame, x: Int, y: Int) {
        let source = picture.frame.pointee
        let left = max(0, x) & ~1, top = max(0, y) & ~1
        let right = min(width, x + picture.width), bottom = min(height, y + picture.height)
        guard left < right, top < bottom else { return }
        Self.copy(source.data.0, Int(source.linesize.0), left - x, top - y, planes.y, strides.y, left, top, right - left, bottom - top)
        let columns = (right - left + 1) / 2, rows = (bottom - top + 1) / 2
        Self.copy(source.data.1, Int(source.linesize.1), (left - x) / 2, (top - y) / 2, planes.u, strides.u, left / 2, top / 2, columns, rows)
        Self.copy(source.data.2, Int(source.linesize.2), (left - x) / 2, (top - y) / 2, planes.v, strides.v, left / 2, top / 2, columns, rows)
    }

    /// Takes two thirds of the brightness and the colour from a rectangle.
    public mutating func darken(x: Int, y: Int, width: Int, height: Int) {
        let left = max(0, x), right = min(self.width, x + width), top = max(0, y), bottom = min(self.height, y + height)
        guard left < right, top < bottom, let luma = planes.y else { return }
        for row in top..<bottom {
            let line = luma + row * strides.y
            for column in left..<right { line[column] = UInt8(16 + (max(16, Int(line[column])) - 16) / 3) }
        }
        Self.fill(planes.u, strides.u, left / 2, (right + 1) / 2, top / 2, (bottom + 1) / 2, 128)
        Self.fill(planes.v, strides.v, left / 2, (right + 1) / 2, top / 2, (bottom + 1) / 2, 128)
    }

    /// Paints a colour through a mask of `width` x `height` bytes: 0 leaves a pixel as it is, 255 covers it. Brightness only, which is
    /// right for grey, black and white.
    public mutating func blend(_ mask: [UInt8], width maskWidth: Int, height maskHeight: Int, x: Int, y: Int, _ colour: YUVColour) {
        guard let luma = planes.y, maskWidth > 0, maskHeight > 0, mask.count >= maskWidth * maskHeight else { return }
        for row in max(0, -y)..<max(max(0, -y), min(maskHeight, height - y)) {
            let line = luma + (y + row) * strides.y
            for column in max(0, -x)..<max(max(0, -x), min(maskWidth, width - x)) {
                let cover = Int(mask[row * maskWidth + column])
                guard cover > 0 else { continue }
                line[x + column] = UInt8((Int(line[x + column]) * (255 - cover) + Int(colour.y) * cover) / 255)
            }
        }
    }

    private static func copy(
        _ source: UnsafeMutablePointer<UInt8>?, _ sourceStride: Int, _ sourceX: Int, _ sourceY: Int, _ target: UnsafeMutablePointer<UInt8>?,
        _ targetStride: Int, _ x: Int, _ y: Int, _ columns: Int, _ rows: Int
    ) {
        guard let source, let target else { return }
        for row in 0..<rows {
            (target + (y + row) * targetStride + x).update(from: source + (sourceY + row) * sourceStride + sourceX, count: columns)
        }
    }
}
