// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Workers

struct WireTests {
    @Test("what is written is read back")
    func roundTrip() throws {
        var writer = WireWriter()
        writer.write(Int64(-7))
        writer.write(UInt16(65_535))
        writer.write(true)
        writer.write("Käse")
        writer.write([1, 2, 3] as [UInt8])
        writer.append([9])
        var reader = WireReader(writer.bytes)
        #expect(try reader.integer(Int64.self) == -7)
        #expect(try reader.integer(UInt16.self) == 65_535)
        #expect(try reader.flag())
        #expect(try reader.string() == "Käse")
        #expect(try reader.array() == [1, 2, 3])
        #expect(Array(reader.rest()) == [9])
        #expect(reader.remaining == 0)
    }

    @Test("a length beyond the end is an error, at every cut", arguments: 0..<12)
    func truncated(count: Int) {
        var writer = WireWriter()
        writer.write("12345678")
        var reader = WireReader(Array(writer.bytes.prefix(count)))
        #expect(throws: WorkerError.self) { try reader.string() }
    }

    @Test("a frame's header names its kind, its job and the length of what follows")
    func header() throws {
        let frame = WorkerFrame(kind: .output, job: 0x0102_0304, payload: [1, 2, 3])
        #expect(frame.header.count == WorkerFrame.headerLength)
        let parsed = try WorkerFrame.parse(header: frame.header)
        #expect(parsed.kind == .output && parsed.job == 0x0102_0304 && parsed.payloadLength == 3)
    }

    @Test("a header of nonsense is refused", arguments: [
        [0, 0, 0, 5, 99, 0, 0, 0, 1], [0, 0, 0, 2, 1, 0, 0, 0, 1], [255, 255, 255, 255, 1, 0, 0, 0, 1], [],
    ] as [[UInt8]])
    func nonsense(bytes: [UInt8]) {
        #expect(throws: WorkerError.self) { try WorkerFrame.parse(header: bytes) }
    }
}
