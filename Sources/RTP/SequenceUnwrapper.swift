// SPDX-License-Identifier: Apache-2.0
// Turns 16-bit RTP sequence numbers into numbers that only grow. Owned by whoever follows one SSRC.

/// Extends 16-bit sequence numbers to 64 bits (RFC 3550 A.1, without its probation). Trivial, 8 bytes.
///
/// Results begin at 65536 + the first sequence number, so that packets older than the first stay positive.
@frozen public struct SequenceUnwrapper: Sendable {
    /// The highest number given so far; 0 before the first.
    @inlinable public var newest: Int64 { highest }
    @usableFromInline var highest: Int64

    @inlinable public init() { highest = 0 }

    /// What `unwrap` would give, without noting it.
    @inlinable @inline(__always)
    public func nearest(to sequence: UInt16) -> Int64 {
        highest &+ Int64(Int16(bitPattern: sequence &- UInt16(truncatingIfNeeded: highest)))
    }

    /// The number nearest to the highest one so far whose low 16 bits are `sequence`.
    @inlinable @inline(__always)
    public mutating func unwrap(_ sequence: UInt16) -> Int64 {
        guard highest != 0 else {
            highest = 65_536 + Int64(sequence)
            return highest
        }
        let delta = Int16(bitPattern: sequence &- UInt16(truncatingIfNeeded: highest))
        let result = highest &+ Int64(delta)
        if delta > 0 { highest = result }
        return result
    }
}
