// SPDX-License-Identifier: Apache-2.0
// Spreads the packets of a frame over a few milliseconds. Owned by a PublishEngine.
import Primitives

/// RTP packets with the time each may leave. Times since the stream's start.
struct PacketPacer {
    struct Entry {
        let due: TimeSpan
        let track: Int
        let bytes: [UInt8]
    }

    /// More packets than this never wait: the oldest are sent at once.
    static let capacity = 8192

    private var entries: [Entry] = []
    private var head = 0
    /// When the latest packet of each track leaves; a track's packets keep their order.
    private var lastDue: [Int: TimeSpan] = [:]

    var nextDue: TimeSpan? { head < entries.count ? entries[head].due : nil }

    /// Queues one frame's packets from `now` on, evenly over `window`. A single packet leaves at once.
    mutating func add(_ packets: [[UInt8]], track: Int, now: TimeSpan, window: TimeSpan) {
        let gap = packets.count > 1 ? window / Int64(packets.count) : .zero
        var due = max(now, lastDue[track] ?? now)
        for bytes in packets {
            insert(Entry(due: due, track: track, bytes: bytes))
            lastDue[track] = due
            due += gap
        }
    }

    /// Takes out what may leave by `now`.
    mutating func take(upTo now: TimeSpan) -> [Entry] {
        let start = head
        while head < entries.count, entries[head].due <= now || entries.count - head > Self.capacity { head += 1 }
        let ready = Array(entries[start..<head])
        if head == entries.count || head > 1024 {
            entries.removeFirst(head)
            head = 0
        }
        return ready
    }

    private mutating func insert(_ entry: Entry) {
        var index = entries.count
        // Nearly always the end; equal times keep the order of arrival.
        while index > head, entries[index - 1].due > entry.due { index -= 1 }
        entries.insert(entry, at: index)
    }
}
