// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Mixing

struct TileLayoutTests {
    private let canvas = Tile(x: 0, y: 0, width: 1280, height: 720)

    private func overlap(_ a: Tile, _ b: Tile) -> Bool {
        a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height
    }

    @Test("however many there are, all are on the canvas, even, and none covers another",
          arguments: MixSettings.Layout.allCases, [0.1, 0.5625, 4.0 / 3, 16.0 / 9, 10, .nan])
    func fits(layout: MixSettings.Layout, aspect: Double) {
        for count in [0, 1, 2, 3, 4, 5, 7, 9, 12, 25, 50, 300] {
            for align in MixSettings.Side.allCases {
                for screens in [0, 1, 2] {
                    let tiles = TileLayout.tiles(count, on: canvas, layout: layout, aspect: aspect, screens: screens, align: align)
                    #expect(tiles.count == count)
                    for (index, tile) in tiles.enumerated() {
                        #expect(tile.x >= 0 && tile.y >= 0 && tile.x + tile.width <= 1280 && tile.y + tile.height <= 720, "\(count) \(layout) \(tile)")
                        #expect(tile.width >= 2 && tile.height >= 2 && (tile.x | tile.y | tile.width | tile.height) & 1 == 0)
                        if count <= 50 { for other in tiles[(index + 1)...] { #expect(!overlap(tile, other), "\(count) \(layout) \(tile) \(other)") } }
                    }
                }
            }
        }
    }

    @Test("two wide pictures stand beside each other, two on a tall canvas above each other")
    func two() {
        let wide = TileLayout.tiles(2, on: canvas, layout: .grid, aspect: 4.0 / 3)
        #expect(wide[0].y == wide[1].y && wide[0].x < wide[1].x && wide[0].width == wide[1].width)
        let tall = TileLayout.tiles(2, on: Tile(x: 0, y: 0, width: 720, height: 1280), layout: .grid, aspect: 4.0 / 3)
        #expect(tall[0].x == tall[1].x && tall[0].y < tall[1].y)
    }

    @Test("a row that is not full stands in the middle")
    func three() {
        let tiles = TileLayout.tiles(3, on: canvas, layout: .grid, aspect: 16.0 / 9)
        #expect(tiles[0].y == tiles[1].y && tiles[2].y > tiles[0].y)
        #expect(abs(tiles[2].x * 2 + tiles[2].width - 1280) <= 2)
    }

    @Test("pictures of the layout centre touch each other")
    func centre() {
        let tiles = TileLayout.tiles(4, on: canvas, layout: .centre, aspect: 4.0 / 3)
        #expect(tiles[1].x == tiles[0].x + tiles[0].width && tiles[2].y == tiles[0].y + tiles[0].height)
        #expect(abs(Double(tiles[0].width) / Double(tiles[0].height) - 4.0 / 3) < 0.02)
    }

    @Test("a screen takes most of the canvas, at the side that is asked for", arguments: MixSettings.Side.allCases)
    func desktop(align: MixSettings.Side) {
        let tiles = TileLayout.tiles(4, on: canvas, layout: .desktop, aspect: 16.0 / 9, screens: 1, align: align)
        #expect(tiles[0].width * tiles[0].height > 1280 * 720 / 2)
        let others = tiles[1...]
        switch align {
        case .top: #expect(others.allSatisfy { $0.y > tiles[0].y + tiles[0].height - 1 })
        case .bottom: #expect(others.allSatisfy { $0.y + $0.height <= tiles[0].y + 1 })
        case .left: #expect(others.allSatisfy { $0.x > tiles[0].x + tiles[0].width - 1 })
        case .right: #expect(others.allSatisfy { $0.x + $0.width <= tiles[0].x + 1 })
        case .center: #expect(others.contains { $0.x < tiles[0].x } && others.contains { $0.x > tiles[0].x })
        }
    }

    @Test("a picture keeps its shape and stands in the middle of its tile")
    func fitting() {
        let tile = Tile(x: 100, y: 50, width: 640, height: 720)
        #expect(tile.fitting(width: 640, height: 480) == Tile(x: 100, y: 170, width: 640, height: 480))
        let tall = tile.fitting(width: 360, height: 640)
        #expect(tall.height == 720 && abs(Double(tall.width) / 720 - 0.5625) < 0.01)
        #expect(tile.fitting(width: 8192, height: 2).height >= 2)
        #expect(tile.fitting(width: 0, height: 0) == tile)
    }
}
