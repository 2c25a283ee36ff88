// SPDX-License-Identifier: Apache-2.0
// Whose time has come, of many endpoints.
import DTLS
import MediaGraph
import Primitives
import SDP
import Testing
import WebRTC

@testable import MediaIO

@Suite("Deadlines of endpoints")
struct DeadlineTableTests {
    private let stream = MediaStream(handle: StreamHandle(rawValue: 1))
    private let certificate: DTLSCertificate

    init() throws { certificate = try DTLSCertificate.selfSigned(commonName: "test") }

    private func endpoint(_ number: UInt64) throws -> Endpoint {
        let connection = try PeerConnection.offerReceiving(
            kinds: [.audio],
            configuration: .init(
                certificate: certificate, candidates: [], codecs: CodecPreferences(), connectTimeout: .seconds(15), consentTimeout: .seconds(30)),
            random: .seeded(number))
        return PublisherEndpoint(
            id: EndpointID(rawValue: number), stream: stream, connection: connection, options: EndpointOptions(), timing: .init(), socket: 0,
            onEvent: { _ in })
    }

    private func at(_ nanoseconds: Int64) -> Instant { Instant(nanoseconds: nanoseconds) }
    private func ids(_ endpoints: [Endpoint]) -> [UInt64] { endpoints.map(\.id.rawValue).sorted() }

    @Test("those are due whose deadline has come, as each keeps it up to date by itself")
    func due() throws {
        let table = DeadlineTable()
        let endpoints = try (0..<5 as Range<UInt64>).map(endpoint)
        for one in endpoints { table.add(one) }
        // A new endpoint wants to be called at once.
        #expect(ids(table.due(at: at(0))) == [0, 1, 2, 3, 4])
        for (number, one) in endpoints.enumerated() { one.setDeadline(at(Int64(number) * 10)) }
        #expect(ids(table.due(at: at(19))) == [0, 1])
        #expect(ids(table.due(at: at(20))) == [0, 1, 2])
        #expect(table.due(at: at(-1)).isEmpty)
        endpoints[4].setDeadline(at(-5))
        #expect(ids(table.due(at: at(-1))) == [4])
    }

    @Test("who has left is never due, and its place is the next one's")
    func places() throws {
        let table = DeadlineTable()
        let one = try endpoint(1), other = try endpoint(2), third = try endpoint(3)
        table.add(one)
        table.add(other)
        let place = one.deadlinePlace?.index
        table.remove(one)
        #expect(one.deadlinePlace == nil)
        #expect(ids(table.due(at: at(.max - 1))) == [2])
        // Taken out twice, or never in: nothing happens.
        table.remove(one)
        table.remove(third)
        table.add(third)
        #expect(third.deadlinePlace?.index == place)
        #expect(ids(table.due(at: at(0))) == [2, 3])
    }

    @Test("beyond its first piece it grows, and places don't move")
    func growth() throws {
        let table = DeadlineTable()
        let endpoints = try (0..<1_030 as Range<UInt64>).map(endpoint)
        var cells: [UnsafeMutablePointer<Instant>?] = []
        for one in endpoints {
            table.add(one)
            cells.append(one.deadlinePlace?.cell)
        }
        #expect(endpoints.map { $0.deadlinePlace?.cell } == cells)
        #expect(Set(cells).count == 1_030)
        #expect(table.due(at: at(0)).count == 1_030)
    }

    @Test("endpoints that outlive it have nowhere to write any more")
    func lifetime() throws {
        let one = try endpoint(1)
        var table: DeadlineTable? = DeadlineTable()
        table?.add(one)
        #expect(one.deadlinePlace != nil)
        table = nil
        #expect(one.deadlinePlace == nil)
    }
}

extension Endpoint {
    /// What an endpoint does when its deadline changes, which only it can.
    fileprivate func setDeadline(_ deadline: Instant) { deadlinePlace?.cell.pointee = deadline }
}
