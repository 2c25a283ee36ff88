// SPDX-License-Identifier: Apache-2.0
import Foundation
import Primitives
import Synchronization
import Testing

@testable import MediaGraph

@Suite struct MirrorLinkTests {
    private static func put(_ number: Int, length: Int, into link: MirrorLink) {
        var slot = PacketSlot()
        slot.sequence = Int64(number)
        slot.headerLength = 12
        slot.payloadLength = UInt16(length - 12)
        [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: length).withUnsafeBytes { bytes in
            link.put(&slot, bytes, track: number % 3)
        }
    }

    /// The numbers of what came, each checked to the last byte.
    private static func drain(_ link: MirrorLink) -> [Int] {
        var numbers: [Int] = []
        link.drain { track, item in
            guard case .packet(let slot, let bytes) = item else { return }
            let number = Int(slot.pointee.sequence)
            if track == number % 3, bytes.count == slot.pointee.length, bytes.allSatisfy({ $0 == UInt8(truncatingIfNeeded: number) }) {
                numbers.append(number)
            }
        }
        return numbers
    }

    @Test("packets of any length come out in order and whole, however often the memory is gone round")
    func order() {
        let link = MirrorLink(capacity: 1 << 14) {}
        var random = RandomSource.seeded(3)
        var put = 0, taken: [Int] = []
        while put < 5000 {
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                put += 1
                Self.put(put, length: Int.random(in: 12...1600, using: &random), into: link)
            }
            taken += Self.drain(link)
        }
        #expect(taken == Array(1...put))
        #expect(link.dropped == 0)
    }

    @Test("what doesn't fit is dropped and counted; what was there stays whole, and there is room again afterwards")
    func overflow() {
        let link = MirrorLink(capacity: 1 << 13) {}
        for number in 1...20 { Self.put(number, length: 1200, into: link) }
        let first = Self.drain(link)
        #expect(first == Array(1...first.count))
        #expect(first.count >= 4 && Int(link.dropped) == 20 - first.count)
        Self.put(30, length: 1200, into: link)
        #expect(Self.drain(link) == [30])
    }

    @Test("reports come between the packets they were put between")
    func reports() {
        let link = MirrorLink {}
        Self.put(1, length: 100, into: link)
        link.putReport(ntp: 5, timestamp: 6, arrival: Instant(nanoseconds: 7), track: 1)
        Self.put(2, length: 100, into: link)
        var seen: [String] = []
        link.drain { track, item in
            switch item {
            case .packet(let slot, _): seen.append("packet \(slot.pointee.sequence)")
            case .report(let ntp, let timestamp, let arrival): seen.append("report \(track) \(ntp) \(timestamp) \(arrival.nanoseconds)")
            }
        }
        #expect(seen == ["packet 1", "report 1 5 6 7", "packet 2"])
    }

    @Test("between two threads nothing is lost or left lying: whoever announces last is heard")
    func threads() {
        let wakeUps = DispatchSemaphore(value: 0)
        let link = MirrorLink(capacity: 1 << 16) { wakeUps.signal() }
        let total = 20_000
        let taken = Atomic<Int>(0)
        let writer = Thread {
            for number in 1...total {
                // No more than fits is ever on the way.
                while number - taken.load(ordering: .acquiring) > 40 { sched_yield() }
                Self.put(number, length: 12 + number % 900, into: link)
                link.announce()
            }
        }
        writer.start()
        var next = 1
        while next <= total {
            // Without the wake-up that is due this would wait for ever; the time only ends a broken run.
            guard wakeUps.wait(timeout: .now() + 20) == .success else { break }
            for number in Self.drain(link) {
                #expect(number == next)
                next = number + 1
            }
            taken.store(next - 1, ordering: .releasing)
        }
        #expect(next == total + 1 && link.dropped == 0)
    }
}
