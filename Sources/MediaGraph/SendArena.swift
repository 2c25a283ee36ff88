// SPDX-License-Identifier: Apache-2.0
// Where packets are encrypted to, and how they are grouped for the wire: one run is one sendmsg with UDP_SEGMENT.
// Owned by a reactor; MediaGraph fills it, the reactor empties it. Knows nothing of sockets.
import Primitives

/// Where a packet goes: an address, and the socket it leaves by. Trivial.
@frozen public struct Destination: Equatable, Sendable {
    public var address: SocketAddress
    /// The driver's file descriptor; the shared media port or a client connection's own socket.
    public var socket: Int32

    @inlinable public init(address: SocketAddress, socket: Int32) {
        self.address = address
        self.socket = socket
    }
}

/// Packets for one destination, lying one after the other, all `segmentLength` long but the last, which may be shorter.
@frozen public struct SendRun {
    public var destination: Destination
    public var offset: Int
    public var length: Int
    public var segmentLength: Int
    public var segments: Int
    /// A shorter segment was added: nothing may follow it in this run.
    var isClosed: Bool
}

/// A block of memory that packets are written into, with the list of runs in it. Not thread-safe.
public final class SendArena {
    /// Linux takes at most 64 segments and 65,507 bytes in one UDP_SEGMENT send.
    static let maximumSegments = 64
    static let maximumRunLength = 64_000

    public let memory: UnsafeMutableRawPointer
    /// 2 KiB in which one packet's header is put together before it is encrypted into `memory`.
    let scratch: UnsafeMutableRawPointer
    public let capacity: Int
    public private(set) var used = 0
    private let runStorage: UnsafeMutablePointer<SendRun>
    private let runCapacity: Int
    public private(set) var runCount = 0
    /// Called when the arena is full and by `flush`: must send everything in `runs`.
    private let drain: (SendArena) -> Void

    public init(capacity: Int = 512 * 1024, maximumRuns: Int = 512, drain: @escaping (SendArena) -> Void) {
        self.capacity = capacity
        memory = .allocate(byteCount: capacity, alignment: 64)
        scratch = .allocate(byteCount: 2048, alignment: 64)
        runStorage = .allocate(capacity: maximumRuns)
        runCapacity = maximumRuns
        self.drain = drain
    }

    deinit {
        memory.deallocate()
        scratch.deallocate()
        runStorage.deallocate()
    }

    public var runs: UnsafeBufferPointer<SendRun> { UnsafeBufferPointer(start: runStorage, count: runCount) }

    /// Room for one packet of at most `length` bytes; drains first when there is too little.
    @inline(__always)
    public func reserve(_ length: Int) -> UnsafeMutableRawPointer {
        if used + length > capacity || runCount == runCapacity { flush() }
        return memory + used
    }

    /// Takes the `length` bytes just written at the pointer that `reserve` gave.
    @inline(__always)
    public func commit(_ length: Int, to destination: Destination) {
        if runCount > 0 {
            let last = runStorage + (runCount - 1)
            if !last.pointee.isClosed, length <= last.pointee.segmentLength,
                last.pointee.destination == destination,
                last.pointee.segments < Self.maximumSegments, last.pointee.length + length <= Self.maximumRunLength
            {
                last.pointee.length += length
                last.pointee.segments += 1
                last.pointee.isClosed = length < last.pointee.segmentLength
                used += length
                return
            }
        }
        (runStorage + runCount).initialize(
            to: SendRun(destination: destination, offset: used, length: length, segmentLength: length, segments: 1, isClosed: false))
        runCount += 1
        used += length
    }

    /// Copies a ready datagram (STUN, DTLS, RTCP) behind what is already there.
    public func append(_ datagram: UnsafeRawBufferPointer, to destination: Destination) {
        guard let base = datagram.baseAddress, datagram.count <= 2048 else { return }
        reserve(datagram.count).copyMemory(from: base, byteCount: datagram.count)
        commit(datagram.count, to: destination)
    }

    /// Hands everything to the driver and starts anew.
    public func flush() {
        guard runCount > 0 else { return }
        drain(self)
        used = 0
        runCount = 0
    }
}
