// SPDX-License-Identifier: Apache-2.0
// Where on the canvas each picture stands, for a number of people. Pure geometry.

/// Pixels; all numbers even, so that colours and brightness cover the same.
public struct Tile: Sendable, Equatable {
    public var x: Int, y: Int, width: Int, height: Int

    public init(x: Int, y: Int, width: Int, height: Int) {
        (self.x, self.y, self.width, self.height) = (x & ~1, y & ~1, width & ~1, height & ~1)
    }

    /// The largest area in it with a picture's shape, in its middle.
    public func fitting(width: Int, height: Int) -> Tile {
        guard width > 0, height > 0 else { return self }
        let scale = min(Double(self.width) / Double(width), Double(self.height) / Double(height))
        let w = min(self.width, max(2, Int((Double(width) * scale).rounded()) & ~1))
        let h = min(self.height, max(2, Int((Double(height) * scale).rounded()) & ~1))
        return Tile(x: x + (self.width - w) / 2, y: y + (self.height - h) / 2, width: w, height: h)
    }
}

public enum TileLayout {
    /// Pixels between cells of the grid.
    static let gap = 4
    /// The part of the canvas that the row beside a large picture takes.
    static let strip = 5

    /// A tile for each of `count` pictures, in their order.
    ///
    /// - Parameters:
    ///   - aspect: width by height of most pictures.
    ///   - screens: how many of them, the first ones, are to be large (layout `desktop`).
    public static func tiles(
        _ count: Int, on canvas: Tile, layout: MixSettings.Layout, aspect: Double, screens: Int = 0, align: MixSettings.Side = .top
    ) -> [Tile] {
        guard count > 0 else { return [] }
        let screens = layout == .desktop ? min(count, max(1, screens)) : 0
        guard screens > 0, screens < count else { return grid(count, on: canvas, aspect: aspect, touching: layout == .centre) }
        let (large, small) = split(canvas, align)
        let others = count - screens
        // The strip on both sides of a picture in the middle is shared.
        let first = small.count > 1 ? (others + 1) / 2 : others
        return grid(screens, on: large, aspect: aspect, touching: false)
            + row(first, on: small[0]) + (others > first ? row(others - first, on: small[1]) : [])
    }

    private static func split(_ canvas: Tile, _ align: MixSettings.Side) -> (large: Tile, small: [Tile]) {
        let h = canvas.height / strip & ~1, w = canvas.width / strip & ~1
        switch align {
        case .top:
            return (Tile(x: canvas.x, y: canvas.y, width: canvas.width, height: canvas.height - h),
                    [Tile(x: canvas.x, y: canvas.y + canvas.height - h, width: canvas.width, height: h)])
        case .bottom:
            return (Tile(x: canvas.x, y: canvas.y + h, width: canvas.width, height: canvas.height - h),
                    [Tile(x: canvas.x, y: canvas.y, width: canvas.width, height: h)])
        case .left:
            return (Tile(x: canvas.x, y: canvas.y, width: canvas.width - w, height: canvas.height),
                    [Tile(x: canvas.x + canvas.width - w, y: canvas.y, width: w, height: canvas.height)])
        case .right:
            return (Tile(x: canvas.x + w, y: canvas.y, width: canvas.width - w, height: canvas.height),
                    [Tile(x: canvas.x, y: canvas.y, width: w, height: canvas.height)])
        case .center:
            return (Tile(x: canvas.x + w, y: canvas.y, width: canvas.width - 2 * w, height: canvas.height),
                    [Tile(x: canvas.x, y: canvas.y, width: w, height: canvas.height),
                     Tile(x: canvas.x + canvas.width - w, y: canvas.y, width: w, height: canvas.height)])
        }
    }

    /// Beside each other along the longer side.
    private static func row(_ count: Int, on area: Tile) -> [Tile] {
        (0..<count).map { index in
            area.width >= area.height
                ? cell(area.x + index * area.width / count, area.y, area.x + (index + 1) * area.width / count, area.y + area.height)
                : cell(area.x, area.y + index * area.height / count, area.x + area.width, area.y + (index + 1) * area.height / count)
        }
    }

    private static func cell(_ left: Int, _ top: Int, _ right: Int, _ bottom: Int) -> Tile {
        // Hundreds of people leave cells of a few pixels.
        let gap = right - left > 8 * Self.gap && bottom - top > 8 * Self.gap ? Self.gap / 2 : 0
        return Tile(x: left + gap, y: top + gap, width: max(2, right - left - 2 * gap), height: max(2, bottom - top - 2 * gap))
    }

    /// The grid in which pictures of that shape come out largest; a row that is not full stands in the middle.
    private static func grid(_ count: Int, on area: Tile, aspect: Double, touching: Bool) -> [Tile] {
        let aspect = aspect.isFinite ? min(8, max(0.125, aspect)) : 4.0 / 3
        func pictureWidth(_ columns: Int) -> Double {
            let rows = (count + columns - 1) / columns
            return min(Double(area.width) / Double(columns), Double(area.height) / Double(rows) * aspect)
        }
        // The first of equals: fewer columns.
        let columns = (1...count).max { pictureWidth($0) < pictureWidth($1) } ?? 1
        let rows = (count + columns - 1) / columns
        var width = area.width / columns, height = area.height / rows
        if touching {
            width = max(2, Int(pictureWidth(columns)) & ~1)
            height = max(2, Int(pictureWidth(columns) / aspect) & ~1)
        }
        let top = area.y + (area.height - rows * height) / 2
        return (0..<count).map { index in
            let row = index / columns, column = index % columns
            let inRow = row == rows - 1 ? count - row * columns : columns
            let left = area.x + (area.width - inRow * width) / 2 + column * width
            guard !touching else { return Tile(x: left, y: top + row * height, width: width, height: height) }
            return cell(left, top + row * height, left + width, top + (row + 1) * height)
        }
    }
}
