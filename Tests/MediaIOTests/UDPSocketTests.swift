// SPDX-License-Identifier: Apache-2.0
import CMartlet
import Glibc
@testable import MediaGraph
import Primitives
import Testing

@testable import MediaIO

@Suite("UDPSocket on a machine with several addresses") struct UDPSocketTests {
    /// A peer bound to 127.0.0.1; every 127.x.x.x is an address of this machine.
    private static func peer() -> (descriptor: Int32, port: UInt16) {
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = bind(descriptor, $0, size)
                _ = getsockname(descriptor, $0, &size)
            }
        }
        var time = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        return (descriptor, UInt16(bigEndian: address.sin_port))
    }

    /// A socket on ::1 as the far end, and one of ours whose path there carries 1280 bytes; `nil` where there is no IPv6.
    private static func narrowPath() throws -> (server: UDPSocket, client: Int32, to: SocketAddress)? {
        let server = try UDPSocket(port: 0)
        let descriptor = socket(AF_INET6, Int32(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_addr = in6addr_loopback
        var size = socklen_t(MemoryLayout<sockaddr_in6>.size)
        let bound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, size) == 0 && getsockname(descriptor, $0, &size) == 0 }
        }
        var mtu: Int32 = 1280
        let isSet = setsockopt(server.descriptor, Int32(IPPROTO_IPV6), IPV6_MTU, &mtu, socklen_t(MemoryLayout<Int32>.size)) == 0
        guard bound, isSet else {
            close(descriptor)
            return nil
        }
        var time = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        return (server, descriptor, SocketAddress(ipv6High: 0, low: 1, port: UInt16(bigEndian: address.sin6_port)))
    }

    private static func send(_ segments: Int, of length: Int, by server: UDPSocket, to: SocketAddress) -> Bool {
        let bytes = [UInt8](repeating: 7, count: length * segments)
        let run = SendRun(
            destination: Destination(address: to, socket: server.descriptor), offset: 0, length: bytes.count, segmentLength: length,
            segments: segments, isClosed: false)
        return bytes.withUnsafeBytes { server.send($0.baseAddress!, run) }
    }

    @Test("a run of packets larger than the path's MTU arrives in fragments and is counted; segmentation stays on for others")
    func fragments() throws {
        guard let (server, client, to) = try Self.narrowPath() else { return }
        defer { close(client) }
        var buffer = [UInt8](repeating: 0, count: 2000)
        #expect(!Self.send(4, of: 1400, by: server, to: to))
        #expect(server.lastFailures.fragmented == 4 && server.lastFailures.dropped == 0)
        for _ in 0..<4 { #expect(recv(client, &buffer, buffer.count, 0) == 1400) }
        #expect(Self.send(4, of: 1000, by: server, to: to))
        for _ in 0..<4 { #expect(recv(client, &buffer, buffer.count, 0) == 1000) }
        #expect(server.segmentationWorks && server.failures.fragmented == 4)
    }

    @Test("what may not be cut is dropped and counted with its reason, alone and in runs", arguments: [1, 3])
    func tooLarge(segments: Int) throws {
        guard let (server, client, to) = try Self.narrowPath() else { return }
        defer { close(client) }
        var never: Int32 = 2  // IPV6_PMTUDISC_DO
        setsockopt(server.descriptor, Int32(IPPROTO_IPV6), IPV6_MTU_DISCOVER, &never, socklen_t(MemoryLayout<Int32>.size))
        #expect(!Self.send(segments, of: 1400, by: server, to: to))
        #expect(server.failures.tooLarge == UInt64(segments) && server.failures.dropped == UInt64(segments))
        #expect(server.failures.fragmented == 0 && server.segmentationWorks)
    }

    @Test("over IPv4 any router may cut packets, over IPv6 the kernel does")
    func discovery() throws {
        let server = try UDPSocket(port: 0)
        var value: Int32 = -1
        var size = socklen_t(MemoryLayout<Int32>.size)
        #expect(getsockopt(server.descriptor, Int32(IPPROTO_IP), IP_MTU_DISCOVER, &value, &size) == 0 && value == 0)
    }

    @Test("an answer leaves from the address that was written to, alone and in runs", arguments: [1, 3])
    func answersFromTheSameAddress(segments: Int) throws {
        let server = try UDPSocket(port: 0, notesDestination: true)
        let (descriptor, port) = Self.peer()
        defer { close(descriptor) }
        let receiver = try #require(martlet_receiver_create())
        defer { martlet_receiver_destroy(receiver) }
        var numbers: Set<UInt32> = []
        for own: UInt32 in [0x7f00_0002, 0x7f00_0003, 0x7f00_0001, 0x7f00_0002] {
            #expect(martlet_send(descriptor, 0, "hello", 5, 0, martlet_address(high: 0, low: UInt64(own), port: server.port, is_ipv6: 0)) == 0)
            var waiting = pollfd(fd: server.descriptor, events: Int16(POLLIN), revents: 0)
            #expect(poll(&waiting, 1, 5000) == 1)
            #expect(martlet_receive(receiver, server.descriptor) == 1)
            let datagram = try #require(martlet_received(receiver, 0)).pointee
            #expect(datagram.has_to == 1 && datagram.to.low == UInt64(own))
            let via = server.number(of: datagram.to)
            numbers.insert(via)
            let source = SocketAddress(ipv4: 0x7f00_0001, port: port).via(via)
            let bytes = [UInt8](repeating: 7, count: 100 * segments)
            let run = SendRun(
                destination: Destination(address: source, socket: server.descriptor), offset: 0, length: bytes.count, segmentLength: 100,
                segments: segments, isClosed: false)
            #expect(bytes.withUnsafeBytes { server.send($0.baseAddress!, run) })
            for _ in 0..<segments {
                var from = sockaddr_in()
                var size = socklen_t(MemoryLayout<sockaddr_in>.size)
                var buffer = [UInt8](repeating: 0, count: 2000)
                let length = withUnsafeMutablePointer(to: &from) {
                    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { recvfrom(descriptor, &buffer, buffer.count, 0, $0, &size) }
                }
                #expect(length == 100 && UInt32(bigEndian: from.sin_addr.s_addr) == own)
            }
        }
        #expect(numbers == [1, 2, 3])
    }
}
