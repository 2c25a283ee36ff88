// SPDX-License-Identifier: Apache-2.0
// A picture as plain RGB bytes, for tests, snapshots and writing to a file.

/// 8-bit RGB, row by row without padding.
public struct RGBImage: Sendable, Equatable {
    public let width: Int
    public let height: Int
    /// `width * height * 3` bytes: red, green, blue.
    public let pixels: [UInt8]

    public init(width: Int, height: Int, pixels: [UInt8]) {
        self.width = width
        self.height = height
        self.pixels = pixels
    }

    /// The colour at a point; `nil` outside the picture.
    public subscript(x: Int, y: Int) -> (red: UInt8, green: UInt8, blue: UInt8)? {
        guard (0..<width).contains(x), (0..<height).contains(y) else { return nil }
        let offset = (y * width + x) * 3
        guard offset + 2 < pixels.count else { return nil }
        return (pixels[offset], pixels[offset + 1], pixels[offset + 2])
    }

    /// The picture as a binary PPM file (P6), which every viewer and converter opens.
    public var ppm: [UInt8] { Array("P6\n\(width) \(height)\n255\n".utf8) + pixels }
}
