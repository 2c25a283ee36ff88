// SPDX-License-Identifier: Apache-2.0
// Finds the units of an H.264 byte stream. Used by the packetiser and by whoever reads such files.

/// The byte stream format (H.264 Annex B): units behind start codes 0 0 1.
public enum AnnexB {
    /// The NAL units in `stream` without start codes and trailing zeros. Bytes in front of the first start code are
    /// skipped; empty when there is no start code.
    /// - Parameter limit: units beyond so many are left out.
    public static func units(in stream: UnsafeRawBufferPointer, limit: Int = .max) -> [Range<Int>] {
        var units: [Range<Int>] = []
        var start: Int?
        var i = 0
        while i + 2 < stream.count, units.count < limit {
            // A byte above 1 can't be the third of a start code, nor can the two before it begin one.
            if stream[i + 2] > 1 {
                i += 3
            } else if stream[i] == 0, stream[i + 1] == 0, stream[i + 2] == 1 {
                if let start { append(start..<i, of: stream, to: &units) }
                start = i + 3
                i += 3
            } else {
                i += 1
            }
        }
        if let start, units.count < limit { append(start..<stream.count, of: stream, to: &units) }
        return units
    }

    private static func append(_ range: Range<Int>, of stream: UnsafeRawBufferPointer, to units: inout [Range<Int>]) {
        var end = range.upperBound
        while end > range.lowerBound, stream[end - 1] == 0 { end -= 1 }
        if end > range.lowerBound { units.append(range.lowerBound..<end) }
    }
}
