// SPDX-License-Identifier: Apache-2.0
// How loud a track is, and keeping its silence from the players. On the stream's reactor.
import Primitives

extension UplinkTrack {
    /// Smoothed level in −dBov (RFC 6464: 0…127, 127 is silence); `nil` when the publisher sends none.
    public func audioLevel(at now: Instant) -> UInt8? { kind == .audio ? meter.level(at: now) : nil }

    /// From now on players get nothing while this track is silent. Taps get everything.
    public func withholdSilence() {
        if kind == .audio { gate.turnOn(newest: ring.newest) }
    }

    /// Packets that are sent after all at most.
    private static let longestLead: Int64 = 32

    /// Its silence is being kept from the players right now.
    var isWithheld: Bool { gate.isClosed }

    /// Whether the gathered packets go to the players; if so, and nothing went before, with the beginning of what is said now.
    @inline(never)
    func passesGate(_ count: Int, into arena: SendArena, at now: Instant) -> Bool {
        guard count > 0 else { return false }
        var level: UInt8? = AudioLevelMeter.silence
        var oldest = Int64.max, newest: Int64 = 0, arrival = Instant.zero
        for i in 0..<count {
            let slot = outgoing[i].slot
            oldest = min(oldest, slot.pointee.sequence)
            newest = max(newest, slot.pointee.sequence)
            arrival = max(arrival, slot.pointee.arrival)
            level = slot.pointee.audioLevel == 0xff ? nil : level.map { min($0, slot.pointee.audioLevel & 0x7f) }
        }
        switch gate.judge(level, newest: newest, at: arrival) {
        case .forward: return true
        case .withhold:
            withheld &+= UInt64(count)
            return false
        case .resume(let last):
            // Late packets of before the pause are no beginning.
            oldest = max(oldest, last + 1)
            resume(at: oldest, after: last, since: arrival - SilenceGate.lead, into: arena, at: now)
            return true
        }
    }

    /// Sends what came since `earliest` and before source packet `oldest`, and lets every player's numbers go on there.
    private func resume(at oldest: Int64, after last: Int64, since earliest: Instant, into arena: SendArena, at now: Instant) {
        var first = oldest
        // A packet that is missing may still come.
        for sequence in stride(from: oldest - 1, to: max(last, oldest - Self.longestLead), by: -1) {
            guard let slot = ring.slot(sequence) else { continue }
            guard slot.pointee.arrival >= earliest else { break }
            first = sequence
        }
        for sink in sinks where sink.pointee.isOpen {
            let first = sink.pointee.skip(from: last, to: first)
            guard sink.pointee.isStarted else { continue }
            // A player that is behind gets it from the pacer.
            for sequence in first..<max(first, oldest) where sequence < sink.pointee.cursor {
                guard let slot = ring.slot(sequence) else { continue }
                let payload = ring.payload(of: slot)
                sink.pointee.send(slot, payload: payload, padding: payload.count == 0 ? 1 : 0, arena: arena, at: now)
            }
        }
    }
}
