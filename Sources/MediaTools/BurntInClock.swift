// SPDX-License-Identifier: Apache-2.0
// The machine-readable clock in the top strip of a test picture: 2 rows of 24 black or white cells that carry 32 bits of
// wall-clock milliseconds. Drawn by TestPattern, read by ClockReader; geometry for other readers: docs/test-pattern.md.
import Codecs

/// Draws and reads the burnt-in clock. The strip scales with the picture, so it survives scaling and compression.
public enum BurntInClock {
    /// Cells in a row: 4 marker cells, 16 data cells, 4 checksum cells.
    public static let columns = 24
    public static let rows = 2
    /// A row of cells is this fraction of the picture's height.
    public static let rowsPerHeight = 18
    /// Pictures smaller than this have cells too small to read after compression.
    public static let minimumSize = (width: 128, height: 96)
    /// The bits at the start of the two rows, most significant first.
    static let markers: [UInt32] = [0b1010, 0b0101]
    /// White minus black must be at least this much luma.
    static let minimumContrast = 48

    /// The strip's height in a picture of `height` pixels.
    public static func stripHeight(_ height: Int) -> Int { (rows * height + rowsPerHeight - 1) / rowsPerHeight }

    /// Milliseconds since 1970 modulo 2^32, as burnt in.
    public static func value(unixMilliseconds: Int64) -> UInt32 { UInt32(truncatingIfNeeded: unixMilliseconds) }

    /// CRC-8 (polynomial 0x07, initial value 0xFF, not reflected, no final XOR) of the value's 4 bytes, big-endian.
    public static func checksum(_ value: UInt32) -> UInt8 {
        var crc: UInt8 = 0xff
        for shift in stride(from: UInt32(24), through: 0, by: -8) {
            crc ^= UInt8(truncatingIfNeeded: value >> shift)
            for _ in 0..<8 { crc = crc & 0x80 != 0 ? crc << 1 ^ 0x07 : crc << 1 }
        }
        return crc
    }

    /// The 24 bits of a row, first cell = most significant.
    static func bits(_ value: UInt32, row: Int) -> UInt32 {
        let data = row == 0 ? value >> 16 : value & 0xffff
        let check = UInt32(row == 0 ? checksum(value) >> 4 : checksum(value) & 0x0f)
        return markers[row] << 20 | data << 4 | check
    }

    /// Paints the strip over the top of the picture.
    public static func draw(_ value: UInt32, on canvas: inout I420Canvas) {
        for row in 0..<rows {
            let top = row * canvas.height / rowsPerHeight, bottom = (row + 1) * canvas.height / rowsPerHeight
            let bits = bits(value, row: row)
            for column in 0..<columns {
                let left = column * canvas.width / columns, right = (column + 1) * canvas.width / columns
                let isWhite = bits >> UInt32(columns - 1 - column) & 1 == 1
                canvas.fill(x: left, y: top, width: right - left, height: bottom - top, isWhite ? .white : .black)
            }
        }
    }

    /// The value in the picture; `nil` when there is no clock or it is damaged.
    public static func read(from frame: VideoFrame) -> UInt32? { frame.read { read(from: $0) } }

    static func read(from view: I420View) -> UInt32? {
        var levels: [Int] = []
        levels.reserveCapacity(rows * columns)
        for row in 0..<rows {
            let (top, bottom) = middle(row, of: rowsPerHeight, length: view.height)
            for column in 0..<columns {
                let (left, right) = middle(column, of: columns, length: view.width)
                levels.append(view.meanLuma(x: left, y: top, width: right - left, height: bottom - top))
            }
        }
        // The marker cells say what black and white have become on the way.
        var black = 0, white = 0
        for row in 0..<rows {
            for column in 0..<4 {
                let level = levels[row * columns + column]
                if markers[row] >> UInt32(3 - column) & 1 == 1 { white += level } else { black += level }
            }
        }
        black /= 4
        white /= 4
        guard white - black >= minimumContrast else { return nil }
        let threshold = (white + black) / 2
        var words: [UInt32] = [0, 0]
        for row in 0..<rows {
            for column in 0..<columns {
                words[row] = words[row] << 1 | (levels[row * columns + column] > threshold ? 1 : 0)
            }
            guard words[row] >> 20 == markers[row] else { return nil }
        }
        let value = (words[0] >> 4 & 0xffff) << 16 | words[1] >> 4 & 0xffff
        let check = UInt8((words[0] & 0x0f) << 4 | words[1] & 0x0f)
        return checksum(value) == check ? value : nil
    }

    /// The pixels of the inner half of cell `index` when `length` pixels are divided into `count` cells; at least one.
    static func middle(_ index: Int, of count: Int, length: Int) -> (from: Int, to: Int) {
        let from = (4 * index + 1) * length / (4 * count), to = (4 * index + 3) * length / (4 * count)
        return (from, max(from + 1, to))
    }
}
