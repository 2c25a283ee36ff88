// SPDX-License-Identifier: Apache-2.0
// Who is to be seen from when to when, and where: changes as people come and go.
import Primitives

/// A stretch of time in which the same people are present.
struct Scene: Sendable, Equatable {
    struct Seat: Sendable, Equatable {
        /// Index into `RoomFile.participants`.
        var participant: Int
        var tile: Tile
    }

    var span: Range<MediaTime>
    var seats: [Seat]

    /// All scenes of a record, without gaps.
    static func all(of file: RoomFile, _ settings: MixSettings) -> [Scene] {
        let canvas = Tile(x: 0, y: 0, width: settings.width, height: settings.height)
        var moments = Set(file.participants.flatMap { $0.presence.flatMap { [$0.lowerBound, $0.upperBound] } })
        moments.formUnion([.zero, file.end])
        let times = moments.sorted()
        var scenes: [Scene] = []
        for (start, end) in zip(times, times.dropFirst()) {
            let present = file.participants.indices.filter { file.participants[$0].isPresent(at: start) }
            let seats = seats(for: present, in: file, on: canvas, settings)
            // Who is gone for a moment has a span of their own on each side: the picture stays as it is.
            if let last = scenes.last, last.seats == seats {
                scenes[scenes.count - 1].span = last.span.lowerBound..<end
            } else {
                scenes.append(Scene(span: start..<end, seats: seats))
            }
        }
        return scenes
    }

    private static func seats(for present: [Int], in file: RoomFile, on canvas: Tile, _ settings: MixSettings) -> [Seat] {
        let screens = present.filter { settings.isScreen(file.participants[$0].stream) && !file.participants[$0].pictures.isEmpty }
        // Screens are large whatever the layout of people is.
        let order = screens + present.filter { !screens.contains($0) }
        let layout: MixSettings.Layout = screens.isEmpty ? settings.layout : .desktop
        let tiles = TileLayout.tiles(
            order.count, on: canvas, layout: layout, aspect: aspect(of: order, in: file), screens: screens.count, align: settings.desktopAlign)
        return zip(order, tiles).map { Seat(participant: $0, tile: $1) }
    }

    /// The mean of their pictures'.
    private static func aspect(of participants: [Int], in file: RoomFile) -> Double {
        let shapes = participants.flatMap { file.participants[$0].pictures }.compactMap { track -> Double? in
            guard case .video(let video) = file.tracks[track].media, video.width > 0, video.height > 0 else { return nil }
            return Double(video.width) / Double(video.height)
        }
        return shapes.isEmpty ? 4.0 / 3 : shapes.reduce(0, +) / Double(shapes.count)
    }
}
