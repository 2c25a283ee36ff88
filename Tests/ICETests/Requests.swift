// SPDX-License-Identifier: Apache-2.0
// Test support: hand-made checks, as a browser (or an attacker) would send them.
import ICE
import Primitives

extension STUNMessage {
    /// A Binding request for the agent with credentials `target`.
    static func check(
        for target: ICECredentials, from ufrag: String = "peer", password: String? = nil, nominating: Bool = false,
        id: UInt64 = 1, role: STUNAttribute? = .iceControlling(7), extra: [STUNAttribute] = []
    ) -> [UInt8] {
        var request = STUNMessage(.request, transactionID: .init(high: 1, low: id))
        request.attributes = [.username("\(target.ufrag):\(ufrag)"), .priority(1_853_817_087)]
        if let role { request.attributes.append(role) }
        if nominating { request.attributes.append(.useCandidate) }
        request.attributes += extra
        return request.serialized(integrityKey: Array((password ?? target.password).utf8))
    }
}

extension ICEAgent {
    mutating func receive(_ bytes: [UInt8], from source: SocketAddress, at now: Instant) -> [ICEAction] {
        bytes.withUnsafeBytes { receive($0, from: source, at: now) }
    }
}

extension [ICEAction] {
    /// The STUN messages among the actions that are sent to `address`.
    func messages(to address: SocketAddress) -> [(message: STUNMessage, bytes: [UInt8])] {
        compactMap {
            guard case .send(let bytes, address) = $0 else { return nil }
            return (try? bytes.withUnsafeBytes { try STUNMessage(parsing: $0) }).map { ($0, bytes) }
        }
    }
}
