// SPDX-License-Identifier: Apache-2.0
import Primitives
import RTP
import Testing

@testable import MediaGraph

@Suite("PacketRing") struct PacketRingTests {
    /// A packet of `length` bytes that can be told from every other one.
    private func packet(_ sequence: Int64, length: Int = 1000, key: Bool = false, timestamp: UInt32? = nil) -> ([UInt8], PacketSlot) {
        var slot = PacketSlot()
        slot.sequence = sequence
        slot.headerLength = 12
        slot.payloadLength = UInt16(length - 12)
        slot.timestamp = timestamp ?? UInt32(sequence)
        slot.startsKeyFrame = key
        return ((0..<length).map { UInt8(truncatingIfNeeded: Int(sequence) &* 31 &+ $0) }, slot)
    }

    private func append(_ ring: PacketRing, _ made: ([UInt8], PacketSlot)) -> Bool {
        made.0.withUnsafeBytes { ring.append($0, made.1) }
    }

    private func holds(_ ring: PacketRing, _ made: ([UInt8], PacketSlot)) -> Bool {
        guard let slot = ring.slot(made.1.sequence) else { return false }
        return Array(ring.bytes(of: slot)) == made.0
    }

    @Test("gives back what was put in, until newer packets have taken the room")
    func wrapsAround() {
        let ring = PacketRing(initialBytes: 16 * 1024, maximumBytes: 16 * 1024)
        for sequence in Int64(70_000)..<70_400 {
            #expect(append(ring, packet(sequence, length: 300 + Int(sequence % 700))))
            #expect(holds(ring, packet(sequence, length: 300 + Int(sequence % 700))))
            if ring.slot(sequence - 10) != nil { #expect(holds(ring, packet(sequence - 10, length: 300 + Int((sequence - 10) % 700)))) }
        }
        #expect(ring.slot(70_000) == nil)
        #expect(ring.slot(70_399) != nil)
        #expect(ring.memory < 64 * 1024)
    }

    @Test("refuses duplicates and packets of long ago")
    func refusesDuplicates() {
        let ring = PacketRing(initialBytes: 64 * 1024, maximumBytes: 64 * 1024)
        #expect(append(ring, packet(70_000)))
        #expect(!append(ring, packet(70_000)))
        #expect(append(ring, packet(70_005)))
        #expect(append(ring, packet(70_003)))
        #expect(!append(ring, packet(60_000)))
        #expect(!append(ring, packet(70_010, length: 3000)))
        #expect(ring.newest == 70_005)
    }

    @Test("grows to keep the newest group of pictures, up to its bound")
    func growsForKeyFrame() {
        let ring = PacketRing(initialBytes: 32 * 1024, maximumBytes: 512 * 1024)
        #expect(append(ring, packet(70_000, key: true)))
        for sequence in Int64(70_001)..<70_400 { #expect(append(ring, packet(sequence))) }
        #expect(ring.joinPoint?.pointee.sequence == 70_000)
        for sequence in Int64(70_000)..<70_400 { #expect(holds(ring, packet(sequence, key: sequence == 70_000))) }
        for sequence in Int64(70_400)..<71_200 { #expect(append(ring, packet(sequence))) }
        // 1.2 MB of one group don't fit: no join point, but the bound holds.
        #expect(ring.joinPoint == nil)
        #expect(ring.memory <= 512 * 1024 + 1024 * MemoryLayout<PacketSlot>.stride)
    }

    @Test("holds nothing before its first packet")
    func empty() {
        let ring = PacketRing(initialBytes: 256 * 1024, maximumBytes: 8 << 20)
        #expect(ring.memory == 0 && ring.newest == 0 && ring.joinPoint == nil)
        #expect((0..<1_000 as Range<Int64>).allSatisfy { ring.slot($0) == nil })
        #expect(append(ring, packet(70_000)))
        #expect(holds(ring, packet(70_000)) && ring.memory >= 256 * 1024)
    }

    @Test("with no memory left it goes on without keeping the whole group, and keeps it again when there is some")
    func growthIsRefused() {
        let budget = MemoryBudget(limit: 1 << 20, share: 1 << 20)
        let others = budget.account(for: nil)
        others.note(800 * 1024)
        let ring = PacketRing(initialBytes: 32 * 1024, maximumBytes: 512 * 1024)
        ring.allowance = budget.account(for: nil)
        let first = ring.memory
        #expect(append(ring, packet(70_000, key: true)))
        for sequence in Int64(70_001)..<70_200 {
            #expect(append(ring, packet(sequence)))
            #expect(holds(ring, packet(sequence)) && ring.slot(max(70_000, sequence - 20)) != nil)
        }
        #expect(ring.joinPoint == nil && first == 0 && ring.memory < 64 * 1024)
        #expect(budget.statistics.refusedByLimit == 1, "it asks once for a group of pictures")
        others.close()
        #expect(append(ring, packet(70_200, key: true)))
        for sequence in Int64(70_201)..<70_400 { #expect(append(ring, packet(sequence))) }
        #expect(ring.joinPoint?.pointee.sequence == 70_200)
    }

    @Test("keeps more packets than the slot table began with when a group of pictures is long")
    func growsSlots() {
        let ring = PacketRing(initialBytes: 256 * 1024, maximumBytes: 8 << 20)
        #expect(append(ring, packet(70_000, length: 100, key: true)))
        for sequence in Int64(70_001)..<73_000 { #expect(append(ring, packet(sequence, length: 100))) }
        #expect(ring.joinPoint?.pointee.sequence == 70_000)
        #expect(holds(ring, packet(71_234, length: 100)))
    }

    @Test("the first packet of a key frame is the join point, even when several packets look like its start")
    func joinPointIsFirstOfFrame() {
        let ring = PacketRing(initialBytes: 64 * 1024, maximumBytes: 64 * 1024)
        #expect(append(ring, packet(70_001, key: true, timestamp: 9000)))
        #expect(append(ring, packet(70_002, key: true, timestamp: 9000)))
        #expect(ring.keyFrameStart == 70_001)
        #expect(append(ring, packet(70_000, key: true, timestamp: 9000)))
        #expect(ring.keyFrameStart == 70_000)
        #expect(append(ring, packet(70_010, key: true, timestamp: 12_000)))
        #expect(ring.keyFrameStart == 70_010)
    }
}
