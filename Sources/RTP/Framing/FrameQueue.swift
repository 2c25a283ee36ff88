// SPDX-License-Identifier: Apache-2.0
// What waits to be sent on a TCP connection, and what is thrown away when that is too much. Sans-IO; owned by the connection.
import Primitives

/// Packets behind their length in 16 bits (RFC 4571 §2), with water marks: media that a slow receiver doesn't take is
/// dropped in whole packets, so that it costs nobody else anything.
///
/// A queue *stalls* when it would grow beyond the high mark or when media has waited too long. Then all waiting media is
/// dropped, and new media too, until the connection has taken something again and at most the low mark is left. STUN, DTLS
/// and RTCP are small and rare and go on waiting, up to a reserve above the high mark.
public final class FrameQueue {
    public struct Limits: Sendable, Equatable {
        /// Bytes.
        public var high: Int
        public var low: Int
        /// How long media may wait.
        public var delay: TimeSpan

        public init(high: Int, low: Int, delay: TimeSpan) {
            self.high = high
            self.low = low
            self.delay = delay
        }
    }

    /// Above the high mark, for what is not media.
    static let reserve = 64 * 1024
    /// Waiting times are known to this precision.
    static let grain = TimeSpan.milliseconds(50)

    private let limits: Limits
    private var memory: UnsafeMutableRawPointer?
    private var capacity = 0
    private var start = 0
    private var end = 0
    /// Where the first packet begins of which nothing has been sent yet.
    private var boundary = 0
    /// Bytes sent so far, and when the byte at a position was queued: to know how long the oldest has waited.
    private var position: UInt64 = 0
    private var marks: [(position: UInt64, at: Instant)] = []

    public private(set) var isStalled = false
    /// Packets dropped, media and others.
    public private(set) var dropped: UInt64 = 0
    public private(set) var stalls: UInt64 = 0

    public init(limits: Limits) { self.limits = limits }

    deinit { memory?.deallocate() }

    /// Memory held, bytes.
    public var heldMemory: Int { capacity }
    /// Bytes waiting.
    public var count: Int { end - start }
    public var unsent: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: memory.map { UnsafeRawPointer($0) + start }, count: count) }

    /// Queues a packet behind its length, or drops it.
    public func append(_ packet: UnsafeRawBufferPointer, at now: Instant) {
        guard let base = packet.baseAddress, packet.count <= 0xffff else { return }
        let size = packet.count + 2
        if PacketClass(packet) == .rtp {
            if !isStalled, count + size > limits.high || isLate(at: now) { stall() }
            guard !isStalled else { return dropped &+= 1 }
        } else if count + size > limits.high + Self.reserve {
            return dropped &+= 1
        }
        if marks.last.map({ now.span(since: $0.at) >= Self.grain }) ?? true { marks.append((position &+ UInt64(count), now)) }
        let place = reserve(size)
        place.storeBytes(of: UInt16(packet.count).bigEndian, as: UInt16.self)
        (place + 2).copyMemory(from: base, byteCount: packet.count)
        end += size
    }

    /// Queues the rest of a packet whose beginning the connection has taken already. Only on an empty queue; never dropped.
    public func append(restOfPacket bytes: UnsafeRawBufferPointer, at now: Instant) {
        guard let base = bytes.baseAddress, !bytes.isEmpty else { return }
        if marks.isEmpty { marks.append((position &+ UInt64(count), now)) }
        reserve(bytes.count).copyMemory(from: base, byteCount: bytes.count)
        end += bytes.count
        boundary = end
    }

    /// The connection can take more: it has taken the first `sent` bytes of `unsent`. True when this ends a stall.
    public func consume(_ sent: Int) -> Bool {
        start += sent
        position &+= UInt64(sent)
        while boundary < start { boundary += 2 + length(at: boundary) }
        if start == end {
            start = 0
            end = 0
            boundary = 0
            marks.removeAll(keepingCapacity: true)
            memory?.deallocate()
            memory = nil
            capacity = 0
        } else if let kept = marks.lastIndex(where: { $0.position <= position }), kept > 0 {
            marks.removeFirst(kept)
        }
        guard isStalled, count <= limits.low else { return false }
        isStalled = false
        return true
    }

    private func isLate(at now: Instant) -> Bool { marks.first.map { now.span(since: $0.at) > limits.delay } ?? false }

    /// Drops all waiting media. What has been sent in part stays: the receiver waits for the rest.
    private func stall() {
        isStalled = true
        stalls &+= 1
        var read = boundary, write = boundary
        while read < end, let memory {
            let size = 2 + length(at: read)
            if PacketClass(UnsafeRawBufferPointer(start: memory + read + 2, count: size - 2)) == .rtp {
                dropped &+= 1
            } else {
                if write != read { (memory + write).copyMemory(from: memory + read, byteCount: size) }
                write += size
            }
            read += size
        }
        end = write
    }

    private func length(at offset: Int) -> Int {
        guard let memory else { return 0 }
        return Int(UInt16(bigEndian: memory.loadUnaligned(fromByteOffset: offset, as: UInt16.self)))
    }

    private func reserve(_ size: Int) -> UnsafeMutableRawPointer {
        if let memory, end + size <= capacity { return memory + end }
        // Whatever has been sent makes room first; then the block grows.
        let needed = count + size
        let room = needed * 2 <= capacity ? capacity : max(4096, needed * 2)
        let block = UnsafeMutableRawPointer.allocate(byteCount: room, alignment: 16)
        if let memory {
            block.copyMemory(from: memory + start, byteCount: count)
            memory.deallocate()
        }
        memory = block
        capacity = room
        boundary -= start
        end -= start
        start = 0
        return block + end
    }
}
