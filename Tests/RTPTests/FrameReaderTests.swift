// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RTP

@Suite("FrameReader") struct FrameReaderTests {
    private static func framed(_ packets: [[UInt8]]) -> [UInt8] {
        packets.flatMap { [UInt8($0.count >> 8), UInt8($0.count & 255)] + $0 }
    }

    private static func read(_ bytes: [UInt8], in pieces: Int, with reader: inout FrameReader) throws -> [[UInt8]] {
        var found: [[UInt8]] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            var piece = Array(rest.prefix(pieces))
            rest = rest.dropFirst(pieces)
            try piece.withUnsafeMutableBytes { raw in
                try reader.receive(raw) { found.append(Array($0)); return true }
            }
        }
        return found
    }

    @Test("packets come out as they went in, however TCP has cut them", arguments: [1, 2, 3, 7, 100, 5000])
    func reassembles(pieces: Int) throws {
        let packets = (0..<40).map { [UInt8](repeating: UInt8($0), count: 1 + $0 * 37) }
        var reader = FrameReader()
        #expect(try Self.read(Self.framed(packets), in: pieces, with: &reader) == packets)
        #expect(reader.pendingBytes == 0)
    }

    @Test("empty packets are left out")
    func leavesEmptyOut() throws {
        for pieces in [1, 2, 64] {
            var reader = FrameReader()
            #expect(try Self.read([0, 0, 0, 1, 9, 0, 0], in: pieces, with: &reader) == [[9]])
            #expect(reader.pendingBytes == 0)
        }
    }

    @Test("a length beyond the bound is refused before anything is kept", arguments: [1, 2, 1000])
    func refuses(pieces: Int) {
        var reader = FrameReader(maximumLength: 1500)
        #expect(throws: FrameReader.TooLong(length: 1501)) {
            try Self.read([0x05, 0xdd] + [UInt8](repeating: 0, count: 1501), in: pieces, with: &reader)
        }
        #expect(reader.pendingBytes <= 2)
    }

    @Test("never keeps more than one packet")
    func isBounded() throws {
        var reader = FrameReader(maximumLength: 1500)
        let packets = [[UInt8]](repeating: [UInt8](repeating: 1, count: 1500), count: 20)
        for piece in stride(from: 0, to: 20 * 1502, by: 400) {
            var bytes = Array(Self.framed(packets)[piece..<min(piece + 400, 20 * 1502)])
            try bytes.withUnsafeMutableBytes { raw in try reader.receive(raw) { _ in true } }
            #expect(reader.pendingBytes <= 1502)
        }
    }

    @Test("stops where its owner wants it to")
    func stops() throws {
        var reader = FrameReader()
        var seen = 0
        var bytes = Self.framed([[1], [2], [3]])
        try bytes.withUnsafeMutableBytes { raw in
            try reader.receive(raw) { _ in
                seen += 1
                return seen < 2
            }
        }
        #expect(seen == 2)
    }
}
