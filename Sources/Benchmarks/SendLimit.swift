// SPDX-License-Identifier: Apache-2.0
// The least that sending can cost on this machine: the same packets, encrypted for the same number of receivers and sent
// in the same runs by a bare loop. What the server takes is told as a multiple of this.
import CBenchmarks
import CMartlet
import Glibc
import SRTP

struct SendLimit: Sendable {
    /// µs of processor time a packet.
    var microseconds: Double
    var packets: Int
    /// Packets a system call.
    var packetsPerRun: Double

    /// Measures on the calling thread (blocks it): for each frame and each receiver AES-128-GCM (one SRTP session a receiver) over all
    /// its packets, padded to one length, then one `sendmsg` with UDP_SEGMENT. Receiving is not counted.
    ///
    /// - Parameters:
    ///   - receivers: sockets to send to; each has keys of its own, as each player has.
    ///   - gro: as the players of the benchmark have it.
    ///   - atLeast: packets to send.
    ///   - paced: with the pauses of the real stream, in which caches and the core go cold, for three seconds.
    static func measure(
        shape: StreamShape, receivers count: Int, gro: Bool, atLeast wanted: Int = 200_000, paced: Bool = false
    ) throws -> SendLimit {
        var isIPv6: Int32 = 0
        var port: UInt16 = 0
        let socket = martlet_udp_open(0, &isIPv6, &port)
        guard socket >= 0, let drain = bench_receiver_create() else { throw BenchmarkError("No socket for measuring the limit") }
        defer { close(socket); bench_receiver_destroy(drain) }
        let poller = epoll_create1(Int32(EPOLL_CLOEXEC))
        defer { close(poller) }
        var receivers: [(socket: Int32, port: UInt16, sender: SRTPSender)] = []
        defer { for receiver in receivers { close(receiver.socket); receiver.sender.destroy() } }
        for i in 0..<count {
            var port: UInt16 = 0
            let socket = bench_udp_open(gro ? 1 : 0, &port)
            guard socket >= 0 else { throw BenchmarkError("No socket for measuring the limit") }
            // As with the players, somebody waits for each socket.
            var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data_t(fd: socket))
            epoll_ctl(poller, EPOLL_CTL_ADD, socket, &event)
            let key = (0..<16).map { UInt8(truncatingIfNeeded: i &* 31 &+ $0) }
            receivers.append((socket, port, try SRTPSender(profile: .aeadAES128GCM, key: key, salt: Array(key.prefix(12)))))
        }

        let bursts = bursts(of: shape)
        let payload = Noise.bytes(1)
        let output = UnsafeMutableRawPointer.allocate(byteCount: 128 * 1280, alignment: 64)
        defer { output.deallocate() }
        var header: (UInt64, UInt32) = (0x80 | 0x6c << 8, 0)
        var index: UInt64 = 1
        var packets = 0, runs = 0, nanoseconds: Int64 = 0, turn = 0
        let pause = 4_000_000_000 / Int64(bursts.count)
        var due = LoadClock.now()
        let end = due + 3_000_000_000
        while paced ? due < end : packets < wanted {
            let burst = bursts[turn % bursts.count]
            turn += 1
            if paced {
                due += pause
                let wait = due - LoadClock.now()
                if wait > 0 { usleep(UInt32(wait / 1000)) }
            }
            let start = LoadClock.thread()
            for receiver in receivers {
                let to = martlet_address(high: 0, low: 0x7f00_0001, port: receiver.port, is_ipv6: 0)
                for run in burst {
                    var used = 0
                    withUnsafeMutableBytes(of: &header) { header in
                        for i in 0..<run.count {
                            header.storeBytes(of: UInt16(truncatingIfNeeded: index &+ UInt64(i)).bigEndian, toByteOffset: 2, as: UInt16.self)
                            used += max(0, receiver.sender.protectRTP(
                                header: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(header)[..<12]),
                                payload: UnsafeRawBufferPointer(start: payload, count: run.length), paddingLength: 0, ssrc: 1,
                                index: index + UInt64(i), into: output + used))
                        }
                    }
                    _ = martlet_send(socket, isIPv6, output, used, run.count > 1 ? UInt16(used / run.count) : 0, to)
                    runs += 1
                    packets += run.count
                }
            }
            nanoseconds += LoadClock.thread() - start
            index += 128
            for receiver in receivers { while bench_receive(drain, receiver.socket) == 32 {} }
        }
        return SendLimit(
            microseconds: Double(nanoseconds) / 1000 / Double(max(1, packets)), packets: packets, packetsPerRun: Double(packets) / Double(max(1, runs)))
    }

    /// What is sent in one system call: packets of one length.
    struct Run: Equatable {
        let length: Int
        let count: Int
    }

    /// The stream as bursts: the packets of one picture (of one burst of it, when paced), or one packet of sound.
    static func bursts(of shape: StreamShape) -> [[Run]] {
        var bursts: [[Run]] = []
        var audio = 0
        for (i, bytes) in shape.frames.enumerated() {
            let lengths = StreamShape.payloads(of: bytes)
            let isKey = i == 0 || (!shape.isKeyOnDemand && i % StreamShape.keyFrameInterval == 0)
            var runs = isKey ? [Run(length: PacketContent.parameterSetsLength, count: 1)] : []
            // UDP_SEGMENT takes 64 at most; what a paced publisher has not sent yet can't be sent on.
            let together = shape.pacedBytes == 0 ? 50 : min(50, (shape.pacedBytes + lengths[0] - 1) / lengths[0])
            var left = lengths.count
            while left > 0 {
                runs.append(Run(length: lengths[0], count: min(left, together)))
                left -= min(left, together)
                guard shape.pacedBytes > 0 else { continue }
                bursts.append(runs)
                runs = []
            }
            if !runs.isEmpty { bursts.append(runs) }
            while shape.audioBytes > 0, audio * shape.framesPerSecond < (i + 1) * 50 {
                bursts.append([Run(length: shape.audioBytes, count: 1)])
                audio += 1
            }
        }
        return bursts
    }
}
