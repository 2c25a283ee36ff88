// SPDX-License-Identifier: Apache-2.0
// What an ICEAgent asks its driver to do.
public import Primitives

/// One thing to do, in the order given.
public enum ICEAction: Equatable, Sendable {
    /// Send a STUN datagram.
    case send([UInt8], to: SocketAddress)
    /// For the first time there is a proven way to the peer: DTLS and media may be sent there.
    case connected(SocketAddress)
    /// The peer is reached at another address from now on (nomination of another pair, NAT rebinding).
    case remoteChanged(SocketAddress)
    /// The agent has given up; it does nothing any more.
    case failed(ICEFailure)
}

/// Why an ICE session ended.
public enum ICEFailure: Error, Equatable, Sendable, CustomStringConvertible {
    /// No check succeeded within the connect timeout.
    case timeout
    /// The peer refused our checks; the sentence says how.
    case error(String)
    /// The peer stopped answering (or, for a lite agent, sending) for the consent timeout.
    case consentExpired

    public var description: String {
        switch self {
        case .timeout: "No connectivity check succeeded in time."
        case .error(let sentence): sentence
        case .consentExpired: "The peer stopped answering connectivity checks."
        }
    }
}
