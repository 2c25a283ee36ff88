// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RTP

@Suite struct ParameterSetStoreTests {
    /// Baseline SPS 0 of 426x240 (x264) and its PPS; the same of 1920x1080 High.
    static let sps: [UInt8] = [0x67, 0x42, 0xc0, 0x0d, 0xd9, 0x01, 0xb1, 0xfe, 0x4f]
    static let otherSPS: [UInt8] = [0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78]
    static let pps: [UInt8] = [0x68, 0xcb, 0x83, 0xcb, 0x20]
    /// Picture set 1, of sequence 0: ue(1) ue(0) = 010 1.
    static let secondPPS: [UInt8] = [0x68, 0x5a, 0x80]

    static func stapA(_ units: [UInt8]...) -> [UInt8] {
        var bytes: [UInt8] = [0x78]
        for unit in units { bytes += [UInt8(unit.count >> 8), UInt8(unit.count & 0xff)] + unit }
        return bytes
    }

    private func store(_ codec: CodecKind = .h264) throws -> ParameterSetStore { try #require(ParameterSetStore(codec: codec)) }
    private func take(_ payload: [UInt8], _ store: inout ParameterSetStore) -> Bool { payload.withUnsafeBytes { store.take($0) } }

    @Test("sets of a description make a packet, and those in band replace them by their numbers")
    func replaces() throws {
        var store = try store()
        store.describe([Self.sps, Self.pps, [0x65, 1, 2]])
        #expect(store.payload == Self.stapA(Self.sps, Self.pps))
        let first = take(Self.stapA(Self.otherSPS), &store), again = take(Self.otherSPS, &store)
        #expect(first && !again)
        #expect(store.payload == Self.stapA(Self.otherSPS, Self.pps) && store.sequenceSet == Self.otherSPS)
        let second = take(Self.secondPPS, &store)
        #expect(second && store.units == [Self.otherSPS, Self.secondPPS, Self.pps])
    }

    @Test("there is no packet before a set of each kind has come")
    func isIncomplete() throws {
        var store = try store()
        #expect(!store.isComplete)
        _ = take(Self.sps, &store)
        #expect(!store.isComplete)
        _ = take(Self.pps, &store)
        #expect(store.isComplete)
    }

    @Test("sets of another number in band leave nothing of the description's sequence")
    func dropsDescribed() throws {
        var store = try store()
        store.describe([Self.sps, Self.pps])
        // Number 1: profile, constraints and level, then 010.
        let numbered: [UInt8] = [0x67, 0x42, 0xc0, 0x0d, 0x59, 0x01, 0xb1]
        // Picture set 0 of sequence 1: 1 010.
        let itsPicture: [UInt8] = [0x68, 0xa8, 0x80]
        _ = take(numbered, &store)
        #expect(!store.isComplete, "the picture set belongs to a sequence that is no more")
        _ = take(itsPicture, &store)
        #expect(store.payload == Self.stapA(numbered, itsPicture))
    }

    @Test("H.265 needs all three kinds, whatever their sub-layers")
    func h265() throws {
        var store = try store(.h265)
        let vps: [UInt8] = [0x40, 0x01, 0x0c, 0x01, 0xff, 0xff]
        // Two sub-layers (max_sub_layers_minus1 = 1) of which the lower has a level of its own, then number 0.
        var sps: [UInt8] = [0x42, 0x01, 0x03]
        sps += [UInt8](repeating: 0, count: 12)
        sps += [0x40, 0x00, 0x5d, 0xa0, 0x80]
        let pps: [UInt8] = [0x44, 0x01, 0xc1, 0x72]
        store.describe([vps, sps])
        #expect(!store.isComplete)
        _ = take(pps, &store)
        var expected: [UInt8] = [0x60, 1]
        for unit in [vps, sps, pps] { expected += [0, UInt8(unit.count)] + unit }
        #expect(store.payload == expected)
    }

    @Test("what doesn't fit a packet, and more than there is room for, is refused and counted")
    func bounds() throws {
        var store = try store()
        _ = take([0x68, 0xcb] + [UInt8](repeating: 1, count: 1400), &store)
        #expect(store.refused == 1 && store.units.isEmpty)
        for number in 0..<200 {
            // ue(number) by hand: leading zeros, then number + 1.
            let code = number + 1, bits = String(code, radix: 2)
            let text = String(repeating: "0", count: bits.count - 1) + bits + "1" + "1"
            let padded = text + String(repeating: "0", count: (8 - text.count % 8) % 8)
            let bytes = stride(from: 0, to: padded.count, by: 8).map { UInt8(padded.dropFirst($0).prefix(8), radix: 2) ?? 0 }
            _ = take([0x68] + bytes, &store)
        }
        #expect(store.refused > 100)
    }

    @Test("any bytes are taken or left, without a trap", arguments: 1...8)
    func anything(seed: UInt64) throws {
        for codec in [CodecKind.h264, .h265] {
            var store = try store(codec), state = seed
            for _ in 0..<2000 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                let count = Int(state >> 33) % 40
                let seeded = state
                var payload = (0..<count).map { index -> UInt8 in
                    let shifted: UInt64 = seeded >> UInt64(index % 50)
                    return UInt8(truncatingIfNeeded: shifted ^ (UInt64(index) &* 31))
                }
                if count > 0 { payload[0] = [7, 8, 24, 0x40, 0x42, 0x44, 0x60][Int(state >> 20) % 7] }
                _ = take(payload, &store)
                _ = payload.withUnsafeBytes { PayloadInspector.units(codec: codec, payload: $0) }
            }
            #expect(store.payload.count <= ParameterSetStore.maximumPayload)
        }
    }
}
