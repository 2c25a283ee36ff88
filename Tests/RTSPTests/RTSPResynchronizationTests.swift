// SPDX-License-Identifier: Apache-2.0
import Primitives
import RTSP
import Testing

/// What cameras leave between their packets, and what is made of it at the end that fetches.
struct RTSPResynchronizationTests {
    private func packet(_ channel: UInt8, _ number: UInt8) -> [UInt8] {
        RTSPInterleaved.header(channel: channel, length: 14) + [0x80, 96, 0, number] + [UInt8](repeating: number, count: 10)
    }

    private func read(_ bytes: [UInt8], chunk: Int, channels: Set<UInt8> = [0, 1]) throws -> (items: [RTSPParser.Item], stray: Int) {
        var parser = RTSPParser(.client), items: [RTSPParser.Item] = []
        parser.channels = channels
        for start in stride(from: 0, to: bytes.count, by: chunk) {
            parser.append(bytes[start..<min(bytes.count, start + chunk)])
            while let item = try parser.next() { items.append(item) }
        }
        return (items, parser.strayBytes)
    }

    @Test("stray bytes between packets cost nothing but themselves, however they are cut", arguments: [1, 3, 1000])
    func garbage(chunk: Int) throws {
        let stray: [[UInt8]] = [[1, 2, 3, 0xff], Array("RTSP-like $tuff".utf8), [0x24, 9, 0xff, 0xff, 0], [0x24], Array("GET".utf8), [0, 0, 0]]
        var bytes: [UInt8] = []
        for (index, rubbish) in stray.enumerated() { bytes += packet(0, UInt8(index)) + rubbish }
        bytes += RTSPResponse(200, headers: ["CSeq": "9"]).bytes + packet(1, 99)
        let (items, count) = try read(bytes, chunk: chunk)
        let numbers = items.compactMap { item -> UInt8? in if case .packet(_, let bytes) = item { bytes[3] } else { nil } }
        #expect(numbers == [0, 1, 2, 3, 4, 5, 99])
        #expect(items.count == 8 && count == stray.map(\.count).reduce(0, +))
    }

    @Test("a packet that lost some of its bytes costs the one behind it, not the connection")
    func cut() throws {
        let short = RTSPInterleaved.header(channel: 0, length: 40) + [0x80, 96, 0, 7] + [UInt8](repeating: 7, count: 20)
        let (items, _) = try read(packet(0, 1) + short + packet(0, 2) + packet(0, 3) + packet(0, 4), chunk: 1000)
        guard case .packet(_, let last)? = items.last else { Issue.record("\(items)"); return }
        #expect(last[3] == 4 && items.count >= 4)
    }

    @Test("packets of channels that nobody agreed on keep the others in step")
    func otherChannels() throws {
        let other = RTSPInterleaved.header(channel: 4, length: 300) + [UInt8](repeating: 0x24, count: 300)
        let (items, count) = try read(packet(0, 1) + other + packet(0, 2), chunk: 50)
        #expect(items.count == 3 && count == 0)
    }

    @Test("an answer that can't be read is passed over once the camera has been understood")
    func brokenAnswer() throws {
        let (items, _) = try read(packet(0, 1) + Array("RTSP/1.0 abc\r\nCSeq: 3\r\n\r\n".utf8) + packet(0, 2), chunk: 1000)
        #expect(items.count == 2)
    }

    @Test("what never speaks RTSP is given up soon, and what ceases to, in the end", arguments: [(0, 513), (1, 65_537)])
    func bounds(before: Int, length: Int) throws {
        let start = (0..<before).flatMap { _ in packet(0, 1) }
        #expect(try read(start + [UInt8](repeating: 122, count: length - 1), chunk: 4096).items.count == before)
        #expect(throws: RTSPError.self) { _ = try read(start + [UInt8](repeating: 122, count: length), chunk: 4096) }
        #expect(throws: RTSPError.self) { _ = try read(Array("HTTP/1.1 400 Bad Request".utf8) + [UInt8](repeating: 122, count: 20_000), chunk: 4096) }
    }

    /// Reads all there is; false after an error.
    private func reads(_ parser: inout RTSPParser) -> Bool {
        while true {
            guard let item = try? parser.next() else { break }
            _ = item
        }
        return parser.waiting <= RTSPParser.maximumHead + RTSPParser.maximumBody + 65_540
    }

    @Test("random bytes never trap, and memory stays bounded")
    func noise() {
        var random = RandomSource.seeded(5)
        for round in 0..<200 {
            var parser = RTSPParser(.client)
            parser.channels = round % 2 == 0 ? [] : [0, 1]
            for _ in 0..<50 {
                let bytes = (0..<200).map { _ in UInt8.random(in: 0...255, using: &random) }
                parser.append(round % 3 == 0 ? Array("RTSP/1.0 200 OK\r\n".utf8) + bytes : bytes + packet(0, 1))
                #expect(reads(&parser))
            }
        }
    }
}
