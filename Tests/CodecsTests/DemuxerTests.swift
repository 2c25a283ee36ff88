// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import Codecs

@Suite("Demuxer")
struct DemuxerTests {
    /// A mono G.711 µ-law WAV file of `milliseconds` of silence, written by hand.
    private func makeWAV(milliseconds: Int) throws -> String {
        let data = [UInt8](repeating: 0xff, count: 8 * milliseconds)
        func little(_ value: Int, _ count: Int) -> [UInt8] { (0..<count).map { UInt8(value >> (8 * $0) & 0xff) } }
        var file = Array("RIFF".utf8) + little(38 + data.count, 4) + Array("WAVEfmt ".utf8) + little(18, 4)
        file += little(7, 2) + little(1, 2) + little(8000, 4) + little(8000, 4) + little(1, 2) + little(8, 2) + little(0, 2)
        file += Array("data".utf8) + little(data.count, 4) + data
        let path = FileManager.default.temporaryDirectory.appending(path: "martlet-\(UUID().uuidString).wav").path
        try Data(file).write(to: URL(filePath: path))
        return path
    }

    @Test("a file is read to its end, with times that grow")
    func reads() throws {
        let path = try makeWAV(milliseconds: 1000)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let demuxer = try Demuxer(path: path)
        guard case .audio(let track)? = demuxer.tracks.first else { throw CodecError.invalid("no audio track") }
        #expect(track.codec == .pcmu && track.sampleRate == 8000 && track.channels == 1)
        var bytes = 0, last = Int64(-1)
        while let packet = try demuxer.next() {
            bytes += packet.packet.bytes.count
            #expect(packet.packet.timestamp > last)
            last = packet.packet.timestamp
        }
        #expect(bytes == 8000)
    }

    @Test("a looping file goes on where it ended")
    func loops() throws {
        let path = try makeWAV(milliseconds: 500)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let demuxer = try Demuxer(path: path, loops: true)
        var end: Int64 = 0
        while demuxer.rounds < 3 {
            let packet = try #require(try demuxer.next()).packet
            #expect(abs(packet.timestamp - end) <= 1)
            end = packet.timestamp + packet.duration
        }
        #expect(end > 1_500_000)
    }

    @Test("a file that is missing or holds nothing is refused by name")
    func refuses() throws {
        do {
            _ = try Demuxer(path: "/nonexistent/film.mp4")
            Issue.record("a missing file was opened")
        } catch {
            #expect(error.description.contains("/nonexistent/film.mp4"))
        }
        let path = FileManager.default.temporaryDirectory.appending(path: "martlet-\(UUID().uuidString).mp4").path
        try Data("this is no film".utf8).write(to: URL(filePath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        #expect(throws: CodecError.self) { try Demuxer(path: path) }
    }
}
