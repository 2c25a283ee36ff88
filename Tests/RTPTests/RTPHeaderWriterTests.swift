// SPDX-License-Identifier: Apache-2.0
import Primitives
import RTP
import Testing

@Suite struct RTPHeaderWriterTests {
    private func write(capacity: Int = 600, _ body: (inout RTPHeaderWriter) -> Void) -> (bytes: [UInt8], isTruncated: Bool) {
        var memory = [UInt8](repeating: 0xee, count: capacity)
        let (length, truncated) = memory.withUnsafeMutableBytes { bytes in
            var writer = RTPHeaderWriter(into: bytes)
            body(&writer)
            return (writer.length, writer.isTruncated)
        }
        return (Array(memory[..<length]), truncated)
    }

    @Test("the fixed header is laid out as the RFC draws it")
    func fixed() {
        let (bytes, _) = write {
            $0.writeFixed(marker: true, payloadType: 111, sequenceNumber: 0x1234, timestamp: 0xa1b2_c3d4, ssrc: 0x0102_0304)
        }
        #expect(bytes == [UInt8](hex: "80 ef 1234 a1b2c3d4 01020304"))
    }

    @Test("small elements take the one-byte form, padded to a word")
    func oneByte() {
        let (bytes, _) = write { writer in
            writer.writeFixed(marker: false, payloadType: 96, sequenceNumber: 1, timestamp: 2, ssrc: 3)
            writer.beginExtensions()
            [UInt8]([0x30]).view { writer.addExtension(id: 4, bytes: $0) }
            [UInt8]([7, 8]).view { writer.addExtension(id: 5, bytes: $0) }
            writer.endExtensions()
        }
        #expect(bytes == [UInt8](hex: "90 60 0001 00000002 00000003 bede 0002 40 30 51 07 08 00 00 00"))
    }

    @Test("an extension without elements is not written")
    func empty() {
        let (bytes, _) = write { writer in
            writer.writeFixed(marker: false, payloadType: 96, sequenceNumber: 1, timestamp: 2, ssrc: 3)
            writer.beginExtensions()
            writer.endExtensions()
        }
        #expect(bytes == [UInt8](hex: "80 60 0001 00000002 00000003"))
    }

    @Test("whatever elements are written, the same come out, in either form", arguments: 1...20 as ClosedRange<UInt64>)
    func roundTrip(seed: UInt64) throws {
        var random = RandomSource.seeded(seed)
        for _ in 0..<50 {
            let big = Bool.random(using: &random)
            let elements = (0..<Int.random(in: 1...6, using: &random)).map { _ in
                (id: UInt8.random(in: 1...(big ? 255 : 14), using: &random),
                 data: random.bytes(Int.random(in: (big ? 0 : 1)...(big ? 40 : 16), using: &random)))
            }
            let (bytes, truncated) = write { writer in
                writer.writeFixed(marker: false, payloadType: 96, sequenceNumber: 1, timestamp: 2, ssrc: 3)
                writer.beginExtensions()
                for element in elements { element.data.view { writer.addExtension(id: element.id, bytes: $0) } }
                writer.endExtensions()
            }
            #expect(!truncated)
            #expect(bytes.count % 4 == 0)
            try (bytes + [9]).view { packet in
                let view = try #require(RTPView(packet))
                var found: [(id: UInt8, data: [UInt8])] = []
                view.forEachExtension { found.append(($0, Array($1))) }
                #expect(found.map(\.id) == elements.map(\.id))
                #expect(found.map(\.data) == elements.map(\.data))
                #expect(Array(view.payload) == [9])
            }
        }
    }

    @Test("a buffer that is too small is never overrun and the writer says so", arguments: 0..<40)
    func truncated(capacity: Int) {
        let (bytes, truncated) = write(capacity: capacity) { writer in
            writer.writeFixed(marker: false, payloadType: 96, sequenceNumber: 1, timestamp: 2, ssrc: 3)
            writer.beginExtensions()
            [UInt8](repeating: 1, count: 16).view { writer.addExtension(id: 1, bytes: $0) }
            [UInt8](repeating: 2, count: 4).view { writer.addExtension(id: 200, bytes: $0) }
            writer.endExtensions()
        }
        #expect(truncated)
        #expect(bytes.count <= capacity)
    }
}
