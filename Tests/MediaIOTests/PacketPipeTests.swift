// SPDX-License-Identifier: Apache-2.0
import Foundation
import Primitives
import Synchronization
import Testing

@testable import MediaIO

struct PacketPipeTests {
    private func write(_ pipe: PacketPipe, _ head: [UInt8], _ body: [UInt8]) -> Bool {
        head.withUnsafeBytes { head in body.withUnsafeBytes { pipe.write(head, $0) } }
    }

    @Test("what goes in comes out, over the end of the ring as well")
    func order() {
        let pipe = PacketPipe(capacity: 64)
        for round in 0..<100 {
            let head = [UInt8(round), 1, 2], body = [UInt8](repeating: UInt8(round), count: round % 20)
            #expect(write(pipe, head, body))
            #expect(pipe.read() == head + body)
        }
    }

    @Test("a full pipe drops whole records and counts them")
    func full() {
        let pipe = PacketPipe(capacity: 64)
        #expect(write(pipe, [1], [UInt8](repeating: 2, count: 50)))
        #expect(!write(pipe, [3], [UInt8](repeating: 4, count: 20)))
        #expect(pipe.droppedRecords == 1 && pipe.read().count == 51 && pipe.read().isEmpty)
        #expect(write(pipe, [3], [4]))
    }

    @Test("a reader that keeps up leaves most of a large ring untouched")
    func resident() throws {
        let pipe = PacketPipe(capacity: 1 << 22), page = sysconf(Int32(_SC_PAGESIZE))
        let body = [UInt8](repeating: 7, count: 1000)
        var read = 0
        for _ in 0..<20_000 {
            #expect(write(pipe, [1], body))
            read += pipe.read().count
        }
        #expect(read == 20_000 * 1001)
        let first = UnsafeMutableRawPointer(bitPattern: pipe.address)?.alignedUp(toMultipleOf: page)
        var pages = [UInt8](repeating: 0, count: pipe.capacity / page - 1)
        #expect(mincore(try #require(first), pages.count * page, &pages) == 0)
        #expect(pages.count { $0 & 1 == 1 } * page <= 1 << 17)
    }

    @Test("a writer and a reader on threads of their own lose nothing")
    func threads() async {
        let pipe = PacketPipe(capacity: 1 << 12)
        let count = 20_000
        let writer = Task.detached {
            for index in 0..<count {
                let head = [UInt8(index & 0xff), UInt8(index >> 8 & 0xff)]
                while !head.withUnsafeBytes({ head in head.withUnsafeBytes { pipe.write(head, $0) } }) { await Task.yield() }
            }
        }
        var bytes: [UInt8] = []
        while bytes.count < count * 4 {
            bytes += pipe.read()
            await Task.yield()
        }
        await writer.value
        for index in 0..<count {
            let number = Int(bytes[4 * index]) + 256 * Int(bytes[4 * index + 1])
            guard number == index & 0xffff else { Issue.record("record \(index) says \(number)"); return }
        }
    }

    @Test("a reader that sleeps until it is told misses nothing: whoever announces last is heard")
    func wakeUps() {
        let signal = DispatchSemaphore(value: 0)
        let pipe = PacketPipe(capacity: 1 << 16) { signal.signal() }
        let total = 30_000
        let taken = Atomic<Int>(0)
        let writer = Thread {
            for number in 1...total {
                // The reader has mostly gone to sleep by the time that the next record is written.
                while number - taken.load(ordering: .acquiring) > 2 { sched_yield() }
                let head = [UInt8(number & 0xff)]
                head.withUnsafeBytes { _ = pipe.write($0, UnsafeRawBufferPointer(start: nil, count: 0)) }
                pipe.announce()
            }
        }
        writer.start()
        var count = 0
        while count < total {
            let bytes = pipe.read()
            count += bytes.count
            taken.store(count, ordering: .releasing)
            // Without the wake-up that is due this would wait for ever; the time only ends a broken run.
            if bytes.isEmpty, signal.wait(timeout: .now() + 20) != .success { break }
        }
        #expect(count == total)
    }

    @Test("records are read as they were written")
    func records() {
        let records = [
            TapRecord(track: 1, arrival: Instant(nanoseconds: 123_456_789), content: .packet(orientation: 1, audioLevel: 0xff, rtp: [0x80] + [UInt8](repeating: 5, count: 20))),
            TapRecord(track: 0, arrival: Instant(nanoseconds: 5), content: .report(ntp: 0x0123_4567_89ab_cdef, timestamp: 77)),
            TapRecord(track: 0, arrival: Instant(nanoseconds: -1), content: .restart),
        ]
        var bytes = records.flatMap(\.encoded)[...]
        for record in records { #expect(TapRecord.next(in: &bytes) == record) }
        #expect(TapRecord.next(in: &bytes) == nil)
    }
}
