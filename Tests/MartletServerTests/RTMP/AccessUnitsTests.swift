// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing
@testable import MartletServer

struct AccessUnitsTests {
    // An SEI, parameter sets, an IDR slice, a P slice, a second slice of a picture (first_mb_in_slice 1), an I slice of no IDR.
    static let sei: [UInt8] = [0x06, 5, 1, 7, 0x80], sps: [UInt8] = [0x67, 0x42, 0xc0, 0x1e], pps: [UInt8] = [0x68, 0xce]
    static let recovery: [UInt8] = [0x06, 6, 1, 0x84, 0x80]
    static let idr: [UInt8] = [0x65, 0xb8, 1], inter: [UInt8] = [0x41, 0xe0, 2], further: [UInt8] = [0x41, 0x5c, 3], intra: [UInt8] = [0x41, 0xb8, 4]

    var units = AccessUnits()

    static func prefixed(_ units: [UInt8]...) -> [UInt8] { units.flatMap { [0, 0, 0, UInt8($0.count)] + $0 } }
    static func annexB(_ units: [UInt8]...) -> [UInt8] { units.flatMap { [0, 0, 0, 1] + $0 } }

    mutating func take(_ payload: [UInt8], _ timestamp: UInt32, key: Bool = false, lengthSize: Int = 4) -> AccessUnits.Result {
        units.take(
            payload[...], lengthSize: lengthSize, timestamp: timestamp, time: MediaTime(milliseconds: Int64(timestamp)), composition: .zero, isFlaggedKey: key)
    }

    @Test("an SEI in a message of its own goes out with the frame of its timestamp: one frame per timestamp")
    mutating func seiAlone() {
        for frame in 0..<50 as Range<UInt32> {
            #expect(take(Self.prefixed(Self.sei), frame * 40).units.isEmpty)
            let result = take(Self.prefixed(frame == 0 ? Self.idr : Self.inter), frame * 40)
            #expect(result.units.map(\.bytes) == [Self.annexB(Self.sei, frame == 0 ? Self.idr : Self.inter)])
            #expect(result.units[0].isKeyFrame == (frame == 0))
        }
    }

    @Test("parameter sets wait for the next frame, whenever it comes; an SEI of another time is dropped")
    mutating func setsAlone() {
        #expect(take(Self.prefixed(Self.sps, Self.pps, Self.sei), 0).units.isEmpty)
        #expect(take(Self.prefixed(Self.idr), 40).units.map(\.bytes) == [Self.annexB(Self.sps, Self.pps, Self.idr)])
        // Behind its frame.
        #expect(take(Self.prefixed(Self.sei), 40).units.isEmpty)
        #expect(take(Self.prefixed(Self.inter), 80).units.map(\.bytes) == [Self.annexB(Self.inter)])
    }

    @Test("slices in messages of their own become one frame, from the second time on")
    mutating func slices() {
        _ = take(Self.prefixed(Self.idr), 0)
        _ = take(Self.prefixed(Self.further), 0)
        var frames: [AccessUnits.Unit] = []
        for frame in 1...10 as ClosedRange<UInt32> {
            frames += take(Self.prefixed(Self.inter), frame * 40).units
            frames += take(Self.prefixed(Self.further), frame * 40).units
        }
        frames += units.flush()
        #expect(frames.map(\.bytes) == Array(repeating: Self.annexB(Self.inter, Self.further), count: 10))
        #expect(frames.map(\.time.milliseconds) == (1...10).map { $0 * 40 })
    }

    @Test("a frame that goes on and on is cut off, and what follows comes as always")
    mutating func endless() {
        _ = take(Self.prefixed(Self.idr), 0)
        _ = take(Self.prefixed(Self.further), 0)
        _ = take(Self.prefixed(Self.inter), 40)
        let long = [0, 0x10, 0, 0, 0x41, 0x5c] + [UInt8](repeating: 3, count: (1 << 20) - 2)
        for _ in 0..<20 { #expect(take(long, 40).units.isEmpty) }
        #expect(units.heldBytes <= AccessUnits.maximumOpen && units.heldBytes > AccessUnits.maximumOpen / 2)
        #expect(take(Self.prefixed(Self.inter), 80).units.map(\.time.milliseconds) == [40])
        #expect(units.heldBytes < 100)
    }

    @Test("a message of more units than any frame has is none, behind lengths and behind start codes")
    mutating func countless() {
        let short: [UInt8] = (0..<100_000).flatMap { _ in [1, 0x65] as [UInt8] }
        var result = take(short, 0, lengthSize: 1)
        #expect(result.units.isEmpty && result.isUnreadable)
        let coded: [UInt8] = (0..<100_000).flatMap { _ in [0, 0, 1, 0x65] as [UInt8] }
        result = take(coded, 40)
        #expect(result.units.isEmpty && result.isUnreadable)
        #expect(take(Self.prefixed(Self.idr), 80).units.count == 1)
    }

    @Test("what a frame is, its units say, not the flag")
    mutating func keyFrames() {
        #expect(take(Self.prefixed(Self.idr), 0, key: false).units[0].isKeyFrame)
        #expect(!take(Self.prefixed(Self.inter), 40, key: true).units[0].isKeyFrame)
        // An I frame that the encoder calls a key frame, or that has its parameter sets, or a recovery point.
        #expect(take(Self.prefixed(Self.intra), 80, key: true).units[0].isKeyFrame)
        #expect(!take(Self.prefixed(Self.intra), 120, key: false).units[0].isKeyFrame)
        #expect(take(Self.prefixed(Self.sps, Self.pps, Self.intra), 160, key: false).units[0].isKeyFrame)
        #expect(take(Self.prefixed(Self.recovery, Self.intra), 200, key: false).units[0].isKeyFrame)
        // Intra refresh has no I frames at all.
        #expect(take(Self.prefixed(Self.recovery, Self.inter), 240, key: true).units[0].isKeyFrame)
    }

    @Test("Annex B where lengths belong is put right; lengths that make sense are lengths")
    mutating func startCodes() {
        for payload in [Self.annexB(Self.sps, Self.pps, Self.idr), [0, 0, 1] + Self.sps + [0, 0, 1] + Self.pps + [0, 0, 1] + Self.idr] {
            let result = take(payload, 0)
            #expect(result.isAnnexB && result.units.map(\.bytes) == [Self.annexB(Self.sps, Self.pps, Self.idr)])
        }
        let both = take(Self.prefixed([0, 0, 0, 1] + Self.idr), 40)
        #expect(both.isAnnexB && both.units.map(\.bytes) == [Self.annexB(Self.idr)])
        // A unit of 0x1xx bytes begins like a start code of three bytes.
        let long = Self.idr + [UInt8](repeating: 9, count: 0x120 - 3)
        let result = take([0, 0, 1, 0x20] + long, 80)
        #expect(!result.isAnnexB && result.units.map(\.bytes) == [[0, 0, 0, 1] + long])
        #expect(take(Self.prefixed([], Self.inter, []), 120).units.map(\.bytes) == [Self.annexB(Self.inter)])
        #expect(take([0x12, 0x34, 0x56, 0x78, 1, 2], 160).isUnreadable)
    }

    @Test("any messages in any order: what is held is bounded, and each frame has a slice", arguments: 0..<20 as Range<UInt64>)
    mutating func random(seed: UInt64) {
        var random = RandomSource.seeded(seed)
        let pieces = [Self.sei, Self.sps, Self.pps, Self.recovery, Self.idr, Self.inter, Self.further, Self.intra, [], [0x09, 0xf0], [0x01]]
        var bytesIn = 0, bytesOut = 0
        for _ in 0..<3000 {
            var payload: [UInt8] = []
            for _ in 0...Int.random(in: 0...4, using: &random) {
                let unit = pieces[Int.random(in: 0..<pieces.count, using: &random)]
                payload += (Bool.random(using: &random) ? [0, 0, 0, 1] : [0, 0, 0, UInt8(unit.count)]) + unit
            }
            if Int.random(in: 0..<8, using: &random) == 0 { payload = random.bytes(Int.random(in: 0...40, using: &random)) }
            bytesIn += payload.count
            let result = take(payload, UInt32.random(in: 0...3, using: &random) * 40, key: Bool.random(using: &random), lengthSize: Int.random(in: 1...4, using: &random))
            for unit in result.units {
                bytesOut += unit.bytes.count
                #expect(unit.bytes.starts(with: [0, 0, 0, 1]))
            }
        }
        // Start codes can be longer than what they replace, by three bytes a unit at most; nothing comes out twice.
        #expect(bytesOut <= bytesIn * 4 + AccessUnits.maximumHeld)
    }
}
