// Puts packets that left together into groups and compares how far apart two groups left and arrived.
// Part of CongestionController.

/// Inter-arrival filter of GCC (draft-ietf-rmcat-gcc-02 §5.2): a group is a burst of 5 ms, or what a queue let go at once.
struct PacketGroups: Sendable {
    /// Two neighbouring groups: how much further apart they arrived than they left, and when, ns.
    struct Delta {
        var sent: Int64
        var arrived: Int64
        var arrival: Int64
    }

    private struct Group {
        var firstSent: Int64
        var lastSent: Int64
        var firstArrival: Int64
        var lastArrival: Int64
    }

    private static let burst: Int64 = 5_000_000
    private static let longestBurst: Int64 = 100_000_000
    private var current: Group?
    private var previous: Group?

    /// Takes the next packet in the order of sending; gives the comparison of the two groups before it once a new one begins.
    mutating func note(sent: Int64, arrival: Int64) -> Delta? {
        guard var group = current else {
            current = Group(firstSent: sent, lastSent: sent, firstArrival: arrival, lastArrival: arrival)
            return nil
        }
        // Sent before the group began: reordered, says nothing.
        guard sent >= group.firstSent else { return nil }
        if belongs(sent, arrival, group) {
            group.lastSent = max(group.lastSent, sent)
            group.lastArrival = max(group.lastArrival, arrival)
            current = group
            return nil
        }
        defer {
            previous = group
            current = Group(firstSent: sent, lastSent: sent, firstArrival: arrival, lastArrival: arrival)
        }
        guard let previous else { return nil }
        let delta = Delta(
            sent: group.lastSent - previous.lastSent, arrived: group.lastArrival - previous.lastArrival, arrival: group.lastArrival)
        // The receiver's clock jumped, or the path changed its order: begin anew.
        guard delta.arrived >= 0, delta.arrived < 3_000_000_000 else {
            reset()
            return nil
        }
        return delta
    }

    mutating func reset() {
        current = nil
        previous = nil
    }

    private func belongs(_ sent: Int64, _ arrival: Int64, _ group: Group) -> Bool {
        if sent - group.firstSent <= Self.burst { return true }
        // Arrived closer together than they left: a queue that opened up let them go in one burst.
        return arrival - group.lastArrival <= Self.burst && (arrival - group.lastArrival) - (sent - group.lastSent) < 0
            && arrival - group.firstArrival < Self.longestBurst
    }
}
