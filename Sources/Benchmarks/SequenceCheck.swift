// SPDX-License-Identifier: Apache-2.0
// Which sequence numbers of a track have come: what is missing or doubled. Owned by LoadPlayer.
import RTP

/// Remembers the last 1024 sequence numbers.
struct SequenceCheck {
    private static let span: Int64 = 1024
    private var unwrapper = SequenceUnwrapper()
    /// One bit a number, by number modulo `span`.
    private var seen = [UInt64](repeating: 0, count: 16)

    /// Takes the sequence number of a packet that arrived.
    /// - Returns: the number unwrapped, by how many the expected packets have become more (0 for a late one), and whether it
    ///   is here for the first time. A number that is too old to tell counts as doubled.
    mutating func receive(_ sequence: UInt16) -> (number: Int64, passed: UInt64, isNew: Bool) {
        let previous = unwrapper.newest
        let number = unwrapper.unwrap(sequence)
        var passed: UInt64 = 0
        if previous == 0 {
            passed = 1
        } else if number > previous {
            passed = UInt64(number - previous)
            for n in (max(previous, number - Self.span) + 1)...number { seen[Int(n >> 6 & 15)] &= ~(1 << UInt64(n & 63)) }
        } else if previous - number >= Self.span {
            return (number, 0, false)
        }
        let word = Int(number >> 6 & 15)
        let bit: UInt64 = 1 << UInt64(number & 63)
        let isNew = seen[word] & bit == 0
        seen[word] |= bit
        return (number, passed, isNew)
    }
}
