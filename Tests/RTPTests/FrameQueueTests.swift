// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing

@testable import RTP

@Suite("FrameQueue") struct FrameQueueTests {
    private static let limits = FrameQueue.Limits(high: 10_000, low: 2_000, delay: .seconds(1))
    /// RTP by its first byte, with a number to know it by.
    private static func media(_ number: Int, _ length: Int = 998) -> [UInt8] {
        [0x80, 96, UInt8(number >> 8 & 255), UInt8(number & 255)] + [UInt8](repeating: 7, count: length - 4)
    }
    private static func stun(_ number: Int) -> [UInt8] { [0, 1, UInt8(number >> 8 & 255), UInt8(number & 255)] + [UInt8](repeating: 0, count: 16) }

    /// What a receiver reads when all that waits is sent.
    private static func drain(_ queue: FrameQueue, in pieces: Int = 777, after sent: [UInt8] = []) throws -> [[UInt8]] {
        var bytes = sent
        while queue.count > 0 {
            let piece = Array(queue.unsent.prefix(pieces))
            bytes += piece
            _ = queue.consume(piece.count)
        }
        var found: [[UInt8]] = []
        var reader = FrameReader()
        try bytes.withUnsafeMutableBytes { raw in try reader.receive(raw) { found.append(Array($0)); return true } }
        #expect(reader.pendingBytes == 0)
        return found
    }

    private static func add(_ packet: [UInt8], to queue: FrameQueue, at now: Instant = .zero) { packet.withUnsafeBytes { queue.append($0, at: now) } }

    @Test("what fits below the high mark arrives, in order")
    func passes() throws {
        let queue = FrameQueue(limits: Self.limits)
        let packets = (0..<9).map { Self.media($0) }
        for packet in packets { Self.add(packet, to: queue) }
        #expect(try Self.drain(queue) == packets)
        #expect(queue.dropped == 0 && !queue.isStalled)
    }

    @Test("beyond the high mark media is dropped whole, what is not media stays, and the receiver can read on")
    func stalls() throws {
        let queue = FrameQueue(limits: Self.limits)
        Self.add(Self.media(0), to: queue)
        // A part of the first packet has gone out before it got stuck.
        let sent = Array(queue.unsent.prefix(500))
        #expect(!queue.consume(500))
        for number in 1..<100 {
            Self.add(Self.media(number), to: queue)
            if number % 10 == 0 { Self.add(Self.stun(number), to: queue) }
        }
        #expect(queue.isStalled && queue.stalls == 1)
        #expect(queue.count < 2_000)
        #expect(queue.dropped == 99)
        let arrived = try Self.drain(queue, after: sent)
        #expect(arrived == [Self.media(0)] + stride(from: 10, to: 100, by: 10).map { Self.stun($0) })
        #expect(!queue.isStalled)
        Self.add(Self.media(100), to: queue)
        #expect(try Self.drain(queue) == [Self.media(100)])
    }

    @Test("a stall ends only when the connection takes something again, even if nothing is left to be sent")
    func endsByWriting() {
        let queue = FrameQueue(limits: Self.limits)
        for number in 0..<20 { Self.add(Self.media(number), to: queue) }
        #expect(queue.isStalled && queue.count == 0)
        Self.add(Self.media(20), to: queue)
        #expect(queue.count == 0)
        #expect(queue.consume(0))
        #expect(!queue.isStalled)
    }

    @Test("media that has waited too long stalls the queue, however little it is")
    func minds() {
        let queue = FrameQueue(limits: Self.limits)
        Self.add(Self.media(0, 100), to: queue, at: .zero)
        Self.add(Self.media(1, 100), to: queue, at: Instant(milliseconds: 900))
        #expect(!queue.isStalled)
        Self.add(Self.media(2, 100), to: queue, at: Instant(milliseconds: 1100))
        #expect(queue.isStalled && queue.dropped == 3)
    }

    @Test("waiting is counted from the oldest byte that is left")
    func forgetsTimes() {
        let queue = FrameQueue(limits: Self.limits)
        for step in 0..<100 {
            Self.add(Self.media(step, 100), to: queue, at: Instant(milliseconds: Int64(step) * 100))
            // Always half a second behind.
            if step >= 5 { _ = queue.consume(102) }
        }
        #expect(!queue.isStalled && queue.count == 5 * 102)
    }

    @Test("what is not media has a bound as well")
    func isBounded() {
        let queue = FrameQueue(limits: Self.limits)
        for number in 0..<100_000 { Self.add(Self.stun(number), to: queue) }
        #expect(queue.count <= Self.limits.high + FrameQueue.reserve)
        #expect(queue.dropped > 90_000)
    }

    @Test("the rest of a packet that was begun is never dropped")
    func keepsTheRest() throws {
        let queue = FrameQueue(limits: Self.limits)
        let packet = Self.media(1)
        let framed = [UInt8(packet.count >> 8), UInt8(packet.count & 255)] + packet
        framed[300...].withUnsafeBytes { queue.append(restOfPacket: $0, at: .zero) }
        for number in 2..<50 { Self.add(Self.media(number), to: queue) }
        #expect(queue.isStalled)
        #expect(try Self.drain(queue, after: Array(framed[..<300])) == [packet])
    }
}
