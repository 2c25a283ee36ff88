// SPDX-License-Identifier: Apache-2.0
// The time that a benchmark measures, by when packets were sent: however late a busy load generator reads them, the
// server's work of that time is held against the packets of that time.

/// ns of the monotonic clock.
struct LoadWindow: Sendable {
    var from: Int64
    var to: Int64

    struct Result: Sendable {
        var packets: UInt64 = 0
        var bytes: UInt64 = 0
        /// From publisher to player; retransmissions are left out.
        var latency = LatencyHistogram()

        @inline(__always)
        mutating func note(_ stamp: Stamp, bytes count: Int, arrival: Int64, isRetransmission: Bool) {
            packets += 1
            bytes += UInt64(count)
            if !isRetransmission { latency.record(arrival - stamp.sentAt) }
        }

        mutating func merge(_ other: Result) {
            packets += other.packets
            bytes += other.bytes
            latency.merge(other.latency)
        }
    }
}
