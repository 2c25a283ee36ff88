// SPDX-License-Identifier: Apache-2.0
// From a stream's home reactor to a mirror of it on another: packets already decrypted, copied once, through memory that both threads see.
// Made when a stream outgrows its reactor (MediaIO); written by the home reactor's tracks, read by the mirror's source.
import Primitives
import Synchronization

/// A bounded queue of packets with one writer and one reader. It never blocks: what doesn't fit is dropped and counted, which the
/// mirror's players see as loss.
///
/// `@unchecked Sendable`: the writer alone touches the memory from `taken` + capacity to `written`'s next value, the reader that in between;
/// the two counters are published with release and read with acquire.
public final class MirrorLink: @unchecked Sendable {
    /// What stands in front of each packet.
    private struct Record {
        /// Of the whole record, a multiple of `alignment`.
        var length: Int32
        /// `skip`: the rest of the memory is unused. Otherwise the number of the track.
        var track: Int32
        /// Length 0 with a report.
        var slot = PacketSlot()
        var ntp: UInt64 = 0
        var timestamp: UInt32 = 0
        var arrival = Instant.zero
    }

    private static let skip: Int32 = -1
    private static let alignment = 16
    private static let header = (MemoryLayout<Record>.stride + alignment - 1) & ~(alignment - 1)

    private let memory: UnsafeMutableRawPointer
    private let capacity: Int
    /// Bytes ever written and ever taken.
    private let written = Atomic<Int>(0)
    private let taken = Atomic<Int>(0)
    private let isAnnounced = Atomic<Bool>(false)
    private let lost = Atomic<UInt64>(0)
    /// Tells the reader's reactor to call `drain`.
    private let wake: @Sendable () -> Void

    /// - Parameter capacity: bytes, a power of two; 2 MiB hold the largest key frames with room to spare.
    public init(capacity: Int = 2 << 20, wake: @escaping @Sendable () -> Void) {
        precondition(capacity & (capacity - 1) == 0 && capacity > 1 << 12, "the capacity must be a power of two")
        self.capacity = capacity
        self.wake = wake
        memory = .allocate(byteCount: capacity, alignment: 64)
    }

    deinit { memory.deallocate() }

    /// Packets that did not fit. Any thread.
    public var dropped: UInt64 { lost.load(ordering: .relaxed) }

    // MARK: the writer's reactor

    @inline(__always)
    func put(_ slot: UnsafePointer<PacketSlot>, _ bytes: UnsafeRawBufferPointer, track: Int) {
        guard let place = reserve(bytes.count) else {
            lost.add(1, ordering: .relaxed)
            return
        }
        place.record.initialize(to: Record(length: Int32(place.length), track: Int32(track), slot: slot.pointee))
        if let base = bytes.baseAddress { (UnsafeMutableRawPointer(place.record) + Self.header).copyMemory(from: base, byteCount: bytes.count) }
        written.store(place.end, ordering: .releasing)
    }

    /// A sender report of the source: NTP time, RTP time as players see it, arrival.
    func putReport(ntp: UInt64, timestamp: UInt32, arrival: Instant, track: Int) {
        guard let place = reserve(0) else { return }
        place.record.initialize(
            to: Record(length: Int32(place.length), track: Int32(track), ntp: ntp, timestamp: timestamp, arrival: arrival))
        written.store(place.end, ordering: .releasing)
    }

    /// To be called once after a number of `put`s.
    @inline(__always)
    func announce() {
        if !isAnnounced.exchange(true, ordering: .acquiringAndReleasing) { wake() }
    }

    private func reserve(_ count: Int) -> (record: UnsafeMutablePointer<Record>, length: Int, end: Int)? {
        let length = (Self.header + count + Self.alignment - 1) & ~(Self.alignment - 1)
        var start = written.load(ordering: .relaxed)
        let free = capacity - (start - taken.load(ordering: .acquiring))
        let rest = capacity - start & (capacity - 1)
        guard length + (rest < length ? rest : 0) <= free else { return nil }
        if rest < length {
            // Records are aligned, so there is always room for the two numbers at least.
            (memory + start & (capacity - 1)).storeBytes(of: Int32(rest), as: Int32.self)
            (memory + start & (capacity - 1)).storeBytes(of: Self.skip, toByteOffset: 4, as: Int32.self)
            start += rest
        }
        let record = (memory + start & (capacity - 1)).bindMemory(to: Record.self, capacity: 1)
        return (record, length, start + length)
    }

    // MARK: the reader's reactor

    enum Item {
        case packet(UnsafePointer<PacketSlot>, UnsafeRawBufferPointer)
        case report(ntp: UInt64, timestamp: UInt32, arrival: Instant)
    }

    /// Hands over everything that waits, in order. Pointers are valid during the call only.
    func drain(_ visit: (_ track: Int, _ item: Item) -> Void) {
        // First the mark, then the queue: what is put in afterwards is announced again. An exchange, so that one of the two sides sees the other.
        _ = isAnnounced.exchange(false, ordering: .acquiringAndReleasing)
        var position = taken.load(ordering: .relaxed)
        let end = written.load(ordering: .acquiring)
        while position < end {
            let place = memory + position & (capacity - 1)
            let length = Int(place.load(as: Int32.self)), track = place.load(fromByteOffset: 4, as: Int32.self)
            if track != Self.skip {
                let record = UnsafePointer(place.assumingMemoryBound(to: Record.self))
                if record.pointee.ntp != 0 {
                    visit(Int(track), .report(ntp: record.pointee.ntp, timestamp: record.pointee.timestamp, arrival: record.pointee.arrival))
                } else {
                    let slot = UnsafePointer((place + MemoryLayout<Record>.offset(of: \.slot)!).assumingMemoryBound(to: PacketSlot.self))
                    visit(Int(track), .packet(slot, UnsafeRawBufferPointer(start: place + Self.header, count: slot.pointee.length)))
                }
            }
            position += length
        }
        taken.store(position, ordering: .releasing)
    }
}
