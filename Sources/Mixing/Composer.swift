// SPDX-License-Identifier: Apache-2.0
// Draws one picture of the result: everybody's picture in its place, names, the speaker's frame. Its bitmaps are made beforehand,
// so any number of threads may use one composer.
import Codecs

struct Composer: Sendable {
    static let background = YUVColour(red: 18, green: 20, blue: 23)
    static let emptyTile = YUVColour(red: 38, green: 42, blue: 48)
    static let mark = YUVColour(red: 255, green: 176, blue: 0)
    /// Round a name, pixels: as of the vendor's captions.
    static let padding = 5

    /// A seat with its name's bitmap for a tile with a picture, and for one without.
    private struct Place: Sendable {
        var seat: Scene.Seat
        var caption: Caption?
        var largeCaption: Caption?
    }

    private let width: Int, height: Int
    private let frame: Int
    private let places: [[Place]]

    init(_ scenes: [Scene], _ file: RoomFile, _ settings: MixSettings) throws(MixError) {
        (width, height, frame) = (settings.width, settings.height, settings.speakerFrame)
        let writer = settings.displaysNames ? try CaptionWriter(font: settings.font) : nil
        var made: [String: Caption?] = [:]
        func caption(_ name: String, _ size: Int, _ width: Int) -> Caption? {
            let key = "\(size) \(width) \(name)"
            if let known = made[key] { return known }
            let caption = writer?.caption(name, size: size, width: width)
            made[key] = .some(caption)
            return caption
        }
        var places: [[Place]] = []
        for scene in scenes {
            places.append(scene.seats.map { seat in
                let name = Self.name(of: file.participants[seat.participant], settings.label)
                let room = seat.tile.width - 2 * (Self.padding + settings.speakerFrame)
                // Small tiles have small names.
                let size = min(settings.fontSize, seat.tile.height / 6), large = min(settings.audioOnlyFontSize, seat.tile.height / 4)
                return Place(seat: seat, caption: caption(name, size, room), largeCaption: caption(name, large, room))
            })
        }
        self.places = places
    }

    static func name(of participant: Participant, _ label: MixSettings.Label) -> String {
        let (first, second) = label == .login ? (participant.login, participant.stream) : (participant.stream, participant.login)
        return first.isEmpty ? second : first
    }

    /// - Parameters:
    ///   - scene: its number.
    ///   - pictures: by participant, none larger than its tile.
    ///   - speaker: the participant who speaks.
    ///   - timestamp: 90 kHz.
    func compose(scene: Int?, pictures: [Int: VideoFrame], speaker: Int?, timestamp: Int64) throws(CodecError) -> VideoFrame {
        try VideoFrame(width: width, height: height, timestamp: timestamp) { canvas in
            canvas.fill(x: 0, y: 0, width: width, height: height, Self.background)
            guard let scene, places.indices.contains(scene) else { return }
            for place in places[scene] {
                let tile = place.seat.tile
                var shown = tile
                if let picture = pictures[place.seat.participant] {
                    shown = tile.fitting(width: picture.width, height: picture.height)
                    canvas.draw(picture, x: shown.x, y: shown.y)
                    if let caption = place.caption { draw(caption, inCornerOf: shown, on: &canvas) }
                } else {
                    canvas.fill(x: tile.x, y: tile.y, width: tile.width, height: tile.height, Self.emptyTile)
                    if let caption = place.largeCaption {
                        canvas.blend(
                            caption.coverage, width: caption.width, height: caption.height, x: tile.x + (tile.width - caption.width) / 2,
                            y: tile.y + (tile.height - caption.height) / 2, .white)
                    }
                }
                if place.seat.participant == speaker { drawMark(round: shown, on: &canvas) }
            }
        }
    }

    /// White on a darkened bar at the lower left.
    private func draw(_ caption: Caption, inCornerOf tile: Tile, on canvas: inout I420Canvas) {
        let boxWidth = min(tile.width, caption.width + 2 * Self.padding), boxHeight = min(tile.height, caption.height + Self.padding)
        let x = tile.x + frame & ~1, y = max(tile.y, tile.y + tile.height - boxHeight - frame)
        canvas.darken(x: x, y: y, width: min(boxWidth, tile.x + tile.width - x), height: boxHeight)
        canvas.blend(
            caption.coverage, width: caption.width, height: caption.height, x: x + Self.padding, y: y + Self.padding / 2, .white)
    }

    private func drawMark(round tile: Tile, on canvas: inout I420Canvas) {
        let thick = min(frame, tile.width / 4, tile.height / 4)
        canvas.fill(x: tile.x, y: tile.y, width: tile.width, height: thick, Self.mark)
        canvas.fill(x: tile.x, y: tile.y + tile.height - thick, width: tile.width, height: thick, Self.mark)
        canvas.fill(x: tile.x, y: tile.y, width: thick, height: tile.height, Self.mark)
        canvas.fill(x: tile.x + tile.width - thick, y: tile.y, width: thick, height: tile.height, Self.mark)
    }
}
