// SPDX-License-Identifier: Apache-2.0
// What the receiver remembers per SSRC: the rollover counter and the replay windows of RTP and RTCP.
// Owned by SRTPReceiver's state. An entry is only made for an SSRC that has authenticated itself.

/// A bounded table of sources with a linear search that starts at the source of the last packet.
struct SourceTable {
    /// The most SSRCs that one context follows.
    static let capacity = 64
    private static let rtpWords = 16
    private static let rtcpWords = 2
    private static let wordsPerSource = rtpWords + rtcpWords

    struct Source {
        let ssrc: UInt32
        var rtp: ReplayWindow
        var rtcp: ReplayWindow
    }

    private var entries: UnsafeMutablePointer<Source>
    private var room = 4
    private(set) var count = 0
    private var last = 0

    init() { entries = .allocate(capacity: room) }

    mutating func destroy() {
        for i in 0..<count { entries[i].rtp.destroyWords() }
        entries.deallocate()
        count = 0
    }

    var isFull: Bool { count == Self.capacity }

    /// The entry of `ssrc`, valid until the next `add`.
    @inline(__always)
    mutating func find(_ ssrc: UInt32) -> UnsafeMutablePointer<Source>? {
        if last < count, entries[last].ssrc == ssrc { return entries + last }
        for i in 0..<count where entries[i].ssrc == ssrc {
            last = i
            return entries + i
        }
        return nil
    }

    /// Makes an entry for an SSRC that has none. The table must not be full.
    mutating func add(_ ssrc: UInt32) -> UnsafeMutablePointer<Source> {
        precondition(count < Self.capacity, "checked by the receiver before it decrypts")
        if count == room {
            let larger = UnsafeMutablePointer<Source>.allocate(capacity: room * 2)
            larger.moveInitialize(from: entries, count: count)
            entries.deallocate()
            entries = larger
            room *= 2
        }
        let words = UnsafeMutablePointer<UInt64>.allocate(capacity: Self.wordsPerSource)
        (entries + count).initialize(to: Source(
            ssrc: ssrc,
            rtp: ReplayWindow(words: words, count: Self.rtpWords),
            rtcp: ReplayWindow(words: words + Self.rtpWords, count: Self.rtcpWords)))
        last = count
        count += 1
        return entries + last
    }
}
