// SPDX-License-Identifier: Apache-2.0
import Primitives
import RTP
import Testing

@testable import MartletServer

struct AACClockTests {
    private static let frame: [UInt8] = [0x21, 0x10, 4, 0x60, 0x8c, 0x1c]

    /// A packet of so many frames.
    private func packet(_ number: Int, at ticks: Int64, frames: Int = 1) -> [UInt8] {
        let timestamp = UInt32(truncatingIfNeeded: ticks)
        var bytes: [UInt8] = [0x80, 97, UInt8(truncatingIfNeeded: number >> 8), UInt8(truncatingIfNeeded: number)]
        bytes += (0..<4).map { UInt8(truncatingIfNeeded: timestamp >> UInt32(24 - 8 * $0)) } + [0, 0, 0, 5]
        bytes += [0, UInt8(16 * frames)] + (0..<frames).flatMap { _ in [0, UInt8(Self.frame.count << 3)] }
        for _ in 0..<frames { bytes += Self.frame }
        return bytes
    }

    private func timestamps(_ packets: [[UInt8]]) -> [UInt32] { packets.map { $0[4..<8].reduce(0) { $0 << 8 | UInt32($1) } } }

    private func clock(_ described: Int) throws -> AACClock {
        try #require(AACClock(described: described, clockRate: 48_000, sampleRate: 48_000, format: AACPayloadFormat()))
    }

    @Test("a clock that is described and meant becomes that of the samples, over wraps", arguments: [90_000, 16_000], [1, 3])
    func meant(described: Int, frames: Int) throws {
        var clock = try clock(described), found: [[UInt8]] = []
        let first = Int64(UInt32.max) - 100_000, step = Int64(1024 * frames * described / 48_000)
        for number in 0..<1000 { found += clock.take(packet(number, at: first + Int64(number) * step, frames: frames)) }
        let out = timestamps(found)
        try #require(out.count == 1000)
        for number in 1..<1000 { #expect(Int32(bitPattern: out[number] &- out[number - 1]).distance(to: Int32(1024 * frames)).magnitude <= 2) }
        // A report of the same moment as a packet.
        let reported = clock.ofTrack(UInt32(truncatingIfNeeded: first + 990 * step))
        #expect(Int32(bitPattern: (reported ?? 0) &- out[990]).magnitude <= 1)
    }

    @Test("one that counts samples whatever its description says stays as it is, packet by packet")
    func asItIs() throws {
        var clock = try clock(90_000)
        let packets = (0..<100).map { packet($0, at: Int64($0) * 1024) }
        #expect(packets.flatMap { clock.take($0) } == packets)
        #expect(clock.ofTrack(77) == 77)
    }

    @Test("without a word on it nothing is held back for long, whatever comes", arguments: [0, 77, 1 << 31] as [Int64])
    func nonsense(step: Int64) throws {
        var clock = try clock(90_000)
        let packets = (0..<100).map { packet($0, at: Int64($0) * step) } + [[UInt8](repeating: 0x80, count: 12)]
        #expect(packets.flatMap { clock.take($0) } == packets)
    }

    @Test("there is nothing to choose where the description names the clock of the track")
    func same() {
        #expect(AACClock(described: 48_000, clockRate: 48_000, sampleRate: 24_000, format: AACPayloadFormat()) == nil)
    }
}
