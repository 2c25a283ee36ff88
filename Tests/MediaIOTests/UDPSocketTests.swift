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
            bytes.withUnsafeBytes { server.send($0.baseAddress!, run) }
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
