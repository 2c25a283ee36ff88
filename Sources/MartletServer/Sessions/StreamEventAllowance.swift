// SPDX-License-Identifier: Apache-2.0
// Bounds the stream events that one remote, a client or a server that we fetch from, may send to the viewers of a stream.
import Signalling

struct StreamEventAllowance: Sendable {
    /// Bytes that one may take, and how many a second on average over five seconds.
    static let maximumFootprint = 65_536, rate = 50

    /// Of data, and of mutes and the like: those say what is so, and must not be lost for the others' number.
    private var data = MessageAllowance(at: .now), states = MessageAllowance(at: .now)

    /// false: it is to be left out.
    mutating func takes(_ event: StreamEventMessage) -> Bool {
        guard (event.payload?.footprint ?? 0) <= Self.maximumFootprint else { return false }
        return event.known == .data ? data.take(rate: Self.rate, addressees: 1, at: .now) : states.take(rate: Self.rate, addressees: 1, at: .now)
    }
}
