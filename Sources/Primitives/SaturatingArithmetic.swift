// SPDX-License-Identifier: Apache-2.0
// Integer arithmetic that stops at the type's bounds. For numbers that a peer sent, where Swift's operators would end the process.

extension FixedWidthInteger {
    /// Returns the sum, or the bound that it lies beyond.
    @inlinable @inline(__always)
    public func addingSaturating(_ other: Self) -> Self {
        let (sum, overflow) = addingReportingOverflow(other)
        guard overflow else { return sum }
        return other < 0 ? .min : .max
    }

    /// Returns the difference, or the bound that it lies beyond.
    @inlinable @inline(__always)
    public func subtractingSaturating(_ other: Self) -> Self {
        let (difference, overflow) = subtractingReportingOverflow(other)
        guard overflow else { return difference }
        return other < 0 ? .max : .min
    }

    /// Returns the product, or the bound that it lies beyond.
    @inlinable @inline(__always)
    public func multipliedSaturating(by other: Self) -> Self {
        let (product, overflow) = multipliedReportingOverflow(by: other)
        guard overflow else { return product }
        return (self < 0) == (other < 0) ? .max : .min
    }
}
