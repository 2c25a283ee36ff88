// SPDX-License-Identifier: Apache-2.0
// Puts packets that left together into groups and compares how far apart two groups left and arrived.
// Part of CongestionController.
import Primitives

/// Inter-arrival filter of GCC (draft-ietf-rmcat-gcc-02 §5.2): a group is a burst of 5 ms, or what a queue let go at once.
struct PacketGroups: Sendable {
    /// Two neighbouring groups: how much further apart they arrived than they left, and when by the receiver's clock.
    struct Delta {
        var sent: TimeSpan
        var arrived: TimeSpan
        var arrival: TimeSpan
    }

    private struct Group {
        var firstSent: Instant
        var lastSent: Instant
        /// From the zero of the receiver's clock, as all arrivals here.
        var firstArrival: TimeSpan
        var lastArrival: TimeSpan
    }

    private static let burst = TimeSpan.milliseconds(5)
    private static let longestBurst = TimeSpan.milliseconds(100)
    private var current: Group?
    private var previous: Group?

    /// Takes the next packet in the order of sending; gives the comparison of the two groups before it once a new one begins.
    mutating func note(sent: Instant, arrival: TimeSpan) -> Delta? {
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
            sent: group.lastSent.span(since: previous.lastSent), arrived: group.lastArrival - previous.lastArrival, arrival: group.lastArrival)
        // The receiver's clock jumped, or the path changed its order: begin anew.
        guard delta.arrived >= .zero, delta.arrived < .seconds(3) else {
            reset()
            return nil
        }
        return delta
    }

    mutating func reset() {
        current = nil
        previous = nil
    }

    private func belongs(_ sent: Instant, _ arrival: TimeSpan, _ group: Group) -> Bool {
        if sent.span(since: group.firstSent) <= Self.burst { return true }
        // Arrived closer together than they left: a queue that opened up let them go in one burst.
        return arrival - group.lastArrival <= Self.burst && (arrival - group.lastArrival) - sent.span(since: group.lastSent) < .zero
            && arrival - group.firstArrival < Self.longestBurst
    }
}
