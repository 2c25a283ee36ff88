// SPDX-License-Identifier: Apache-2.0
// Players that are behind the live edge, because they joined from the ring or because their line is too thin: sent from
// the ring by a cursor, at the pace of their line, until they have caught up.
import Primitives

extension UplinkTrack {
    /// What became of a player that was behind.
    enum Progress: Equatable {
        /// It has everything: the shared fan-out may serve it again (`release`).
        case caughtUp
        /// The budget is used up.
        case behind
        /// The next frame has waited for longer than allowed: what follows is of no use before a key frame.
        case late
    }

    /// Takes a player out of the shared fan-out: what arrives from now on is left to `pace`.
    func hold(_ sink: UnsafeMutablePointer<DownlinkTrack>, arena: SendArena, at now: Instant) {
        guard sink.pointee.isStarted, sink.pointee.cursor == .max else { return }
        flush(into: arena, at: now)
        sink.pointee.cursor = ring.newest + 1
    }

    /// Sends what a player that is behind is due, as far as `room` bytes go.
    ///
    /// - Parameters:
    ///   - since: when it fell behind: what was in the ring then counts as waiting from then on.
    ///   - patience: how long a packet may wait.
    func pace(
        _ sink: UnsafeMutablePointer<DownlinkTrack>, since: Instant, patience: TimeSpan, room: inout Int, arena: SendArena, at now: Instant
    ) -> Progress {
        // What has arrived in this turn is in the ring already; the others get it first, so that it isn't sent here twice.
        flush(into: arena, at: now)
        while sink.pointee.cursor <= ring.newest {
            let cursor = sink.pointee.cursor
            if let slot = ring.slot(cursor) {
                // Frames are left out as a whole.
                if now.span(since: max(slot.pointee.arrival, since)) > patience, beginsFrame(slot) { return .late }
                guard room > 0 else { return .behind }
                let payload = ring.payload(of: slot)
                sink.pointee.send(slot, payload: payload, padding: payload.count == 0 ? 1 : 0, arena: arena, at: now)
                room -= slot.pointee.length
            }
            sink.pointee.cursor = cursor + 1
        }
        return .caughtUp
    }

    /// Gives a player that has caught up back to the shared fan-out.
    func release(_ sink: UnsafeMutablePointer<DownlinkTrack>) { sink.pointee.cursor = .max }

    /// Lets a player go on at the newest key frame, if there is one that it has not got and that arrived after `earliest`.
    func skipToKeyFrame(_ sink: UnsafeMutablePointer<DownlinkTrack>, after earliest: Instant) -> Bool {
        guard sink.pointee.cursor != .max, let slot = ring.joinPoint, slot.pointee.sequence >= sink.pointee.cursor,
            slot.pointee.arrival > earliest
        else { return false }
        var frames: UInt64 = 0
        for sequence in sink.pointee.cursor..<slot.pointee.sequence where ring.slot(sequence)?.pointee.marker ?? false { frames += 1 }
        sink.pointee.skip(to: slot, frames: frames)
        return true
    }

    /// Whether nothing of the frame of `slot` came before it.
    private func beginsFrame(_ slot: UnsafePointer<PacketSlot>) -> Bool {
        guard let before = ring.slot(slot.pointee.sequence - 1) else { return true }
        return before.pointee.timestamp != slot.pointee.timestamp
    }
}
