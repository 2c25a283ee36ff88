// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing
@testable import RTMP

struct ChunkTests {
    private static func message(_ type: UInt8, _ timestamp: UInt32, _ count: Int, stream: UInt32 = 1) -> RTMPMessage {
        RTMPMessage(type: type, streamID: stream, timestamp: timestamp, payload: (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ count) })
    }

    @Test("the two examples of the specification, byte for byte as §5.3.2 lays them out")
    func specification() throws {
        // Example 1: four audio messages of 32 bytes, 20 ms apart: headers of type 0, 2, 3, 3.
        var writer = ChunkWriter()
        var bytes: [UInt8] = []
        var sizes: [Int] = []
        for time in [1000, 1020, 1040, 1060] as [UInt32] {
            let before = bytes.count
            writer.append(Self.message(8, time, 32, stream: 12345), to: &bytes)
            sizes.append(bytes.count - before)
        }
        #expect(sizes == [44, 36, 33, 33])
        #expect(Array(bytes[..<12]) == [4, 0, 3, 0xe8, 0, 0, 32, 8, 0x39, 0x30, 0, 0])
        // Example 2: a video message of 307 bytes in chunks of 128.
        writer = ChunkWriter()
        bytes = []
        writer.append(Self.message(9, 1000, 307, stream: 12346), to: &bytes)
        #expect(bytes.count == 140 + 129 + 52)
        #expect(bytes[140] == 0xc6 && bytes[269] == 0xc6)
    }

    @Test("any messages survive the way through chunks of any size, cut at random places", arguments: 1...20 as ClosedRange<UInt64>)
    func roundTrip(seed: UInt64) throws {
        var random = RandomSource.seeded(seed)
        var writer = ChunkWriter()
        var reader = ChunkReader(limits: RTMPLimits())
        var bytes: [UInt8] = []
        var sent: [RTMPMessage] = []
        var times: [UInt8: UInt32] = [8: 0xffff_ff00, 9: 0, 18: 0xff_fff0]
        for _ in 0..<200 {
            if Int.random(in: 0..<20, using: &random) == 0 {
                let size = Int.random(in: 1...5000, using: &random)
                writer.append(RTMPMessage(type: 1, payload: withUnsafeBytes(of: UInt32(size).bigEndian) { Array($0) }), to: &bytes)
                writer.setChunkSize(size)
            }
            let type: UInt8 = [8, 9, 18, 9, 8][Int.random(in: 0..<5, using: &random)]
            // Sometimes far apart, so that times are extended; sometimes back.
            let step = [20, 20, 20, 0, 0x100_0000, 0xffff_ffff][Int.random(in: 0..<6, using: &random)] as UInt32
            let time = times[type, default: 0] &+ step
            times[type] = time
            let message = Self.message(type, time, [32, 32, 0, 1, 127, 128, 129, 4000][Int.random(in: 0..<8, using: &random)])
            sent.append(message)
            writer.append(message, to: &bytes)
        }
        #expect(try reader.receive(bytes, random: &random) == sent)
        #expect(reader.incompleteBytes == 0)
    }

    // RTMP 1.0 §5.4.1: sizes above the longest message are all the same.
    @Test("a chunk size of all bits but the first is taken, zero and one with the first bit aren't", arguments: [(0x7fff_ffff, true), (0, false), (0x8000_0000, false)] as [(UInt32, Bool)])
    func largestSize(size: UInt32, isTaken: Bool) throws {
        var reader = ChunkReader(limits: RTMPLimits()), writer = ChunkWriter(), bytes: [UInt8] = [], random = RandomSource.seeded(1)
        writer.append(RTMPMessage(type: 1, payload: withUnsafeBytes(of: size.bigEndian) { Array($0) }), to: &bytes)
        writer.setChunkSize(1 << 20)
        let message = Self.message(9, 40, 100_000)
        writer.append(message, to: &bytes)
        if isTaken {
            #expect(try reader.receive(bytes, random: &random) == [message])
        } else {
            #expect(throws: RTMPError.self) { try reader.receive(bytes, random: &random) }
        }
    }

    @Test("chunks of several streams may be interleaved")
    func interleaved() throws {
        var reader = ChunkReader(limits: RTMPLimits())
        let audio: [UInt8] = [0x04, 0, 0, 10, 0, 0, 130, 8, 1, 0, 0, 0] + [UInt8](repeating: 1, count: 128)
        let video: [UInt8] = [0x06, 0, 0, 20, 0, 0, 2, 9, 1, 0, 0, 0, 9, 9]
        #expect(try reader.receive(audio + video) == [RTMPMessage(type: 9, streamID: 1, timestamp: 20, payload: [9, 9])])
        #expect(reader.incompleteBytes == 128)
        let rest = try reader.receive([0xc4, 2, 3])
        #expect(rest.count == 1 && rest.first?.payload.count == 130 && rest.first?.timestamp == 10)
        #expect(reader.incompleteBytes == 0)
    }

    @Test("chunk stream ids of two and three bytes")
    func longIDs() throws {
        var reader = ChunkReader(limits: RTMPLimits())
        let header: [UInt8] = [0, 0, 5, 0, 0, 1, 8, 1, 0, 0, 0, 7]
        #expect(try reader.receive([0x00, 10] + header).first?.payload == [7])
        #expect(try reader.receive([0x01, 0, 1] + header).first?.payload == [7])
        #expect(try reader.receive([0xc0, 10, 8]).first?.payload == [8])
    }

    @Test("an extended time that later chunks leave out is told from payload")
    func missingExtendedTime() throws {
        let head: [UInt8] = [0x06, 0xff, 0xff, 0xff, 0, 0, 130, 9, 1, 0, 0, 0, 1, 0, 0, 0]
        var repeating = ChunkReader(limits: RTMPLimits())
        let repeated = try repeating.receive(head + [UInt8](repeating: 3, count: 128) + [0xc6, 1, 0, 0, 0, 4, 5])
        #expect(repeated.first?.timestamp == 0x100_0000 && repeated.first?.payload.suffix(2) == [4, 5])
        // Without it, as some encoders do, in a message whose last chunk has four bytes and more.
        var reader = ChunkReader(limits: RTMPLimits())
        let long: [UInt8] = [0x06, 0xff, 0xff, 0xff, 0, 0, 134, 9, 1, 0, 0, 0, 1, 0, 0, 0]
        let messages = try reader.receive(long + [UInt8](repeating: 3, count: 128) + [0xc6, 9, 8, 7, 6, 5, 4])
        #expect(messages.first?.payload.suffix(6) == [9, 8, 7, 6, 5, 4])
    }

    @Test("Abort drops the part of a message")
    func abort() throws {
        var reader = ChunkReader(limits: RTMPLimits())
        _ = try reader.receive([0x04, 0, 0, 10, 0, 1, 0, 8, 1, 0, 0, 0] + [UInt8](repeating: 1, count: 128))
        _ = try reader.receive([0x02, 0, 0, 0, 0, 0, 4, 2, 0, 0, 0, 0, 0, 0, 0, 4])
        #expect(reader.incompleteBytes == 0)
        #expect(try reader.receive([0x04, 0, 0, 20, 0, 0, 1, 8, 1, 0, 0, 0, 5]).first?.payload == [5])
    }

    @Test("an Abort that names no chunk stream is handed on and drops nothing")
    func shortAbort() throws {
        var reader = ChunkReader(limits: RTMPLimits())
        _ = try reader.receive([0x04, 0, 0, 10, 0, 0, 130, 8, 1, 0, 0, 0] + [UInt8](repeating: 1, count: 128))
        #expect(try reader.receive([0x02, 0, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 0, 4]) == [RTMPMessage(type: 2, payload: [0, 4])])
        #expect(reader.incompleteBytes == 128)
        #expect(try reader.receive([0xc4, 2, 3]).first?.payload.count == 130)
    }

    @Test("everything that could grow has a bound")
    func bounds() {
        var limits = RTMPLimits()
        limits.maximumMediaMessage = 1000
        limits.maximumCommandMessage = 100
        limits.maximumChunkStreams = 3
        limits.maximumIncomplete = 200
        func refused(_ bytes: [UInt8]) -> Bool {
            var reader = ChunkReader(limits: limits)
            do { _ = try reader.receive(bytes) } catch { return true }
            return false
        }
        #expect(refused([0x06, 0, 0, 0, 0, 3, 0xe9, 9, 1, 0, 0, 0]))  // a video message of 1001 bytes
        #expect(refused([0x03, 0, 0, 0, 0, 0, 101, 20, 0, 0, 0, 0]))
        #expect(!refused([0x03, 0, 0, 0, 0, 0, 100, 20, 0, 0, 0, 0]))
        #expect(refused((3...6).flatMap { [UInt8($0), 0, 0, 0, 0, 0, 0, 8, 1, 0, 0, 0] }))
        #expect(refused((3...5).flatMap { [UInt8($0), 0, 0, 0, 0, 1, 0, 8, 1, 0, 0, 0] + [UInt8](repeating: 1, count: 128) }))
        #expect(refused([0x02, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0]))  // chunks of no bytes
        #expect(refused([0xc5]))  // a stream that begins with type 3
    }
}
