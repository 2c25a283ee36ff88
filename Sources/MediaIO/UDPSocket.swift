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

    /// - Parameter port: 0 = any free port.
    init(port: UInt16) throws(SystemError) {
        var isIPv6: Int32 = 0
        var bound: UInt16 = 0
        let result = martlet_udp_open(port, &isIPv6, &bound)
        guard result >= 0 else { throw SystemError(call: "bind UDP port \(port)", code: -result) }
        descriptor = result
        self.isIPv6 = isIPv6
        self.port = bound
    }

    deinit { close(descriptor) }

    /// Sends one run of the arena.
    @inline(__always)
    func send(_ bytes: UnsafeRawPointer, _ run: SendRun) {
        let address = run.destination.address
        let to = martlet_address(high: address.high, low: address.low, port: address.port, is_ipv6: address.isIPv6 ? 1 : 0)
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
}

/// A system call that failed, with a sentence.
public struct SystemError: Error, CustomStringConvertible, Sendable {
    public let call: String
    public let code: Int32
    public var description: String { "\(call): \(String(cString: strerror(code)))" }
}
