// A UDP socket of a reactor: batched receive, segmented send. Used on its reactor's thread only.
import CMartlet
import Glibc
import MediaGraph
import Primitives

/// A non-blocking dual-stack UDP socket with UDP_GRO and UDP_SEGMENT.
final class UDPSocket {
    let descriptor: Int32
    let port: UInt16
    private let isIPv6: Int32
    /// Runs lost because the socket's send buffer was full or the network refused them.
    private(set) var sendFailures: UInt64 = 0
    private var segmentationWorks = true
    /// Our addresses that datagrams came to, while that is noted; `SocketAddress.via` is the place in here plus one.
    private var ownAddresses: [martlet_address] = []
    private static let maximumOwnAddresses = 255

    /// - Parameters:
    ///   - port: 0 = any free port.
    ///   - notesDestination: on machines with several addresses, so that answers leave from the one they were sent to.
    init(port: UInt16, notesDestination: Bool = false) throws(SystemError) {
        var isIPv6: Int32 = 0
        var bound: UInt16 = 0
        let result = martlet_udp_open(port, &isIPv6, &bound)
        guard result >= 0 else { throw SystemError(call: "bind UDP port \(port)", code: -result) }
        descriptor = result
        self.isIPv6 = isIPv6
        self.port = bound
        if notesDestination { martlet_udp_note_destination(descriptor, isIPv6) }
    }

    /// What `via` is for datagrams that came to an address of ours; 0 when there are too many to tell apart.
    func number(of own: martlet_address) -> UInt32 {
        for (index, known) in ownAddresses.enumerated() where known.high == own.high && known.low == own.low && known.is_ipv6 == own.is_ipv6 {
            return UInt32(index + 1)
        }
        guard ownAddresses.count < Self.maximumOwnAddresses else { return 0 }
        ownAddresses.append(own)
        return UInt32(ownAddresses.count)
    }

    deinit { close(descriptor) }

    /// Sends one run of the arena.
    @inline(__always)
    func send(_ bytes: UnsafeRawPointer, _ run: SendRun) {
        let address = run.destination.address
        let to = martlet_address(high: address.high, low: address.low, port: address.port, is_ipv6: address.isIPv6 ? 1 : 0)
        if address.via != 0 { return sendFromOwnAddress(bytes, run, to) }
        if run.segments == 1 || segmentationWorks {
            let result = martlet_send(
                descriptor, isIPv6, bytes, run.length, run.segments > 1 ? UInt16(run.segmentLength) : 0, to)
            if result == 0 { return }
            // A network card without checksum offload refuses segmentation (udp(7)): send one by one from now on.
            guard run.segments > 1, result == -EIO || result == -EINVAL else { return sendFailures &+= 1 }
            segmentationWorks = false
        }
        var offset = 0
        while offset < run.length {
            let length = min(run.segmentLength, run.length - offset)
            if martlet_send(descriptor, isIPv6, bytes + offset, length, 0, to) != 0 { sendFailures &+= 1 }
            offset += length
        }
    }

    /// The same, leaving from the address of ours that the peer knows.
    private func sendFromOwnAddress(_ bytes: UnsafeRawPointer, _ run: SendRun, _ to: martlet_address) {
        let place = Int(run.destination.address.via) - 1
        guard ownAddresses.indices.contains(place) else { return sendFailures &+= 1 }
        var own = ownAddresses[place]
        if run.segments == 1 || segmentationWorks {
            let result = martlet_send_from(
                descriptor, isIPv6, bytes, run.length, run.segments > 1 ? UInt16(run.segmentLength) : 0, to, &own)
            if result == 0 { return }
            guard run.segments > 1, result == -EIO || result == -EINVAL else { return sendFailures &+= 1 }
            segmentationWorks = false
        }
        for offset in stride(from: 0, to: run.length, by: run.segmentLength) {
            let length = min(run.segmentLength, run.length - offset)
            if martlet_send_from(descriptor, isIPv6, bytes + offset, length, 0, to, &own) != 0 { sendFailures &+= 1 }
        }
    }
}

/// A system call that failed, with a sentence.
public struct SystemError: Error, CustomStringConvertible, Sendable {
    public let call: String
    public let code: Int32
    public var description: String { "\(call): \(String(cString: strerror(code)))" }
}
