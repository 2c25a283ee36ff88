// SPDX-License-Identifier: Apache-2.0
// How packets of TCP connections join the way of the others, and what a slow receiver means to its endpoint.
import CMartlet
import ICE
import MediaGraph
import Primitives
import RTP

extension ReactorCore {
    /// Everything that waits on TCP connections.
    func pollTCP() {
        tcp.poll(at: now) { packet, connection in receive(packet, on: connection) }
        leaveCrumb(MARTLET_WORK_NONE)
    }

    /// One packet of a connection; false when the connection is to be closed. What comes first has to be a check for one of
    /// our transports, with the right password: anything else is not worth a connection.
    private func receive(_ packet: UnsafeMutableRawBufferPointer, on connection: TCPConnection) -> Bool {
        leaveCrumb(MARTLET_WORK_TCP_PACKET, peer: connection.address)
        if connection.isBound {
            route(packet, from: connection.address, on: sharedSocket)
            return true
        }
        guard PacketClass(UnsafeRawBufferPointer(packet)) == .stun, hasTransport(for: UnsafeRawBufferPointer(packet)) else { return false }
        route(packet, from: connection.address, on: sharedSocket)
        connection.isBound = isRouted(connection.address)
        return connection.isBound
    }

    /// Tells endpoints whose connection takes no more media, or takes some again.
    func settleTCP() {
        tcp.sweep(at: now)
        for change in tcp.takeChanges() {
            switch change {
            case .stalled(let address): endpoint(at: address)?.setStalled(true, remote: address, arena: arena, at: now)
            case .resumed(let address): endpoint(at: address)?.setStalled(false, remote: address, arena: arena, at: now)
            }
        }
    }
}
