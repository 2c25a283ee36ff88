// SPDX-License-Identifier: Apache-2.0
// What a camera sends by UDP before there is a stream to put it into: mostly the first key frame, since it comes beside the answer to PLAY and
// not behind it. A value; owned by RTSPLink.

struct EarlyDatagrams {
    struct Datagram: Equatable, Sendable {
        var track: Int
        var isReport: Bool
        var bytes: [UInt8]
    }

    static let maximum = 1024, maximumBytes = 1 << 20
    private var kept: [Datagram] = []
    private var bytes = 0
    /// Those that found no room.
    private(set) var lost = 0

    mutating func keep(_ datagram: Datagram) {
        // No datagram is longer than 65,535 bytes: this can't overflow.
        guard kept.count < Self.maximum, bytes + datagram.bytes.count <= Self.maximumBytes else {
            lost &+= 1
            return
        }
        kept.append(datagram)
        bytes += datagram.bytes.count
    }

    /// In the order in which they came; none is left.
    mutating func takeAll() -> [Datagram] {
        defer { (kept, bytes) = ([], 0) }
        return kept
    }
}
