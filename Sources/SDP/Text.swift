// SPDX-License-Identifier: Apache-2.0
// Byte-wise text helpers of the parser: SDP is split at ASCII bytes, never at grapheme clusters,
// so that a combining character after a separator can't hide it.

extension Substring {
    /// The non-empty parts between occurrences of an ASCII byte.
    func fields(_ separator: UInt8) -> [Substring] {
        utf8.split(separator: separator).map { Substring($0) }
    }

    /// The parts before and after the first occurrence of an ASCII byte; no second part when it does not occur.
    func cut(_ separator: UInt8) -> (Substring, Substring?) {
        guard let index = utf8.firstIndex(of: separator) else { return (self, nil) }
        return (self[..<index], self[utf8.index(after: index)...])
    }

    /// Without spaces and tabs at both ends.
    func trimmed() -> Substring {
        var view = self.utf8
        while let first = view.first, first == 32 || first == 9 { view = view.dropFirst() }
        while let last = view.last, last == 32 || last == 9 { view = view.dropLast() }
        return Substring(view)
    }
}
