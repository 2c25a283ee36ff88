// SPDX-License-Identifier: Apache-2.0
// One accepted TCP connection of a reactor: packets in, packets out. Owned by TCPConnections; its reactor's thread only.
import CMartlet
import Glibc
import MediaGraph
import Primitives
import RTP

/// A peer's ICE-TCP connection (RFC 6544, passive on our side), packets framed as RFC 4571 says.
final class TCPConnection {
    let descriptor: Int32
    /// The peer, reached `via` this connection: what routes and ICE know it by.
    let address: SocketAddress
    /// A check whose integrity is right has come over it: it belongs to a transport.
    var isBound = false
    var isOpen = true
    let openedAt: Instant
    var lastReceived: Instant
    var reader = FrameReader()
    let queue: FrameQueue
    /// What its queue holds of the server's memory, and how much that was when it was last told.
    let account: MemoryAccount
    var accounted = 0
    /// The budget asks it to go; set on any thread, looked at once a second.
    let isEvicted: Flag
    /// Whether its epoll entry asks for EPOLLOUT.
    var isWaiting = false

    init(descriptor: Int32, address: SocketAddress, limits: FrameQueue.Limits, memory: MemoryBudget, at now: Instant) {
        let isEvicted = Flag()
        self.isEvicted = isEvicted
        account = memory.account(for: AddressKey(address)) { _ in isEvicted.set() }
        self.descriptor = descriptor
        self.address = address
        openedAt = now
        lastReceived = now
        queue = FrameQueue(limits: limits)
    }

    /// Sends the packets of one run, or queues what the connection doesn't take at once.
    func send(_ bytes: UnsafeRawPointer, _ run: SendRun, at now: Instant) {
        var done = 0
        if queue.count == 0, !queue.isStalled {
            let taken = martlet_tcp_send_frames(
                descriptor, bytes.assumingMemoryBound(to: UInt8.self), run.length, run.segmentLength, Int32(run.segments))
            // An error is told by epoll as well, which ends the connection.
            var rest = max(0, taken)
            while done < run.segments {
                let packet = self.packet(done, of: run, at: bytes)
                if rest >= packet.count + 2 {
                    rest -= packet.count + 2
                    done += 1
                    continue
                }
                if rest > 0 {
                    queueRest(of: packet, from: rest, at: now)
                    done += 1
                }
                break
            }
        }
        while done < run.segments {
            queue.append(packet(done, of: run, at: bytes), at: now)
            done += 1
        }
    }

    private func packet(_ index: Int, of run: SendRun, at bytes: UnsafeRawPointer) -> UnsafeRawBufferPointer {
        let offset = index * run.segmentLength
        return UnsafeRawBufferPointer(start: bytes + offset, count: min(run.segmentLength, run.length - offset))
    }

    /// The connection has taken the first `taken` bytes of a packet's frame.
    private func queueRest(of packet: UnsafeRawBufferPointer, from taken: Int, at now: Instant) {
        if taken == 1 {
            var low = UInt8(truncatingIfNeeded: packet.count)
            withUnsafeBytes(of: &low) { queue.append(restOfPacket: $0, at: now) }
        }
        queue.append(restOfPacket: UnsafeRawBufferPointer(rebasing: packet.dropFirst(max(0, taken - 2))), at: now)
    }

    /// Sends what waits. True when that ends a stall.
    func sendWaiting() -> Bool {
        let unsent = queue.unsent
        let taken = unsent.isEmpty ? 0 : Glibc.send(descriptor, unsent.baseAddress, unsent.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
        return taken < 0 ? false : queue.consume(taken)
    }
}
