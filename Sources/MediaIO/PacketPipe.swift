// SPDX-License-Identifier: Apache-2.0
// Bytes from a reactor to whoever takes them away: a bounded ring without locks, so that neither side ever waits for the other.
// Filled by StreamTap on the reactor, emptied by one consumer.
import Glibc
import Synchronization

/// A ring for one producer and one consumer. What is read is always a row of whole records.
///
/// Thread rule: one thread at a time writes (the stream's reactor), one at a time reads. The two positions are atomics; bytes
/// between them belong to the reader, the others to the writer.
public final class PacketPipe: Sendable {
    /// Bytes that may wait.
    public let capacity: Int
    private nonisolated(unsafe) let memory: UnsafeMutableRawPointer
    /// Of `memory`, for tests.
    var address: UInt { UInt(bitPattern: memory) }
    /// Bytes written and read since the beginning.
    private let written = Atomic<Int>(0)
    private let taken = Atomic<Int>(0)
    /// The position that lies at the beginning of the memory. Changed by the writer, while nothing waits.
    private let origin = Atomic<Int>(0)
    private let dropped = Atomic<Int>(0)
    /// The reader has taken everything there was and is to be told of more.
    private let isWaitedFor = Atomic<Bool>(true)
    private let onData: (@Sendable () -> Void)?

    /// - Parameters:
    ///   - capacity: bytes, a power of two. The memory is touched only as far as a reader falls behind.
    ///   - onData: called on the writer's thread when something has come since the last `read`: must not wait. `nil`: the reader
    ///     looks by itself.
    public init(capacity: Int = 1 << 22, onData: (@Sendable () -> Void)? = nil) {
        self.onData = onData
        precondition(capacity > 0 && capacity & (capacity - 1) == 0, "the pipe's size must be a power of two")
        self.capacity = capacity
        // Of the system's, not of the heap's: untouched when it is new, and given back whole.
        guard let mapped = mmap(nil, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), mapped != MAP_FAILED else {
            preconditionFailure("no memory for a pipe of \(capacity) bytes")
        }
        memory = mapped
    }

    deinit { munmap(memory, capacity) }

    /// Records that found no room.
    public var droppedRecords: Int { dropped.load(ordering: .relaxed) }
    /// Bytes that wait to be read.
    public var waiting: Int { written.load(ordering: .acquiring) - taken.load(ordering: .relaxed) }

    /// So much of the memory is used in any case.
    private static let usual = 1 << 16

    /// Appends one record made of two parts. Writer's thread; never waits, allocates nothing.
    /// - Returns: false when there is no room: the record is dropped and counted.
    @inline(__always)
    @discardableResult
    public func write(_ head: UnsafeRawBufferPointer, _ body: UnsafeRawBufferPointer) -> Bool {
        let position = written.load(ordering: .relaxed)
        let count = head.count + body.count, read = taken.load(ordering: .acquiring)
        guard position - read + count <= capacity else {
            dropped.add(1, ordering: .relaxed)
            return false
        }
        var origin = origin.load(ordering: .relaxed)
        if read == position, position - origin >= Self.usual {
            // The reader has all and looks at `origin` again only after it has seen what is written next: a reader that keeps up
            // never makes the whole ring resident.
            origin = position
            self.origin.store(position, ordering: .relaxed)
        }
        store(head, at: position - origin)
        store(body, at: position - origin + head.count)
        written.store(position + count, ordering: .releasing)
        return true
    }

    /// Tells the reader, once for each time it looks.
    ///
    /// Always an exchange, never a look first: either it comes before the reader's own, which then sees what has been written, or it sees
    /// that the reader waits. A plain load could be done before the write is visible, and both sides would miss each other.
    @inline(__always)
    public func announce() {
        guard let onData, isWaitedFor.exchange(false, ordering: .acquiringAndReleasing) else { return }
        onData()
    }

    @inline(__always)
    private func store(_ bytes: UnsafeRawBufferPointer, at position: Int) {
        guard let source = bytes.baseAddress, bytes.count > 0 else { return }
        let offset = position & (capacity - 1)
        let first = min(bytes.count, capacity - offset)
        (memory + offset).copyMemory(from: source, byteCount: first)
        if first < bytes.count { memory.copyMemory(from: source + first, byteCount: bytes.count - first) }
    }

    /// Everything that waits. Reader's thread; never waits.
    public func read() -> [UInt8] {
        // First the mark, then the ring: what is written afterwards is announced again.
        _ = isWaitedFor.exchange(true, ordering: .acquiringAndReleasing)
        let position = taken.load(ordering: .relaxed)
        let count = written.load(ordering: .acquiring) - position
        guard count > 0 else { return [] }
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            guard let target = buffer.baseAddress.map(UnsafeMutableRawPointer.init) else { return }
            let offset = (position - origin.load(ordering: .relaxed)) & (capacity - 1)
            let first = min(count, capacity - offset)
            target.copyMemory(from: memory + offset, byteCount: first)
            if first < count { (target + first).copyMemory(from: memory, byteCount: count - first) }
            initialized = count
        }
        taken.store(position + count, ordering: .releasing)
        return bytes
    }
}
