// SPDX-License-Identifier: Apache-2.0
import Codecs
import Foundation
import Testing

@testable import Mixing

struct MixerTests {
    private var small: MixSettings {
        var settings = MixSettings()
        (settings.width, settings.height, settings.frameRate) = (640, 360, 15)
        settings.displaysNames = false
        settings.marksSpeaker = false
        return settings
    }

    private func tiles(_ count: Int, _ settings: MixSettings) -> [Tile] {
        TileLayout.tiles(count, on: Tile(x: 0, y: 0, width: settings.width, height: settings.height), layout: settings.layout, aspect: 4.0 / 3)
    }

    @Test("video that is larger than allowed is left out with a word, its audio is not; mixing that takes too long ends with one")
    func bounds() async throws {
        let scratch = try Scratch()
        let room = try makeRoom(
            [Guest(login: "alice", to: 2), Guest(login: "giant", to: 2, tone: 1000, size: (width: 640, height: 480))], in: scratch.path)
        var settings = small
        settings.maximumInputPixels = 320 * 240
        let report = try await Mixer(room, settings).mix(to: scratch.path + "/mixed.mp4")
        #expect(report.participants == ["alice", "giant"])
        #expect(report.warnings.count == 1 && report.warnings[0].contains("mixerMaxInputPixels"), "\(report.warnings)")
        var mixer = try Mixer(room, settings)
        mixer.timeLimit = .zero
        let slow = mixer
        let error = await #expect(throws: MixError.self) { try await slow.mix(to: scratch.path + "/late.mp4") }
        #expect("\(error as Any)".contains("mixerTimeLimitMinutes"))
        #expect(!FileManager.default.fileExists(atPath: scratch.path + "/late.mp4"))
    }

    @Test("people who come and go are seen and heard while they are there, in tiles as large as can be")
    func comingAndGoing() async throws {
        let scratch = try Scratch()
        let room = try makeRoom(
            [
                Guest(login: "alice", to: 8, colour: Guest.red, tone: 440), Guest(login: "bob", from: 2, to: 6, colour: Guest.green, tone: 1000),
                Guest(login: "carol", from: 4, to: 8, colour: Guest.blue, tone: 2500, codec: .vp8),
            ], in: scratch.path)
        let target = scratch.path + "/mixed.mp4"
        let report = try await Mixer(room, small).mix(to: target)
        #expect(report.participants == ["alice", "bob", "carol"] && report.warnings.isEmpty && report.thumbnail != nil)
        #expect(abs(report.summary.milliseconds - 8000) <= 100 && (report.summary.width, report.summary.height) == (640, 360))
        #expect(!FileManager.default.fileExists(atPath: target + ".part"))
        let seen = try Watched(target)
        #expect(abs(seen.frames.count - 120) <= 1)
        func shows(_ colours: [YUVColour], at time: Double) {
            for (tile, colour) in zip(tiles(colours.count, small), colours) {
                #expect(seen.colour(in: tile, at: time).isLike(colour), "\(time): \(seen.colour(in: tile, at: time)) instead of \(colour)")
            }
        }
        shows([Guest.red], at: 1)
        shows([Guest.red], at: 1.85)
        shows([Guest.red, Guest.green], at: 2.2)
        shows([Guest.red, Guest.green], at: 3.85)
        shows([Guest.red, Guest.green, Guest.blue], at: 4.3)
        shows([Guest.red, Guest.green, Guest.blue], at: 5.8)
        shows([Guest.red, Guest.blue], at: 6.2)
        for (tone, from, to) in [(Float(440), 0.2, 7.8), (1000, 2.2, 5.8), (2500, 4.2, 7.8)] {
            #expect(abs(seen.strength(of: tone, from: from, to: to) - 0.3) < 0.06)
            if from > 1 { #expect(seen.strength(of: tone, from: 0.1, to: from - 0.4) < 0.01) }
            if to < 7 { #expect(seen.strength(of: tone, from: to + 0.4, to: 7.8) < 0.01) }
        }
    }

    @Test("voices at full loudness together do not clip")
    func loud() async throws {
        let scratch = try Scratch()
        let room = try makeRoom((0..<4).map { Guest(login: "\($0)", to: 2, tone: Float(300 + $0 * 217), amplitude: 0.9) }, in: scratch.path)
        let target = scratch.path + "/mixed.mp4"
        _ = try await Mixer(room, small).mix(to: target)
        let peak = try Watched(target).sound.dropFirst(4800).map { abs($0) }.max() ?? 0
        // AAC adds a little of its own.
        #expect(peak > 0.7 && peak < 0.97, "\(peak)")
    }

    @Test("what two parts of a stream have in common is heard once")
    func overlap() async throws {
        let scratch = try Scratch()
        let room = try makeRoom(
            [Guest(login: "a", stream: "s", to: 3, tone: 440), Guest(login: "a", stream: "s", from: 1, to: 4, tone: 440),
             Guest(login: "b", to: 4, tone: 700)], in: scratch.path)
        let target = scratch.path + "/mixed.mp4"
        _ = try await Mixer(room, small).mix(to: target)
        let watched = try Watched(target)
        for tone in [440, 700] as [Float] {
            let alone = watched.strength(of: tone, from: 0.2, to: 0.8), both = watched.strength(of: tone, from: 1.2, to: 2.8)
            #expect(alone > 0.1 && abs(both / alone - 1) < 0.1, "\(tone): \(alone), \(both)")
        }
    }

    @Test("who speaks has a frame round the picture, who is quiet has none, and pictures are where they are without it")
    func speaker() async throws {
        let scratch = try Scratch()
        let room = try makeRoom(
            [Guest(login: "a", colour: Guest.red, amplitude: 0.3), Guest(login: "b", colour: Guest.green, amplitude: 0.0001)], in: scratch.path)
        var settings = small
        settings.marksSpeaker = true
        let target = scratch.path + "/mixed.mp4"
        _ = try await Mixer(room, settings).mix(to: target)
        let seen = try Watched(target)
        let edges = tiles(2, settings).map { tile -> YUVColour in
            let shown = tile.fitting(width: 160, height: 120)
            return seen.frame(at: 2)?.read { $0.meanColour(x: shown.x + shown.width / 2, y: shown.y + 1, width: 8, height: 2) } ?? .black
        }
        #expect(edges[0].isLike(Composer.mark) && edges[1].isLike(Guest.green), "\(edges)")
    }

    @Test("a screen is shown large whatever its place in the record, and people beside it")
    func screen() async throws {
        let scratch = try Scratch()
        let room = try makeRoom(
            [
                Guest(login: "a", colour: Guest.red),
                Guest(login: "a", stream: "room-a-screenShare-1", from: 1, colour: Guest.blue, tone: nil, size: (320, 180)),
            ], in: scratch.path)
        let target = scratch.path + "/mixed.mp4"
        _ = try await Mixer(room, small).mix(to: target)
        let seen = try Watched(target)
        let places = TileLayout.tiles(2, on: Tile(x: 0, y: 0, width: 640, height: 360), layout: .desktop, aspect: 1.5, screens: 1)
        #expect(seen.colour(in: places[0], at: 3).isLike(Guest.blue) && seen.colour(in: places[1], at: 3).isLike(Guest.red))
        #expect(seen.colour(in: Tile(x: 0, y: 0, width: 640, height: 360), at: 0.5).isLike(Guest.red))
    }

    @Test("somebody without a camera is a tile with a name; somebody without a microphone is seen")
    func halves() async throws {
        let scratch = try Scratch()
        let room = try makeRoom([Guest(login: "voice", colour: nil), Guest(login: "face", colour: Guest.green, tone: nil)], in: scratch.path)
        var settings = small
        settings.displaysNames = true
        let target = scratch.path + "/mixed.mp4"
        _ = try await Mixer(room, settings).mix(to: target)
        let seen = try Watched(target)
        let places = tiles(2, settings)
        #expect(seen.colour(in: Tile(x: places[0].x, y: places[0].y, width: places[0].width, height: 60), at: 2).isLike(Composer.emptyTile))
        #expect(seen.colour(in: places[1], at: 2).isLike(Guest.green))
        // The name in the middle is white.
        let tile = places[0]
        let letters = seen.frame(at: 2)?.read { view in
            (0..<100).map { view.meanLuma(x: tile.x + tile.width / 2 - 50 + $0, y: tile.y + tile.height / 2, width: 1, height: 2) }
        } ?? []
        #expect((letters.max() ?? 0) > 150)
    }

    @Test("pictures alone, or sound alone, where the settings say so")
    func parts() async throws {
        let scratch = try Scratch()
        let room = try makeRoom([Guest(login: "a", to: 2)], in: scratch.path)
        var settings = small
        settings.hasAudio = false
        let silent = try await Mixer(room, settings).mix(to: scratch.path + "/silent.mp4")
        #expect(silent.summary.videoCodec == "h264" && silent.summary.audioCodec == nil)
        settings = small
        settings.hasVideo = false
        let blind = try await Mixer(room, settings).mix(to: scratch.path + "/blind.mp4")
        #expect(blind.summary.videoCodec == nil && blind.summary.audioCodec == "aac" && abs(blind.summary.milliseconds - 2000) < 100)
        settings.hasAudio = false
        #expect(throws: MixError.self) { try Mixer(room, settings) }
    }

    @Test("a record that is cut off is mixed up to there, and says so")
    func truncated() async throws {
        let scratch = try Scratch()
        let room = try makeRoom([Guest(login: "a", to: 8), Guest(login: "b", to: 8)], in: scratch.path)
        let data = try Data(contentsOf: URL(fileURLWithPath: room))
        let cut = scratch.path + "/cut.mkv"
        try data.prefix(data.count * 6 / 10).write(to: URL(fileURLWithPath: cut))
        let report = try await Mixer(cut, small).mix(to: scratch.path + "/mixed.mp4")
        #expect((3000...6500).contains(report.summary.milliseconds), "\(report.summary.milliseconds)")
        #expect(try Watched(scratch.path + "/mixed.mp4").frames.count > 40)
    }

    @Test("damage in the middle costs a picture or two, not the record")
    func damaged() async throws {
        let scratch = try Scratch()
        let room = try makeRoom([Guest(login: "a", to: 6), Guest(login: "b", to: 6, colour: Guest.green)], in: scratch.path)
        var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: room)))
        for place in stride(from: bytes.count / 3, to: bytes.count / 2, by: 97) { bytes[place] ^= 0x5a }
        let broken = scratch.path + "/broken.mkv"
        try Data(bytes).write(to: URL(fileURLWithPath: broken))
        let report = try await Mixer(broken, small).mix(to: scratch.path + "/mixed.mp4")
        #expect(report.summary.milliseconds > 1500)
    }

    @Test("files that are none are refused with the code for it", arguments: ["missing", "empty", "text", "folder", "header"])
    func noFile(kind: String) async throws {
        let scratch = try Scratch()
        let path = scratch.path + "/x.mkv"
        switch kind {
        case "empty": try Data().write(to: URL(fileURLWithPath: path))
        case "text": try Data(repeating: 65, count: 5000).write(to: URL(fileURLWithPath: path))
        case "folder": try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        case "header":
            let room = try makeRoom([Guest(login: "a", to: 1)], in: scratch.path)
            try Data(contentsOf: URL(fileURLWithPath: room)).prefix(300).write(to: URL(fileURLWithPath: path))
        default: break
        }
        do throws(MixError) {
            _ = try Mixer(path, small)
            Issue.record("taken")
        } catch {
            #expect(error.exitCode == 64 && "\(error)".contains("x.mkv"))
        }
    }

    @Test("a result that can't be written is said, with the code for it")
    func nowhere() async throws {
        let scratch = try Scratch()
        let room = try makeRoom([Guest(login: "a", to: 1)], in: scratch.path)
        do {
            _ = try await Mixer(room, small).mix(to: "/nowhere/x.mp4")
            Issue.record("written")
        } catch let error as MixError {
            #expect(error.exitCode == 73, "\(error)")
        }
    }

    @Test("a stream that went on in a second part is one person")
    func parted() throws {
        let scratch = try Scratch()
        let room = try makeRoom(
            [Guest(login: "a", stream: "s", to: 2), Guest(login: "a", stream: "s", from: 2.5, to: 4), Guest(login: "a", stream: "t", from: 1, to: 2)],
            in: scratch.path)
        let file = try RoomFile(room)
        #expect(file.participants.map(\.stream) == ["s", "t"])
        #expect(file.participants[0].pictures.count == 2 && file.participants[0].presence.count == 1)
    }
}
