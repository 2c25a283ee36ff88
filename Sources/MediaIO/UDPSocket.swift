// SPDX-License-Identifier: Apache-2.0
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
    /// Packets that didn't leave as meant, of all destinations.
    private(set) var failures = SendFailures()
    /// The same of the newest run for which `send` gave back false.
    private(set) var lastFailures = SendFailures()
    /// False once the network card has refused it: then everything leaves one by one.
    private(set) var segmentationWorks = true
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

    /// Datagrams that the kernel dropped because the receive buffer was full.
    var drops: UInt64 { UInt64(martlet_udp_drops(descriptor)) }

    /// Sends one run of the arena. False when packets of it were dropped or had to be cut into fragments: see `lastFailures`.
    @inline(__always)
    func send(_ bytes: UnsafeRawPointer, _ run: SendRun) -> Bool {
        let address = run.destination.address
        let to = martlet_address(high: address.high, low: address.low, port: address.port, is_ipv6: address.isIPv6 ? 1 : 0)
        if address.via != 0 { return sendFromOwnAddress(bytes, run, to) }
        if run.segments == 1 || segmentationWorks {
            let result = martlet_send(
                descriptor, isIPv6, bytes, run.length, run.segments > 1 ? UInt16(run.segmentLength) : 0, to)
            return result == 0 ? true : recover(from: result, bytes, run, to, nil)
        }
        return sendSeparately(bytes, run, to, nil, fragments: false)
    }

    /// The same, leaving from the address of ours that the peer knows.
    private func sendFromOwnAddress(_ bytes: UnsafeRawPointer, _ run: SendRun, _ to: martlet_address) -> Bool {
        let place = Int(run.destination.address.via) - 1
        guard ownAddresses.indices.contains(place) else { return drop(run, .unreachable) }
        var own = ownAddresses[place]
        if run.segments == 1 || segmentationWorks {
            let result = martlet_send_from(
                descriptor, isIPv6, bytes, run.length, run.segments > 1 ? UInt16(run.segmentLength) : 0, to, &own)
            return result == 0 ? true : recover(from: result, bytes, run, to, own)
        }
        return sendSeparately(bytes, run, to, own, fragments: false)
    }

    // MARK: when a run is refused

    /// What can still be done for a run that the kernel has refused.
    @inline(never)
    private func recover(
        from result: Int32, _ bytes: UnsafeRawPointer, _ run: SendRun, _ to: martlet_address, _ own: martlet_address?
    ) -> Bool {
        guard run.segments > 1 else { return drop(run, SendFailure(code: -result)) }
        switch -result {
        case EMSGSIZE, EINVAL:
            // The segments are larger than the path's MTU (Linux up to 6.11 says EINVAL). One by one they may be cut into fragments. This is
            // the matter of one destination: others keep the segmentation.
            return sendSeparately(bytes, run, to, own, fragments: true)
        case EIO:
            // A network card without checksum offload refuses segmentation (udp(7)): send one by one from now on.
            segmentationWorks = false
            return sendSeparately(bytes, run, to, own, fragments: false)
        default:
            return drop(run, SendFailure(code: -result))
        }
    }

    private func drop(_ run: SendRun, _ failure: SendFailure) -> Bool {
        lastFailures = SendFailures()
        lastFailures.count(failure, packets: run.segments)
        failures += lastFailures
        return false
    }

    /// - Parameter fragments: the packets are larger than the path's MTU.
    private func sendSeparately(
        _ bytes: UnsafeRawPointer, _ run: SendRun, _ to: martlet_address, _ own: martlet_address?, fragments: Bool
    ) -> Bool {
        var result = SendFailures()
        var own = own ?? martlet_address()
        let hasOwn = run.destination.address.via != 0
        for offset in stride(from: 0, to: run.length, by: run.segmentLength) {
            let length = min(run.segmentLength, run.length - offset)
            let code = hasOwn
                ? martlet_send_from(descriptor, isIPv6, bytes + offset, length, 0, to, &own)
                : martlet_send(descriptor, isIPv6, bytes + offset, length, 0, to)
            if code != 0 {
                result.count(SendFailure(code: -code))
            } else if fragments, length == run.segmentLength {
                result.fragmented &+= 1
            }
        }
        guard result != SendFailures() else { return true }
        lastFailures = result
        failures += result
        return false
    }
}

/// A system call that failed, with a sentence.
public struct SystemError: Error, CustomStringConvertible, Sendable {
    public let call: String
    public let code: Int32
    public var description: String { "\(call): \(String(cString: strerror(code)))" }
}
