// SPDX-License-Identifier: Apache-2.0
import Synchronization
import Testing

@testable import MartletServer

struct RTPPortPairTests {
    /// What has come to a pair of ports, the first byte of each packet.
    private final class Inbox: Sendable {
        private let packets = Mutex<[UInt8]>([])
        private let reports = Mutex<[UInt8]>([])

        func take(_ bytes: [UInt8], isReport: Bool) {
            if isReport { reports.withLock { $0 += bytes.prefix(1) } } else { packets.withLock { $0 += bytes.prefix(1) } }
        }
        func has(_ packet: UInt8) -> Bool { packets.withLock { $0.contains(packet) } }
        func has(report: UInt8) -> Bool { reports.withLock { $0.contains(report) } }
    }

    private func open(_ host: String, remotePort: UInt16 = 9, _ inbox: Inbox) async throws -> RTPPortPair {
        try await RTPPortPair.open(host: host, remote: "127.0.0.1", remotePort: remotePort) { inbox.take($0, isReport: $1) }
    }

    @Test("packets of another address are taken once the peer has named it, and what is sent goes to where they come from")
    func sources() async throws {
        let inbox = Inbox(), nearInbox = Inbox(), farInbox = Inbox()
        let ports = try await open("127.0.0.1", inbox)
        // The peer's own address, and another.
        let near = try await open("127.0.0.1", remotePort: ports.port, nearInbox)
        let far = try await open("127.0.0.77", remotePort: ports.port, farInbox)
        #expect(await eventually {
            far.send([1], isReport: false)
            near.send([2], isReport: false)
            return inbox.has(2)
        })
        #expect(!inbox.has(1))

        #expect(ports.accept("127.0.0.77"))
        // Known; not of this machine, as the peer is; not of its kind.
        for host in ["127.0.0.77", "127.0.0.1", "10.0.0.7", "::1"] { #expect(!ports.accept(host), "\(host)") }
        #expect(await eventually {
            far.send([3], isReport: false)
            return inbox.has(3)
        })
        ports.aim(at: far.port)
        #expect(await eventually {
            far.send([3], isReport: false)
            ports.send([4], isReport: true)
            return farInbox.has(report: 4)
        })
        // It was wrong after all: the peer's packets come from its own address.
        #expect(await eventually {
            near.send([5], isReport: false)
            return inbox.has(5)
        })
        ports.aim(at: near.port)
        #expect(await eventually {
            near.send([5], isReport: false)
            ports.send([6], isReport: true)
            return nearInbox.has(report: 6)
        })
        for pair in [ports, near, far] { await pair.close() }
    }
}
