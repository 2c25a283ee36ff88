// SPDX-License-Identifier: Apache-2.0
// Replay protection (RFC 3711 §3.3.2): which of the newest packet indices have been seen.
// A trivial view on words that SourceTable owns; one for RTP and one for RTCP per SSRC.

/// A bitmap over the newest `capacity` packet indices, used as a ring. Check before authentication, commit after it.
struct ReplayWindow {
    private let words: UnsafeMutablePointer<UInt64>
    private let mask: UInt64
    private(set) var highest: UInt64 = 0
    private(set) var isEmpty = true

    /// `words` are zeroed here; `count` is a power of two.
    init(words: UnsafeMutablePointer<UInt64>, count: Int) {
        words.initialize(repeating: 0, count: count)
        self.words = words
        mask = UInt64(count) * 64 - 1
    }

    /// Frees the words; for the window that starts an allocation.
    func destroyWords() { words.deallocate() }

    /// Whether `index` is neither seen nor older than the window.
    @inline(__always)
    func accepts(_ index: UInt64) -> Bool {
        if isEmpty || index > highest { return true }
        if highest &- index > mask { return false }
        let bit = index & mask
        return words[Int(bit >> 6)] & (1 << (bit & 63)) == 0
    }

    /// Marks `index`, which has been accepted and authenticated, as seen.
    @inline(__always)
    mutating func commit(_ index: UInt64) {
        if isEmpty {
            isEmpty = false
            highest = index
        } else if index > highest {
            if index &- highest > mask {
                words.update(repeating: 0, count: Int((mask &+ 1) >> 6))
            } else {
                // The places between the old and the new highest were those of indices that now leave the window.
                var between = highest &+ 1
                while between < index {
                    let bit = between & mask
                    words[Int(bit >> 6)] &= ~(1 << (bit & 63))
                    between &+= 1
                }
            }
            highest = index
        }
        let bit = index & mask
        words[Int(bit >> 6)] |= 1 << (bit & 63)
    }
}
