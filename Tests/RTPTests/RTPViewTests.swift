// SPDX-License-Identifier: Apache-2.0
import Primitives
import RTP
import Testing

@Suite struct RTPViewTests {
    /// V=2, P, X, CC=1, marker, PT 96; one-byte extension with ids 1 and 3; payload 01 02 03; two bytes of padding.
    static let full = [UInt8](hex: """
        b1 e0 12 34 00 00 03 e8 de ad be ef 00 00 00 07
        be de 00 02  10 aa 00 32 01 02 03 00
        01 02 03 00 02
        """)

    @Test("all parts of a packet with CSRC, extension and padding are found")
    func parses() throws {
        try Self.full.view { bytes in
            let view = try #require(RTPView(bytes))
            #expect(view.payloadType == 96)
            #expect(view.marker)
            #expect(view.sequenceNumber == 0x1234)
            #expect(view.timestamp == 1000)
            #expect(view.ssrc == 0xdead_beef)
            #expect(view.csrcCount == 1)
            #expect(view.csrc(0) == 7)
            #expect(view.headerLength == 28)
            #expect(view.paddingLength == 2)
            #expect(Array(view.payload) == [1, 2, 3])
            #expect(view.extensionElement(id: 1).map { Array($0) } == [0xaa])
            #expect(view.extensionElement(id: 3).map { Array($0) } == [1, 2, 3])
            #expect(view.extensionElement(id: 2) == nil)
            var ids: [UInt8] = []
            view.forEachExtension { id, _ in ids.append(id) }
            #expect(ids == [1, 3])
        }
    }

    @Test("two-byte elements are read, empty ones too")
    func twoByteForm() throws {
        let packet = [UInt8](hex: "90 60 0001 00000001 00000001 1000 0002  10 00 21 03 0a0b0c 00  ff")
        try packet.view { bytes in
            let view = try #require(RTPView(bytes))
            #expect(view.extensionElement(id: 16)?.count == 0)
            #expect(view.extensionElement(id: 33).map { Array($0) } == [10, 11, 12])
            #expect(Array(view.payload) == [0xff])
        }
    }

    @Test("in the one-byte form id 15 ends the list, and an unknown profile has no elements")
    func reservedID() {
        let stopped = [UInt8](hex: "90 60 0001 00000001 00000001 bede 0001  f0 00 10 aa")
        stopped.view { #expect(RTPView($0).map { $0.extensionElement(id: 1) == nil } == true) }
        let foreign = [UInt8](hex: "90 60 0001 00000001 00000001 abcd 0001  10 aa 00 00")
        foreign.view { #expect(RTPView($0).map { $0.extensionElement(id: 1) == nil } == true) }
    }

    @Test("packets whose lengths lead beyond their end are refused", arguments: [
        "", "80 60 0001 00000001 000000",  // shorter than a header
        "40 60 0001 00000001 00000001",  // version 1
        "82 60 0001 00000001 00000001 00000001",  // two CSRCs said, one there
        "90 60 0001 00000001 00000001",  // extension said, not there
        "90 60 0001 00000001 00000001 bede 0002 10aa0000",  // extension longer than the packet
        "a0 60 0001 00000001 00000001 00",  // padding of nothing
        "a0 60 0001 00000001 00000001 05",  // padding longer than the payload
        "a0 60 0001 00000001 00000001",  // padding without payload
    ])
    func malformed(hex: String) {
        #expect([UInt8](hex: hex).view { RTPView($0) == nil })
    }

    @Test("an element that overruns its extension is not given out")
    func overrunningElement() {
        let packet = [UInt8](hex: "90 60 0001 00000001 00000001 bede 0001  1f aa bb cc  01 02 03 04 05 06 07 08 09 10 11 12 13")
        packet.view { #expect(RTPView($0).map { $0.extensionElement(id: 1) == nil } == true) }
    }

    @Test("whatever arrives, nothing is read beyond the packet", arguments: 1...8 as ClosedRange<UInt64>)
    func randomBytes(seed: UInt64) {
        var random = RandomSource.seeded(seed)
        for _ in 0..<4000 {
            var packet = random.bytes(Int.random(in: 0...60, using: &random))
            if !packet.isEmpty { packet[0] = packet[0] & 0x3f | 0x80 }
            if packet.count > 16, Bool.random(using: &random) { packet.replaceSubrange(12..<16, with: [0xbe, 0xde, 0, 3]) }
            packet.view { bytes in
                guard let view = RTPView(bytes) else { return }
                #expect(view.headerLength + view.payload.count + view.paddingLength == bytes.count)
                view.forEachExtension { _, data in
                    guard let start = data.baseAddress, let base = bytes.baseAddress else { return }
                    #expect(start >= base && start + data.count <= base + view.headerLength)
                }
            }
        }
    }
}
